"""``sharpscope density``: what is read off a spectrum, and its figure."""

import re
from pathlib import Path

from sharpscope.results import DensityResult, load
from tests.cli.support import done, failed, read_json

FAST = ("--samples", "64", "--steps", "6", "--runs", "3")


def test_text_of_one_encoder(ours: Path) -> None:
    text = done("density", ours, "--modality", "mor", *FAST)
    assert re.search(r"^  below 0 +[\d.]+ to [\d.]+ %$", text, re.MULTILINE), text
    assert re.search(r"^  runs +3 of 6 steps$", text, re.MULTILINE)
    assert re.search(r"^  smoothed by +a Gaussian of σ = [\d.e-]+$", text, re.MULTILINE)
    assert "Ritz values, which lie inside the spectrum" in " ".join(text.split())
    assert "outcome      completed" in text
    assert "Ritz" not in done("density", ours, "--modality", "mor", *FAST, "--quiet")


def test_table_of_several_and_a_budget_that_shortens(ours: Path) -> None:
    text = done("density", ours, *FAST, "--budget", "12")
    assert re.search(r"^modality +λ_min +λ_max +% +% +trace ± error", text, re.MULTILINE), text
    assert "budget spent" in text


def test_json_has_the_arrays_and_a_file_has_them_beside(ours: Path, tmp_path: Path) -> None:
    found = read_json("density", ours, "--modality", "fou", *FAST, "--out", "d.json")
    assert len(found["density"]) == len(found["grid"]) == 2048
    saved = load(tmp_path / "d.json")
    assert isinstance(saved, DensityResult)
    assert saved.density.tolist() == found["density"]
    assert (tmp_path / "d.npz").is_file()


def test_the_figure(ours: Path, tmp_path: Path) -> None:
    assert done("density", ours, *FAST, "--figure", "d.svg").endswith("Drew d.svg\n")
    assert "eigenvalue λ (loss / parameter²)" in (tmp_path / "d.svg").read_text()
    assert "must end in '.pdf'" in failed("density", ours, "--figure", "d.txt", code=2)
