"""``sharpscope landscape``: a table, a grid in the npz, a figure, going on after an end."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sharpscope.results import LandscapeResult, load
from tests.cli.support import done, failed, read_json
from tests.cli.support import run as run_command

FEW = ("--samples", "32")


def test_planes_of_both_encoders(ours: Path, tmp_path: Path) -> None:
    text = done("landscape", ours, *FEW, "--shape", "5x3", "--out", "planes", "--figure", "p.svg")
    assert " ".join(text.split()).startswith("5x3 landscape of the fusion loss on 32 train samples")
    assert re.search(r"^fou( +[\d.e-]+){3} +±1 +\S+, \S+ +[\d.]+$", text, re.MULTILINE), text
    assert text.endswith("Saved planes\nDrew p.svg\n")
    saved = load(tmp_path / "planes" / "landscape-tiny-fou.json")
    assert isinstance(saved, LandscapeResult)
    assert saved.values.shape == (3, 5)
    with np.load(tmp_path / "planes" / "landscape-tiny-fou.npz") as arrays:
        assert sorted(arrays) == ["loss", "x", "y"]
        assert arrays["loss"].shape == (3, 5)
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
    arguments = ("landscape", ours, *FEW, "--axes", "encoders", "--shape", "3x3")
    found = read_json(*arguments, "--out", "both.json")  # one result, and so a file
    assert (found["modality"], found["labels"]) == ("fou+mor", ["fou", "mor"])
    two = read_json(*arguments, "--modality", "mor", "--modality", "fou")
    assert two["labels"] == ["mor", "fou"]


def test_landscapes_of_other_axes_stand_beside_each_other(ours: Path) -> None:
    arguments = ("landscape", ours, *FEW, "--modality", "mor", "--shape", "3")
    Path("all").mkdir()  # a folder that is there is a folder, for a single result as well
    for axes in ("random", "eigen"):
        done(*arguments, "--axes", axes, "--out", "all")
    names = sorted(path.name for path in Path("all").glob("*.json"))
    assert names == ["landscape-eigen-tiny-mor.json", "landscape-tiny-mor.json"]


def test_an_interrupt_says_that_points_are_kept(
    ours: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sharpscope.landscape import filling

    told: list[str] = []

    def tell(_watch: Any, what: str) -> None:
        told.append(what)
        if what.startswith("4 of"):
            raise KeyboardInterrupt

    arguments = ("landscape", ours, *FEW, "--modality", "mor", "--shape", "7", "--out", "l.json")
    with monkeypatch.context() as patch:
        patch.setattr(filling, "_KEEP_SECONDS", 0.0)
        patch.setattr("sharpscope_cli.progress.Watch.tell", tell)
        result = run_command(*arguments)
    assert result.exit_code == 130
    assert "Kept the points so far in l.json.points: repeat the command to go on." in result.stderr
    with monkeypatch.context() as patch:
        patch.setattr("sharpscope_cli.progress.Watch.tell", lambda _, what: told.append(what))
        done(*arguments)
    assert any(what.startswith("going on with ") for what in told)


def test_repeating_the_command_goes_on(ours: Path, tmp_path: Path) -> None:
    arguments = ("landscape", ours, "--modality", "mor", *FEW, "--shape", "7", "--out", "l.json")
    first = done(*arguments, "--max-seconds", "0.000001")
    assert "budget spent" in first
    assert "repeat the command to go on" in " ".join(first.split())
    assert (tmp_path / "l.json.points").is_file()
    assert "budget spent" not in done(*arguments)
    assert isinstance(whole := load(tmp_path / "l.json"), LandscapeResult)
    again = read_json(*arguments[:-2])
    assert whole.values.tolist() == again["values"]
    assert not (tmp_path / "l.json.points").exists()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with two runs of a small recipe, their checkpoints kept."""
    folder = tmp_path_factory.mktemp("runs")
    for seed in (1, 2):
        arguments = ("--epochs", "3", "--keep-every", "1", "--seed", str(seed), "--quiet")
        done("train", "mfeat:fou+mor", *arguments, "--out", folder / f"s{seed}.pt")
    return folder


