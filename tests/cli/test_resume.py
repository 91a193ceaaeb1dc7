"""``--resume`` of measuring commands: what ``--out`` holds already is not measured again."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.support import done, failed, read_json

SMALL = ("--samples", "32", "--quiet")
COMMANDS = {
    "trace": ("--rtol", "0.3"),
    "eigen": ("--rtol", "0.1"),
    "density": ("--steps", "4", "--runs", "2"),
    "sharpness": ("--repeats", "2"),
}


def _marked(path: Path) -> None:
    """Leave a mark in a saved result that no measurement makes."""
    found: dict[str, Any] = json.loads(path.read_text())
    path.write_text(json.dumps(found | {"notes": ["kept"]}))


def _notes(path: Path) -> list[str]:
    return json.loads(path.read_text())["notes"]


@pytest.mark.parametrize("command", COMMANDS)
def test_what_is_there_is_kept(ours: Path, tmp_path: Path, command: str) -> None:
    out = tmp_path / "results"
    how = (command, ours, *SMALL, *COMMANDS[command], "--out", out)
    done(*how)
    files = sorted(out.glob("*.json"))
    assert len(files) == 2
    for path in files:
        _marked(path)
    text = done(*how, "--resume")
    assert all(_notes(path) == ["kept"] for path in files)
    assert "fou" in text  # and what is kept is told like the rest
    assert "mor" in text
    done(*how)
    assert not any(_notes(path) == ["kept"] for path in files)


def test_only_what_lacks_is_measured(ours: Path, tmp_path: Path) -> None:
    out = tmp_path / "results"
    how = ("trace", ours, *SMALL, "--rtol", "0.3", "--out", out)
    done(*how)
    kept, gone = sorted(out.glob("*.json"))
    _marked(kept)
    gone.unlink()
    found = read_json(*how, "--resume")
    assert [one["modality"] for one in found] == ["fou", "mor"]
    assert _notes(kept) == ["kept"]
    assert _notes(gone) != ["kept"]


@pytest.mark.parametrize(
    "other",
    [
        ("--samples", "31"),
        ("--rtol", "0.2"),
        ("--seed", "1"),
        ("--split", "val"),
        ("--loss", "total"),
        ("--dtype", "float64"),
        ("--operator", "ggn"),
        ("--max-seconds", "99"),
        ("--batch-size", "8"),
        ("--method", "hutchinson"),
    ],
)
def test_what_was_made_otherwise_is_measured_again(
    ours: Path, tmp_path: Path, other: tuple[str, str]
) -> None:
    out = tmp_path / "x.json"
    how = ("trace", ours, "--modality", "mor", "--samples", "32", "--rtol", "0.3", "--out", out)
    done(*how)
    _marked(out)
    done(*how, "--resume")
    assert _notes(out) == ["kept"]
    done(*how, *other, "--resume")
    assert _notes(out) != ["kept"]


def test_another_checkpoint_of_that_name_is_measured(ours: Path, tmp_path: Path) -> None:
    out, mine = tmp_path / "x.json", tmp_path / "mine.pt"
    mine.write_bytes(ours.read_bytes())
    how = ("trace", mine, "--modality", "mor", *SMALL, "--rtol", "0.3", "--out", out)
    done(*how)
    _marked(out)
    found = json.loads(out.read_text())
    found["provenance"]["checkpoint_sha256"] = "0" * 64
    out.write_text(json.dumps(found))
    done(*how, "--resume")
    assert _notes(out) != ["kept"]


def test_what_was_not_finite_or_cannot_be_read_is_measured_again(
    ours: Path, tmp_path: Path
) -> None:
    out = tmp_path / "results"
    how = ("trace", ours, *SMALL, "--rtol", "0.3", "--out", out)
    done(*how)
    one, other = sorted(out.glob("*.json"))
    broken = json.loads(one.read_text()) | {"outcome": "not_finite", "notes": ["kept"]}
    one.write_text(json.dumps(broken))
    other.write_text("{")
    done(*how, "--resume")
    assert json.loads(one.read_text())["outcome"] == "converged"
    assert json.loads(other.read_text())["outcome"] == "converged"


def test_it_needs_a_place(ours: Path) -> None:
    assert "--resume goes on with what --out holds: name it" in failed(
        "trace", ours, "--resume", code=2
    )
