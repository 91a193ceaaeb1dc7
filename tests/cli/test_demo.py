"""``sharpscope demo``, told with tiny recipes."""

import re
import shlex
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sharpscope_cli.story as story
import torch
from sharpscope_cli.chapters import Chapter
from sharpscope_cli.progress import Line
from sharpscope_cli.story import Row, Story

from sharpscope.results import EigenResult, Outcome, TraceResult
from tests.cli.support import done, read_json, run

TINY = (
    Chapter(name="avdigits-joint", recipe="mfeat:fou+mor", method="joint", epochs=1),
    Chapter(name="avdigits-late", recipe="mfeat:fou+mor", method="late", epochs=1),
    Chapter(name="ehr-cxr", recipe="mfeat:zer", method="late", epochs=1, quick=True),
)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(story, "CHAPTERS", TINY)
    # Models of one epoch need thousands of products for the error that a real story has.
    monkeypatch.setattr(story, "HutchPlusPlus", partial(story.HutchPlusPlus, rtol=0.3))


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
    assert [chapter.quick for chapter in story.CHAPTERS] == [False, False, True]


@pytest.mark.usefixtures("tiny")
def test_table_checkpoints_and_the_sentence_to_type_next() -> None:
    text = done("demo", "--samples", "24")
    lines = text.splitlines()
    assert re.match(r"modality +params", lines[1])
    assert [line.split()[0] for line in lines[2:10]] == [
        "avdigits-joint", "fou", "mor", "avdigits-late", "fou", "mor", "ehr-cxr", "zer",
    ]  # fmt: skip
    assert ["±" in line for line in lines[2:10]] == [*[False, True, True] * 2, False, True]
    assert all(len(line) <= 80 for line in lines[:-2])
    assert "over 24 training items, with" in " ".join(text.split())
    assert "ehr-cxr: to within 10%, for time; the command below" in " ".join(text.split())
    made = sorted(path.name for path in Path("runs").iterdir())
    assert made == ["avdigits-joint.pt", "avdigits-late.pt", "ehr-cxr.pt", "report"]
    assert "surfaces that turn: runs/report/report.html" in " ".join(text.split())
    page = Path("runs/report/report.html").read_text()
    assert page.count('class="panel solid"') == 4  # a surface for each encoder of both models
    rows = [line for line in lines if "±" in line and "trace" not in line]
    assert len(rows) == 5 + 1  # the last explains ±
    for told in (re.findall(r"[\d.]+ ± [\d.]+", line) for line in rows[:5]):
        assert told[0] in page
    assert lines[-1] == "  sharpscope trace runs/ehr-cxr.pt --modality zer"
    _, *sentence = shlex.split(lines[-1])
    assert "Hessian trace of zer in runs/ehr-cxr.pt" in done(*sentence, "--samples", "24")


def test_where_the_command_is_not_found_it_says_what_to_type_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for found, prefix, first in (
        ("/usr/bin/sharpscope", sys.prefix, None),
        (None, str(Path.cwd() / ".venv"), "source .venv/bin/activate"),
        (None, "/opt/env", "source /opt/env/bin/activate"),
    ):
        monkeypatch.setattr(story.shutil, "which", lambda _, found=found: found)
        monkeypatch.setattr(story.sys, "prefix", prefix)
        assert story.activation() == first


def a_row(model: str, modality: str, **changes: Any) -> Row:
    """Return a row with numbers of the size of the real ones."""
    whole: dict[str, Any] = {"samples": 720, "loss": "fusion", "loss_value": 0.02, "seed": 0}
    whole |= {"outcome": Outcome.CONVERGED, "method": "", "matvecs": 9.0, "seconds": 16.4}
    whole |= {"modality": modality, "parameters": 16_784} | changes
    value = whole.pop("value", 115.8)
    found = TraceResult(
        value=value,
        standard_error=abs(value) * 0.018,
        interval=None,
        data_error=None,
        probes=20,
        normalized={"per_parameter": value / 16_784},
        **whole,
    )
    ends = EigenResult(
        eigenvalues=(value / 8, -value / 300),
        residuals=(9e-4, 9e-4),
        largest=value / 8,
        smallest=-value / 300,
        largest_magnitude=value / 8,
        data_errors=None,
        **whole,
    )
    scores = {"fusion": {"loss": 0.0173, "accuracy": 0.92}}
    return Row(model=model, metrics={"train": scores, "test": scores}, trace=found, eigen=ends)