def test_a_line_between_two_checkpoints_and_a_plane_through_three(run: Path) -> None:
    one, two = run / "s1.pt", run / "s2.pt"
    line = read_json("landscape", one, two, *FEW, "--modality", "mor", "--axes", "line")
    assert (len(line["values"]), line["labels"], line["tag"]) == (51, ["to the mor of s2"], "s1")
    assert {0.0, 1.0} <= set(line["x"])
    assert line["path_loss"] == [line["values"][line["x"].index(1.0)]]
    three = (one, two, run / "s2.epoch0001.pt")
    arguments = ("landscape", *three, *FEW, "--axes", "line", "--shape", "5x5", "--span", "0.1")
    planes = read_json(*arguments)
    assert [plane["modality"] for plane in planes] == ["fou", "mor"]
    assert planes[0]["path_names"] == ["s2", "s2.epoch0001"]


def test_the_paths_of_two_runs_in_one_plane(run: Path, tmp_path: Path) -> None:
    # As a shell expands s1*.pt s2*.pt, the last one in the middle.
    paths = [*sorted(run.glob("s1*.pt")), *sorted(run.glob("s2*.pt"))]
    arguments = ("--modality", "mor", "--axes", "pca", "--shape", "5x3", "--metric", "accuracy")
    text = done("landscape", *paths, *FEW, *arguments, "--out", "p.json", "--figure", "p.png")
    assert "/s2.pt" in text
    assert re.search(r"^mor .* -?[\d.]+ to [\d.]+ ", text, re.MULTILINE), text
    found = load(tmp_path / "p.json")
    assert isinstance(found, LandscapeResult)
    assert found.runs == ("s1", "s2")
    kept = [f"epoch000{n}" for n in (1, 2, 3)]
    assert found.path_names == tuple(
        name for s in ("s1", "s2") for name in (*(f"{s}.{k}" for k in kept), s)
    )
    assert found.path_x is not None
    assert (found.path_x[-1], found.metric) == (0.0, "accuracy")
    assert found.metric_values is not None
    assert found.metric_values.shape == (3, 5)


def test_statistics_taken_anew_are_told(ours: Path) -> None:
    arguments = ("--modality", "mor", "--shape", "3", "--statistics", "recalibrated")
    text = done("landscape", ours, *FEW, *arguments)
    assert "Note: BatchNorm statistics were taken anew at every point" in text


def test_what_cannot_be_meant(ours: Path) -> None:
    for arguments, message in (
        (("--shape", "4x4"), "every axis needs an odd number of points"),
        (("--shape", "5*5"), "--shape must be points along each axis, such as 51, 51x51 or 21x21x"),
        (("--span", "far"), "--span must be a number"),
        (("--shape", "3x3x3", "--figure", "v.pdf"), "a volume has no figure on paper: name a .htm"),
    ):
        assert message in failed("landscape", ours, *arguments, code=2)


def test_checkpoints_that_are_too_few_or_too_many(ours: Path) -> None:
    for axes, count, message in (
        ("line", 1, "--axes line needs two or three checkpoints; got 1"),
        ("line", 4, "--axes line needs two or three checkpoints; got 4"),
        ("pca", 1, "--axes pca needs the checkpoints of a run; got 1"),
    ):
        text = failed("landscape", *[ours] * count, "--axes", axes, code=2)
        assert message in " ".join(text.split())


def test_a_checkpoint_of_another_model(ours: Path, tmp_path: Path) -> None:
    arguments = ("--epochs", "1", "--set", "width=5", "--quiet", "--out", tmp_path / "other.pt")
    done("train", "mfeat:fou+mor", *arguments)
    text = failed("landscape", ours, tmp_path / "other.pt", *FEW, "--axes", "line", code=1)
    assert "other does not fit the model" in " ".join(text.split())
