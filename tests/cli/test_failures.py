"""Failures nobody planned for: still one line, and the traceback on demand."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.support import failed, foreign, run

BUG = "sharpscope.subject.rebuild.load_subject"


def broken(*_: object, **__: object) -> None:
    raise ZeroDivisionError("a bug\nof ours")


def interrupted(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_unexpected_exception_is_one_line(ours: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BUG, broken)
    line = failed("trace", ours, code=1)
    expected = "Error: ZeroDivisionError: a bug of ours (run with --debug for the traceback)\n"
    assert line == expected


def test_debug_shows_the_traceback(ours: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BUG, broken)
    result = run("trace", ours, "--debug")
    assert result.exit_code == 1
    assert "Traceback (most recent call last)" in result.stderr
    assert result.stderr.endswith("Error: ZeroDivisionError: a bug of ours\n")


def test_debug_shows_the_traceback_of_planned_errors_too() -> None:
    result = run("show", "nothing.pt", "--debug")
    assert result.exit_code == 2
    assert "Traceback" in result.stderr
    assert result.stderr.endswith("Error: no such file: nothing.pt\n")


def test_interrupt_is_one_line_and_130(ours: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BUG, interrupted)
    result = run("trace", ours)
    assert result.exit_code == 130
    assert result.stderr.strip() == "Interrupted."
    assert result.stdout == ""


def test_factory_that_raises_is_one_line(own_folder: Path) -> None:
    other = foreign(own_folder, build="raise OSError('no disk')")
    line = failed("trace", other.checkpoint, "--spec", other.spec, code=1)
    assert "OSError" in line
    assert "no disk" in line


def test_results_done_before_a_failure_are_saved(
    ours: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sharpscope.measure as measure

    original = measure.trace

    def second_fails(subject: object, modality: str, **settings: object) -> object:
        if modality == "mor":
            raise KeyboardInterrupt
        return original(subject, modality, **settings)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(measure, "trace", second_fails)
    result = run("trace", ours, "--samples", "16", "--probes", "2", "--out", "found")
    assert result.exit_code == 130
    assert [path.name for path in Path("found").iterdir()] == ["trace-tiny-fou.json"]


def test_terminal_without_unicode_shows_question_marks() -> None:
    found = subprocess.run(
        [sys.executable, "-m", "sharpscope_cli", "eigen", "--help"],
        capture_output=True,
        check=True,
        encoding="latin-1",
        env=os.environ | {"PYTHONIOENCODING": "latin-1"},
    )
    assert "relative to the largest |?|" in " ".join(found.stdout.split())
