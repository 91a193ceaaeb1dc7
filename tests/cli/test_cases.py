"""The three cases of a checkpoint: ours, with a spec, with neither."""

import re
import tomllib
from pathlib import Path

import pytest
import torch

import sharpscope as ss
from sharpscope.subject.rebuild import load_subject
from tests.cli.support import done, failed, foreign, read_json, run

FEW = ("--modality", "cxr", "--probes", "4", "--rank", "0")


def test_spec_in_the_working_folder(own_folder: Path) -> None:
    foreign(own_folder, spec_name="sharpscope.toml")
    found = read_json("trace", "theirs.pt", *FEW)
    subject = load_subject("theirs.pt", "sharpscope.toml")
    assert found["value"] == ss.trace(subject, "cxr", probes=4, rank=0).value
    assert found["parameters"] == 24
    assert found["samples"] == 11
    assert found["provenance"]["split"] == "test"


def test_named_spec_wins_over_the_working_folder(own_folder: Path) -> None:
    foreign(own_folder, build="raise SystemError('not this one')", spec_name="sharpscope.toml")
    other = foreign(own_folder / "other")
    found = read_json("trace", other.checkpoint, *FEW, "--spec", other.spec)
    assert found["provenance"]["spec"] == str(other.spec)


def test_named_spec_wins_over_the_recipe(own_folder: Path, ours: Path) -> None:
    other = foreign(own_folder / "other")
    result = run("trace", ours, *FEW, "--spec", other.spec)
    # The foreign model does not fit our file: so it was the spec that was used.
    assert result.exit_code == 1
    assert "does not fit" in result.stderr


def test_recipe_wins_over_the_working_folder(own_folder: Path, ours: Path) -> None:
    foreign(own_folder, build="raise SystemError('not this one')", spec_name="sharpscope.toml")
    found = read_json("trace", ours, "--modality", "mor", "--samples", "16", "--probes", "2")
    assert found["provenance"]["recipe"]["dataset"] == "mfeat"


@pytest.mark.parametrize("command", ["trace", "eigen"])
def test_neither_shows_the_lines_to_write(own_folder: Path, command: str) -> None:
    other = foreign(own_folder / "downloaded", spec_name="sharpscope.toml")
    result = run(command, other.checkpoint)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    blocks = result.stderr.split("\n\n")
    lines = tomllib.loads(blocks[1])
    assert set(lines) == {"model", "data", "loss", "encoders"}
    assert lines["encoders"] == {"ehr": "ehr_model", "cxr": "cxr_model"}
    assert len(blocks[1].splitlines()) == 6
    # With the user's own names in the place of the examples, they measure.
    text = blocks[1].replace("my_project.models", other.module)
    text = text.replace("my_project.data:test_loader", f"{other.module}:data")
    mine = other.checkpoint.parent / "mine.toml"
    mine.write_text(text)
    assert len(read_json(command, other.checkpoint, "--spec", mine, "--rtol", "0.5")) == 2
    assert f"({other.spec} is not used" in result.stderr
    assert f"sharpscope init {other.checkpoint}" in result.stderr


def test_stray_spec_is_never_run(own_folder: Path) -> None:
    other = foreign(own_folder / "downloaded", spec_name="sharpscope.toml")
    marker = own_folder / "was_run"
    (other.checkpoint.parent / f"{other.module}.py").write_text(
        f"import pathlib\npathlib.Path({str(marker)!r}).touch()\n"
    )
    assert run("trace", other.checkpoint).exit_code == 2
    assert run("show", other.checkpoint).exit_code == 0
    assert not marker.exists()
    # The marker would be there if it had been named.
    assert run("trace", other.checkpoint, "--spec", other.spec).exit_code == 2
    assert marker.exists()


def test_what_foreign_code_prints_goes_to_stderr(own_folder: Path) -> None:
    foreign(own_folder, build="print('built')", spec_name="sharpscope.toml")
    assert read_json("trace", "theirs.pt", *FEW)["modality"] == "cxr"
    assert "built" not in done("trace", "theirs.pt", *FEW)
    assert "built" in run("trace", "theirs.pt", *FEW).stderr


def test_a_tensor_too_many_is_ignored_by_the_line_that_the_error_shows(own_folder: Path) -> None:
    other = foreign(own_folder)
    torch.save(torch.load(other.checkpoint) | {"aux.weight": torch.ones(2)}, other.checkpoint)
    options = ("trace", other.checkpoint, "--spec", other.spec, *FEW)
    line = failed(*options, code=1)
    (found,) = re.findall(r"ignore = \[.*?\]", line)
    other.spec.write_text(other.spec.read_text().replace(':build"', f':build"\n{found}'))
    result = read_json(*options)
    assert result["notes"][0] == (
        "1 tensor of the file was ignored, as the spec says (aux.weight)."
    )
