"""Failures nobody planned for: still one line, and the traceback on demand."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import sharpscope as ss
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


@pytest.fixture
def mor_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    import sharpscope.measure as measure

    original = measure.trace

    def second_fails(subject: object, modality: str, **settings: object) -> object:
        if modality == "mor":
            raise KeyboardInterrupt
        return original(subject, modality, **settings)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(measure, "trace", second_fails)


FEW = ("--samples", "16", "--probes", "2", "--rank", "0")


@pytest.mark.usefixtures("mor_is_interrupted")
@pytest.mark.parametrize(
    ("options", "sentence", "kept"),
    [
        (("--out", "found"), "Kept in found: trace-tiny-fou.json", ["trace-tiny-fou.json"]),
        (("--out", "found/mor.json", "--modality", "mor"), "Nothing was written.", []),
        (("--modality", "mor", "--modality", "fou", "--out", "found"), "Nothing was written.", []),
        ((), "Finished and lost: tiny · fou; --out FOLDER keeps each result as it comes.", None),
        (("--modality", "mor"), "", None),
    ],
)
def test_an_interrupt_says_which_results_are_kept(
    ours: Path, options: tuple[str, ...], sentence: str, kept: list[str] | None
) -> None:
    result = run("trace", ours, *FEW, *options)
    assert result.exit_code == 130
    assert result.stdout == ""
    assert result.stderr.strip() == f"Interrupted. {sentence}".strip()
    assert kept is None or [path.name for path in Path("found").iterdir()] == kept
    for name in kept or ():
        found: Any = ss.load(Path("found") / name)
        assert found.samples == 16


def test_an_interrupt_after_the_one_result_names_its_file(
    ours: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sharpscope_cli.progress.Line.clear", interrupted)
    result = run("trace", ours, *FEW, "--modality", "mor", "--out", "mor.json")
    assert result.stderr.strip() == "Interrupted. Kept mor.json"
    assert Path("mor.json").is_file()


def test_names_that_become_one_file_name_keep_both_results(ours: Path) -> None:
    names = ("encoders.mo?*", "encoders.mo**")
    options = [word for name in names for word in ("--modality", name)]
    assert run("trace", ours, *FEW, *options, "--out", "found").exit_code == 0
    found: dict[str, Any] = {path.name: ss.load(path) for path in Path("found").iterdir()}
    assert {name: result.modality for name, result in found.items()} == {
        "trace-tiny-encoders.mo__.json": "encoders.mo?*",
        "trace-tiny-encoders.mo__-2.json": "encoders.mo**",
    }


def test_terminal_without_unicode_shows_question_marks() -> None:
    found = subprocess.run(
        [sys.executable, "-m", "sharpscope_cli", "eigen", "--help"],
        capture_output=True,
        check=True,
        encoding="latin-1",
        env=os.environ | {"PYTHONIOENCODING": "latin-1"},
    )
    assert "relative to the largest |?|" in " ".join(found.stdout.split())
