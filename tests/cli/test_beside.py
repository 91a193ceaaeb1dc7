"""``sharpscope train`` and the ``.monitor.jsonl`` beside OUT: replaced, kept or removed."""

from pathlib import Path
from typing import Any

import pytest

from sharpscope.results.monitor import read_monitor
from tests.cli.support import done, failed, run

TINY = ("train", "mfeat:fou+mor", "--epochs", "1", "--set", "width=4", "--out", "run.pt")
WATCHED = (*TINY, "--monitor", "--when", "epoch")
FILE = Path("run.monitor.jsonl")


@pytest.fixture
def before() -> bytes:
    """What the monitor of an earlier run wrote."""
    done(*WATCHED)
    return FILE.read_bytes()


def fail(*_: Any, **__: Any) -> Any:
    raise RuntimeError("the data are gone")


def test_a_training_that_does_not_begin_leaves_the_file(
    before: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sharpscope.training.trainer.build_dataset", fail)
    failed(*WATCHED, "--method", "late", code=1)
    failed(*WATCHED, "--resume", code=1)
    assert FILE.read_bytes() == before


def test_a_training_that_begins_replaces_it(before: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sharpscope.training.trainer.Run.epoch", fail)
    failed(*WATCHED, "--method", "late", code=1)
    record = read_monitor(FILE)
    assert record.provenance["recipe"]["method"] == "late"
    assert (record.steps, record.ended) == ([0], False)


def test_what_is_of_another_recipe_goes_with_the_checkpoint_it_was_of(
    before: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(*TINY).stderr == ""  # of the same recipe training is the same to the bit
    assert FILE.read_bytes() == before
    with monkeypatch.context() as patch:
        patch.setattr("sharpscope.training.trainer.Run.epoch", fail)
        failed(*TINY, "--method", "late", code=1)
    assert FILE.read_bytes() == before
    result = run(*TINY, "--method", "late")
    assert result.exit_code == 0
    assert result.stderr == f"Removed {FILE}: it was of another run than run.pt is now\n"
    assert not FILE.exists()


def test_quiet_says_nothing_of_it(before: bytes) -> None:
    assert run(*TINY, "--seed", "1", "--quiet").stderr == ""
    assert not FILE.exists()


def test_a_first_line_that_is_torn_is_no_run() -> None:
    FILE.write_bytes(b'{"kind": "beg')
    done(*WATCHED)
    assert read_monitor(FILE).ended
    FILE.write_bytes(b'{"kind": "beg')
    done(*TINY)
    assert not FILE.exists()


def test_a_run_that_is_resumed_goes_on_with_its_own_file_alone(
    before: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = (*TINY, "--method", "late", "--epochs", "2")

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("sharpscope_cli.training.EpochWatch.__call__", interrupt)
        assert run(*late).exit_code == 130
    assert "is of another recipe than the one given; repeat its arguments, move it" in failed(
        *late, "--resume", "--monitor", code=2
    )
    assert FILE.read_bytes() == before
    done(*late, "--resume")
    assert not FILE.exists()


@pytest.mark.parametrize("more", [(), ("--monitor",)])
@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (
            '{"kind": "begin", "step": 0, "schema": "sharpscope/monitor", "modalities": ["a"]}\n',
            "run.monitor.jsonl is of a run that sharpscope train did not make; move it away, or",
        ),
        ('{"kind": "note"}\n', "the first line is not the beginning of a sharpscope/monitor file"),
        ("mine\n", "run.monitor.jsonl is no file of a monitor: line 1 is not a JSON"),
    ],
)
def test_what_this_command_did_not_write_is_refused(
    more: tuple[str, ...], content: str, sentence: str
) -> None:
    FILE.write_text(content)
    told = failed(*TINY, *more, code=2)
    assert sentence in told
    assert "move it away, or name another file with --out" in told
    assert FILE.read_text() == content
    assert not Path("run.pt").exists()
