"""``sharpscope demo``, told with tiny recipes."""

import re
import shlex
from pathlib import Path

import pytest
import sharpscope_cli.story as story
import torch
from sharpscope_cli.story import Chapter

from tests.cli.support import done, read_json, run

TINY = (
    Chapter(name="avdigits-joint", recipe="mfeat:fou+mor", method="joint", epochs=1),
    Chapter(name="avdigits-late", recipe="mfeat:fou+mor", method="late", epochs=1),
    Chapter(name="ehr-cxr", recipe="mfeat:zer", method="late", epochs=1, measured=False),
)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(story, "CHAPTERS", TINY)


def test_real_story_is_what_the_issue_asks_for() -> None:
    assert [chapter.name for chapter in story.CHAPTERS] == [
        "avdigits-joint",
        "avdigits-late",
        "ehr-cxr",
    ]
    assert [chapter.recipe.partition(":")[0] for chapter in story.CHAPTERS] == [
        "avdigits",
        "avdigits",
        "ehr-cxr",
    ]
    assert [chapter.measured for chapter in story.CHAPTERS] == [True, True, False]


@pytest.mark.usefixtures("tiny")
def test_table_checkpoints_and_the_sentence_to_type_next() -> None:
    text = done("demo", "--samples", "24")
    lines = text.splitlines()
    assert re.match(r"model +modality +params", lines[1])
    assert [line.split()[:2] for line in lines[2:6]] == [
        ["avdigits-joint", "fou"],
        ["avdigits-joint", "mor"],
        ["avdigits-late", "fou"],
        ["avdigits-late", "mor"],
    ]
    assert all("±" in line for line in lines[2:6])
    assert "over 24 training items" in " ".join(text.split())
    made = sorted(path.name for path in Path("runs").iterdir())
    assert made == ["avdigits-joint.pt", "avdigits-late.pt", "ehr-cxr.pt"]
    assert lines[-1] == "  sharpscope trace runs/ehr-cxr.pt --modality zer"
    _, *sentence = shlex.split(lines[-1])
    assert "Hessian trace of zer in runs/ehr-cxr.pt" in done(*sentence, "--samples", "24")


@pytest.mark.usefixtures("tiny")
def test_stages_are_plain_lines_off_a_terminal() -> None:
    result = run("demo", "--samples", "16", "--out-dir", "elsewhere")
    assert result.stderr.splitlines()[0] == "train 1 of 3: avdigits-joint"
    assert result.stderr.splitlines()[-1] == "measure avdigits-late, mor"
    assert "\r" not in result.stderr
    assert "sharpscope trace elsewhere/ehr-cxr.pt --modality zer" in result.stdout
    assert run("demo", "--samples", "16", "--quiet").stderr == ""


@pytest.mark.usefixtures("tiny")
def test_json_and_seed() -> None:
    found = read_json("demo", "--samples", "16", "--seed", "1")
    assert found["schema"] == "sharpscope/demo"
    assert found["checkpoints"][2] == "runs/ehr-cxr.pt"
    assert found["next"] == "sharpscope trace runs/ehr-cxr.pt --modality zer"
    row = found["rows"][0]
    assert {"parameters", "train_loss", "train_accuracy", "test_accuracy", "seconds"} <= set(row)
    assert row["trace"]["schema"] == "sharpscope/trace"
    assert row["eigen"]["schema"] == "sharpscope/eigen"
    assert row["trace"]["samples"] == 16
    assert row["trace"]["seed"] == 1
    assert row["trace"]["provenance"]["recipe"]["seed"] == 1


def test_threads_are_as_before_even_after_a_failure() -> None:
    def fail() -> None:
        with story.one_thread():
            seen.append(torch.get_num_threads())
            raise KeyError

    before, seen = torch.get_num_threads(), list[int]()
    torch.set_num_threads(2)
    try:
        with pytest.raises(KeyError):
            fail()
        assert (seen, torch.get_num_threads()) == ([1], 2)
    finally:
        torch.set_num_threads(before)
