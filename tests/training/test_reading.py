"""The record of a run out of its checkpoint, and what a checkpoint without one is told."""

from pathlib import Path

import pytest
import torch

import sharpscope as ss
from sharpscope.errors import MisuseError
from sharpscope.recipes import parse_recipe
from sharpscope.results import RunRecord
from sharpscope.training import Trained, record_of, save_checkpoint, train


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def trained(folder: Path) -> Trained:
    recipe = parse_recipe("mfeat:fou+mor", method="masam", epochs=2, settings={"width": "4"})
    found = train(recipe, out=folder / "run.pt", keep_every=1)
    save_checkpoint(folder / "run.pt", found)
    return found


def test_the_file_tells_what_the_run_did(trained: Trained, folder: Path):
    record = ss.run_record(folder / "run.pt")
    assert record.recipe == trained.recipe.to_dict()
    assert record.metrics == trained.metrics
    assert [entry["epoch"] for entry in record.history] == [1, 2]
    assert record.course("alignment")["fou"] == [e.alignment["fou"] for e in trained.history]
    assert sum(v[0] or 0 for v in record.course("dominant").values()) > 0
    assert record.tag == "run"
    assert ss.run_record(folder / "run.pt", tag="mine").tag == "mine"
    after = record_of(trained, folder / "run.pt")
    assert (after.recipe, after.metrics, after.history) == (
        record.recipe,
        record.metrics,
        record.history,
    )


def test_it_is_saved_and_loaded_without_torch(trained: Trained, folder: Path):
    record = ss.run_record(folder / "run.pt")
    found = ss.load(record.save(folder / "run.json"))
    assert isinstance(found, RunRecord)
    assert found == record


def test_kept_epochs_and_other_files_hold_no_run(trained: Trained, folder: Path):
    with pytest.raises(MisuseError, match="was kept on the way and holds no record of its run"):
        ss.run_record(folder / "run.epoch0001.pt")
    torch.save({"weight": torch.ones(2)}, folder / "theirs.pt")
    with pytest.raises(MisuseError, match="is not a checkpoint of sharpscope train, which alone"):
        ss.run_record(folder / "theirs.pt")
    with pytest.raises(MisuseError, match="no such file"):
        ss.run_record(folder / "none.pt")


def test_a_history_that_is_none_is_no_history(trained: Trained, folder: Path):
    content = torch.load(folder / "run.pt", weights_only=True)
    torch.save(content | {"history": [{"epoch": 1}]}, folder / "odd.pt")
    with pytest.raises(MisuseError, match="holds no record of its run"):
        ss.run_record(folder / "odd.pt")


def test_results_of_kept_checkpoints_carry_their_epoch(trained: Trained, folder: Path):
    for number in (1, 2):
        subject = ss.load_subject(folder / f"run.epoch{number:04d}.pt", samples=32)
        assert subject.provenance["epoch"] == number
        found = ss.trace(subject, "mor", probes=2, rank=0)
        assert found.provenance["epoch"] == number
