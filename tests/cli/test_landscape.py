"""``sharpscope landscape``: a table, a grid in the npz, a figure, going on after an end."""

import re
from pathlib import Path

import numpy as np

from sharpscope.results import LandscapeResult, load
from tests.cli.support import done, failed, read_json

FEW = ("--samples", "32")


def test_planes_of_both_encoders(ours: Path, tmp_path: Path) -> None:
    text = done("landscape", ours, *FEW, "--shape", "5x3", "--out", "planes", "--figure", "p.svg")
    assert " ".join(text.split()).startswith("5x3 landscape of the fusion loss on 32 train samples")
    assert re.search(r"^fou( +[\d.e-]+){4} +\S+, \S+ +[\d.]+$", text, re.MULTILINE), text
    assert text.endswith("Saved planes\nDrew p.svg\n")
    saved = load(tmp_path / "planes" / "landscape-tiny-fou.json")
    assert isinstance(saved, LandscapeResult)
    assert saved.values.shape == (3, 5)
    with np.load(tmp_path / "planes" / "landscape-tiny-fou.npz") as arrays:
        assert sorted(arrays) == ["values", "x", "y"]
    kinds = sorted(path.suffix for path in (tmp_path / "planes").iterdir())
    assert kinds == [".json", ".json", ".npz", ".npz"]


def test_a_line_with_its_directions_and_a_found_reach(ours: Path, tmp_path: Path) -> None:
    arguments = ("landscape", ours, "--modality", "mor", *FEW, "--shape", "5", "--span", "auto")
    found = read_json(*arguments, "--save-directions", "--out", "line.json")
    assert len(found["values"]) == 5
    assert found["settings"]["span"] == found["x"][-1]
    with np.load(tmp_path / "line.npz") as arrays:
        assert arrays["direction_x"].shape == (found["parameters"],)


def test_one_axis_for_each_encoder(ours: Path) -> None:
    (found,) = read_json("landscape", ours, *FEW, "--axes", "encoders", "--shape", "3x3")
    assert (found["modality"], found["labels"]) == ("fou+mor", ["fou", "mor"])


def test_repeating_the_command_goes_on(ours: Path, tmp_path: Path) -> None:
    arguments = ("landscape", ours, "--modality", "mor", *FEW, "--shape", "7", "--out", "l.json")
    first = done(*arguments, "--max-seconds", "0.000001")
    assert "budget spent" in first
    assert "repeat the command to go on" in " ".join(first.split())
    assert (tmp_path / "l.json.points").is_file()
    assert "budget spent" not in done(*arguments)
    assert not (tmp_path / "l.json.points").exists()


def test_what_cannot_be_meant(ours: Path) -> None:
    for arguments, message in (
        (("--shape", "4x4"), "every axis needs an odd number of points"),
        (("--shape", "5*5"), "--shape must be points along each axis, such as 51, 51x51 or 21x21x"),
        (("--span", "far"), "--span must be a number"),
        (("--shape", "3x3x3", "--figure", "v.pdf"), "a volume has no figure on paper: take --out"),
    ):
        assert message in failed("landscape", ours, *arguments, code=2)
