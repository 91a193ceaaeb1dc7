"""``sharpscope train``: a recipe, its settings, its checkpoint."""

from pathlib import Path

import pytest
import torch

from sharpscope.results import MonitorRecord, load
from tests.cli.support import done, failed, read_json

TINY = ("train", "mfeat:fou+mor", "--epochs", "1", "--set", "width=4")


def test_text_and_default_path() -> None:
    text = done(*TINY, "--method", "late")
    path = "runs/mfeat-fou+mor-late.pt"
    assert f"Saved {path}\n" in text
    assert text.endswith(f"Next:  sharpscope trace {path} --modality mor\n")
    assert "split  output" in text
    assert "test   fusion" in text
    recipe = torch.load(path, weights_only=True)["recipe"]
    assert (recipe["method"], recipe["epochs"], recipe["settings"]["width"]) == ("late", 1, 4)


def test_json_seed_and_out() -> None:
    first = read_json(*TINY, "--seed", "3", "--out", "a/x.pt")
    assert first["schema"] == "sharpscope/train"
    assert first["checkpoint"] == "a/x.pt"
    assert first["recipe"]["seed"] == 3
    assert [entry["epoch"] for entry in first["history"]] == [1]
    assert set(first["metrics"]) == {"train", "val", "test"}
    assert read_json(*TINY, "--seed", "3", "--out", "b.pt")["metrics"] == first["metrics"]
    assert read_json(*TINY, "--seed", "4", "--out", "c.pt")["metrics"] != first["metrics"]


def test_quiet_is_the_table_alone() -> None:
    text = done(*TINY, "--quiet")
    assert "Saved" not in text
    assert "fusion" in text


def test_a_monitor_writes_beside_the_checkpoint() -> None:
    plain = read_json(*TINY, "--out", "a.pt")
    text = done(*TINY, "--out", "b.pt", "--monitor", "--when", "epoch")
    assert "Watched it in 2 measurements of " in text
    assert "Look:  sharpscope watch b.pt --once\n" in text
    record = load("b.monitor.jsonl")
    assert isinstance(record, MonitorRecord)
    assert record.epochs == [0.0, 1.0]
    assert record.provenance["recipe"]["method"] == "joint"
    assert (
        read_json(*TINY, "--out", "b.pt", "--monitor", "--when", "13")["metrics"]
        == (plain["metrics"])
    )
    again = load("b.monitor.jsonl")  # it is of this run, as the checkpoint is
    assert isinstance(again, MonitorRecord)
    assert again.steps == [0, 13]


@pytest.mark.filterwarnings("ignore:the monitor measured nothing")
def test_a_monitor_for_which_there_is_no_time_says_so() -> None:
    text = done(*TINY, "--out", "b.pt", "--monitor")
    assert "Watched it in 0 measurements of " in text


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("mfeat", "--when", "epoch"), "--when is about --monitor: add that"),
        (("mfeat", "--budget", "0.1"), "--budget is about --monitor: add that"),
        (("mfeat", "--monitor", "--when", "often"), "when must be 'auto', a number of steps, 'st"),
        (("mfeat", "--monitor", "--when", "0"), "when must be a whole number of at least 1"),
        (("mfeat", "--monitor", "--budget", "2"), "budget must be a share of the training time"),
        (("mfeet",), "dataset must be"),
        (("mfeat:fuo",), "got 'fuo'; did you mean 'fou'?"),
        (
            ("mfeat", "--method", "lat"),
            "--method must be 'joint', 'late', 'sam', 'asam', 'msam' or 'masam'; got 'lat'; did",
        ),
        (("mfeat", "--set", "lr"), "--set must be NAME=VALUE, such as lr=0.001; got 'lr'"),
        (("mfeat", "--set", "=1"), "--set must be NAME=VALUE"),
        (("mfeat", "--set", "lrr=1"), "got 'lrr'; did you mean 'lr'?"),
        (("mfeat", "--set", "lr=fast"), "setting lr must be a number above 0; got 'fast'"),
        (("mfeat", "--epochs", "0"), "--epochs must be a whole number of at least 1; got 0"),
        (("mfeat", "--device", "gpu"), "--device must be auto, cpu, cuda or cuda:N; got 'gpu'"),
    ],
)
def test_misuse(arguments: tuple[str, ...], sentence: str) -> None:
    assert sentence in failed("train", *arguments, code=2)
    assert not Path("runs").exists()
