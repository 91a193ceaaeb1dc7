"""Which files are compared: patterns, kept epochs, groups, folders of results."""

from pathlib import Path

import pytest

from sharpscope.comparing.sources import (
    are_results,
    expanded,
    grouped,
    kept_of,
    named_apart,
    read_results,
)
from sharpscope.errors import MisuseError
from tests.comparing.makers import provenance, traced
from tests.results.makers import a_density, a_run


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (
        "late-s1.pt",
        "late-s2.pt",
        "late-s1.epoch0001.pt",
        "late-s1.epoch0002.pt",
        "late-s1.pt.state",
        "late-s[3].pt",
    ):
        Path(name).touch()


def names(paths: list[Path]) -> list[str]:
    return [str(path) for path in paths]


def test_patterns_leave_out_kept_epochs_unless_they_name_them():
    assert names(expanded("late-s*")) == ["late-s1.pt", "late-s2.pt", "late-s[3].pt"]
    assert names(expanded("late-s1.epoch*.pt")) == ["late-s1.epoch0001.pt", "late-s1.epoch0002.pt"]
    assert names(expanded("late-s[3].pt")) == ["late-s[3].pt"]  # a file that is there is meant
    assert names(expanded("absent.pt")) == ["absent.pt"]  # told by who reads it
    for name in ("epochs-s1.pt", "epochs-s1.epoch0001.pt"):
        Path(name).touch()
    assert names(expanded("epochs-s*.pt")) == ["epochs-s1.pt"]
    assert names(expanded("late-s1.epoch*")) == ["late-s1.epoch0001.pt", "late-s1.epoch0002.pt"]
    assert names(expanded("*.epoch000[1].pt")) == ["epochs-s1.epoch0001.pt", "late-s1.epoch0001.pt"]
    with pytest.raises(MisuseError, match=r"no file matches masam-s\*\.pt"):
        expanded("masam-s*.pt")


def test_kept_checkpoints_of_a_run():
    assert names(kept_of(Path("late-s1.pt"))) == [
        "late-s1.epoch0001.pt",
        "late-s1.epoch0002.pt",
        "late-s1.pt",
    ]
    told = r"no checkpoint was kept on the way to late-s2.pt: train with --keep-every 1, which leav"
    with pytest.raises(MisuseError, match=told):
        kept_of(Path("late-s2.pt"))


def test_kept_checkpoints_that_are_named_otherwise(tmp_path: Path):
    for name in ("a/ep1.pt", "a/ep10.pt", "a/ep2.pt", "a/best.pt", "n_ep1.pt", "n_step2.pt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    kept = [path.name for path in kept_of(tmp_path / "a/ep2.pt")]
    assert kept == ["ep1.pt", "ep2.pt", "ep10.pt"]
    alone = [path.name for path in kept_of(tmp_path / "n_ep1.pt")]
    assert alone == ["n_ep1.pt"]  # steps are no epochs


def test_groups_take_each_run_once():
    found = grouped([("late", "late-s1.pt"), ("other", "late-s2.pt"), ("late", "late-s[3].pt")])
    assert {name: names(paths) for name, paths in found.items()} == {
        "late": ["late-s1.pt", "late-s[3].pt"],
        "other": ["late-s2.pt"],
    }
    with pytest.raises(MisuseError, match=r"late-s1.pt is in group late and comes again in all: a"):
        grouped([("late", "late-s1.pt"), ("all", "late-s*.pt")])


def test_results_and_checkpoints_are_not_mixed():
    Path("folder").mkdir()
    assert are_results([Path("folder"), Path("x.json")])
    assert not are_results([Path("late-s1.pt")])
    told = "compare takes checkpoints or saved results, not both; got late-s1.pt and folder"
    with pytest.raises(MisuseError, match=told):
        are_results([Path("late-s1.pt"), Path("folder")])


def test_a_folder_gives_what_can_be_compared():
    results = [traced("late"), traced("masam", modality="ehr")]
    for place, record in enumerate([*results, a_density(), a_run()]):
        record.save(Path("folder") / f"{place}.json")
    assert read_results(Path("folder")) == results
    with pytest.raises(MisuseError, match=r"folder/2.json holds no result of sharpscope/trace, "):
        read_results(Path("folder/2.json"))
    Path("folder/9.json").write_text("{}")
    with pytest.raises(MisuseError, match=r"folder/9.json is not a sharpscope result"):
        read_results(Path("folder"))


def test_checkpoints_of_one_name_are_told_apart_by_folder():
    one, other = traced("last"), traced("last", provenance=provenance("other"))
    sources = {Path("late/a.json"): [one], Path("masam/a.json"): [other]}
    assert [result.tag for result in named_apart(sources)] == ["late-last", "masam-last"]
    Path("both").mkdir()
    assert [r.tag for r in named_apart({Path("both"): [one, traced("best")]})] == ["last", "best"]