def shown(rows: list[Row], capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Return the lines of the table."""
    line = Line(quiet=True)
    told = Story(out_dir=Path("runs"), samples=720, seed=0, device="cpu", line=line, rows=rows)
    story.show_story(told, quiet=True)
    return capsys.readouterr().out.splitlines()


ROWS = [("avdigits-joint", "image"), ("avdigits-joint", "audio"), ("avdigits-late", "image")]


def test_table_of_numbers_as_they_come_is_one_table_in_80_columns(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert shown([a_row(*names) for names in ROWS], capsys) == [
        "                 train train  test               trace /",
        "modality params   loss  acc.  acc. trace ± error   param λ_max λ_min sec",
        "avdigits-joint",
        "  image  16,784 0.0173 0.920 0.920   115.8 ± 2.1  0.0069  14.5 -0.39  33",
        "  audio  16,784 0.0173 0.920 0.920   115.8 ± 2.1  0.0069  14.5 -0.39  33",
        "avdigits-late",
        "  image  16,784 0.0173 0.920 0.920   115.8 ± 2.1  0.0069  14.5 -0.39  33",
    ]


def test_items_are_counted_for_each_model() -> None:
    rows = [a_row("late", "image"), a_row("masam", "image"), a_row("ehr-cxr", "cxr", samples=280)]
    assert story.items(rows[:2]) == "720 training items"
    assert story.items(rows) == "the training items (720 of late and masam, 280 of ehr-cxr)"


@pytest.mark.parametrize("value", [-0.00311, 4.8e8, 115.8])
@pytest.mark.parametrize("width", [80, 60, 40])
def test_table_fits_any_width_and_loses_no_column(
    value: float, width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    rows = [a_row(*names, value=value, parameters=11_345_678, seconds=99.0) for names in ROWS]
    lines = shown(rows, capsys)
    assert max(map(len, lines)) <= width
    text = " ".join(" ".join(lines).split())
    for header in ("params", "train", "test", "trace ± error", "λ_max", "λ_min", "sec"):
        assert header in text
    for cell in story.cells(rows[0])[1:]:
        assert text.count(cell) >= len(rows)
    assert lines.count("avdigits-joint") == lines.count("avdigits-late") > 0


@pytest.mark.usefixtures("tiny")
def test_stages_are_plain_lines_off_a_terminal() -> None:
    result = run("demo", "--samples", "16", "--out-dir", "elsewhere")
    assert result.stderr.splitlines()[0] == "train 1 of 3: avdigits-joint"
    assert result.stderr.splitlines()[-2:] == [
        "measure ehr-cxr, zer",
        "report: elsewhere/report/report.html",
    ]
    assert "\r" not in result.stderr
    assert "sharpscope trace elsewhere/ehr-cxr.pt --modality zer" in result.stdout
    assert run("demo", "--samples", "16", "--quiet").stderr == ""


@pytest.mark.usefixtures("tiny")
def test_json_and_seed() -> None:
    found = read_json("demo", "--samples", "16", "--seed", "1")
    assert found["schema"] == "sharpscope/demo"
    assert found["checkpoints"][2] == "runs/ehr-cxr.pt"
    assert found["report"] == "runs/report/report.html"
    names = [row["model"] for row in found["rows"]]
    assert names == ["avdigits-joint"] * 2 + ["avdigits-late"] * 2 + ["ehr-cxr"]
    assert len(list(Path("runs/report").glob("*.json"))) == 3 * 4 + 2  # the last has no landscape
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
