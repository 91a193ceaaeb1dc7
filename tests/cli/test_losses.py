"""``sharpness``, ``gap`` and ``coupling`` on the command line."""

import re
from pathlib import Path

from sharpscope.results import CouplingResult, GapResult, SharpnessResult, load
from tests.cli.support import done, failed, foreign, read_json

FEW = ("--samples", "48")
NUMBER = r"[\d.]+(?: ± [\d.]+)?"


def flat(text: str) -> str:
    return " ".join(text.split())


def test_keskar_of_both_encoders(ours: Path, tmp_path: Path) -> None:
    text = done("sharpness", ours, *FEW, "--repeats", "2", "--out", "found")
    assert flat(text).startswith("Keskar's Q, ε = 0.001, whole space of the fusion loss on 48 trai")
    assert re.search(rf"^fou +{NUMBER} +[\d.e-]+ +[\d.]+ +[\d.]+$", text, re.MULTILINE), text
    assert "of the whole space the best of all searches counts" in flat(text)
    saved = load(tmp_path / "found" / "sharpness-tiny-fou.json")
    assert isinstance(saved, SharpnessResult)
    assert saved.value == max(saved.values)
    small = read_json("sharpness", ours, "--modality", "fou", *FEW, "--dimension", "3")
    assert small["settings"]["dimension"] == 3
    assert small["standard_error"] > 0


def test_balls_and_settings_of_the_other_kind(ours: Path) -> None:
    one = ("sharpness", ours, "--modality", "mor", *FEW, "--kind", "ball")
    worst = read_json(*one, "--batch-size", "16", "--rho", "0.1")
    assert len(worst["values"]) == 3
    average = read_json(*one, "--case", "average", "--draws", "4", "--adaptive")
    assert average["method"] == "average-case adaptive sharpness, ρ = 0.05"
    assert "one standard error over draws" in flat(done(*one, "--case", "average", "--draws", "3"))
    line = failed("sharpness", ours, "--rho", "0.1", code=2)
    assert "--rho is a setting of --kind ball, not of keskar" in line
    line = failed(*one, "--dimension", "3", code=2)
    assert "--dimension is a setting of --kind keskar, not of ball" in line


def test_the_gap_is_between_train_and_test(ours: Path, tmp_path: Path) -> None:
    text = done("gap", ours, "--bootstrap", "100", "--out", "gap.json")
    assert re.search(r"^accuracy +-?[\d.]+ ± [\d.]+ ", text, re.MULTILINE), text
    assert "τ = 100 (train - test) / train" in flat(text)
    saved = load(tmp_path / "gap.json")
    assert isinstance(saved, GapResult)
    assert (saved.train_samples, saved.samples) == (1350, 500)
    both = read_json("gap", ours, ours, "--metric", "macro_auroc", "--bootstrap", "100")
    assert [one["metric"] for one in both] == ["macro_auroc"] * 2
    theirs = foreign(tmp_path / "theirs")
    line = failed("gap", theirs.checkpoint, "--spec", theirs.spec, code=2)
    assert "the gap is between train and test, and there is no train: add it to [data] of" in line


def test_coupling_of_pairs(ours: Path, tmp_path: Path) -> None:
    text = done("coupling", ours, *FEW, "--rtol", "0.5", "--out", "c.json")
    assert re.search(r"^fou and mor +\S.* ± ", text, re.MULTILINE), text
    assert "share: 2 ‖H_ab‖² / ‖H_SS‖²" in flat(text)
    saved = load(tmp_path / "c.json")
    assert isinstance(saved, CouplingResult)
    spent = done("coupling", ours, ours, *FEW, "--budget", "6")
    assert "budget spent" in spent
    assert "every block between two encoders" in flat(spent)


def test_the_trace_has_its_normalizations_side_by_side(ours: Path) -> None:
    text = done("trace", ours, "--modality", "mor", *FEW)
    for name in ("per parameter", r"trace / ‖∇L‖", r"trace · ‖θ‖²"):
        assert re.search(rf"^  {name} +[\d.e+-]+", text, re.MULTILINE), text


def test_settings_of_the_other_case(ours: Path) -> None:
    one = ("sharpness", ours, "--kind", "ball")
    line = failed(*one, "--case", "average", "--norm", "linf", code=2)
    assert "--norm is a setting of --case worst, not of average" in line
    line = failed(*one, "--draws", "4", code=2)
    assert "--draws is a setting of --case average, not of worst" in line
    line = failed("coupling", ours, ours, "--out", "x.json", code=2)
    assert "or ask for one result with one checkpoint" in line
    assert "--modality" not in line
