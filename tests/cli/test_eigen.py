"""``sharpscope eigen``: both ends with residuals."""

import re
from pathlib import Path

import pytest

import sharpscope as ss
from sharpscope.subject.rebuild import load_subject
from tests.cli.support import done, failed, read_json

ONE = ("--modality", "mor", "--samples", "32")


def test_text_of_one_encoder(ours: Path) -> None:
    text = done("eigen", ours, *ONE, "--batch-size", "8")
    for name in ("λ_max", "λ_min", r"largest \|λ\|"):
        pattern = rf"^  {name} +-?[\d.e-]+ \(residual \d\.\de[+-]\d+, data ± [\d.e-]+\)$"
        assert re.search(pattern, text, re.MULTILINE), text
    assert "outcome      converged" in text
    assert "An eigenvalue of H lies within residual" in text


def test_table_of_several_encoders_and_all_eigenvalues(ours: Path) -> None:
    text = done("eigen", ours, "--samples", "32", "-k", "2")
    assert "modality  λ_max" in text
    assert "eigenvalue of fou" in text
    assert "eigenvalue of mor" in text
    assert "data error" in text


def test_json_equals_the_library(ours: Path) -> None:
    found = read_json("eigen", ours, *ONE, "-k", "2")
    direct = ss.eigenvalues(load_subject(ours, samples=32), "mor", k=2)
    assert found["schema"] == "sharpscope/eigen"
    assert found["eigenvalues"] == list(direct.eigenvalues)
    assert found["residuals"] == list(direct.residuals)
    assert found["settings"]["rtol"] == 1e-3
    assert found["largest"] == direct.largest
    assert found["smallest"] == direct.smallest
    assert found["largest_magnitude"] == direct.largest_magnitude
    assert {"outcome", "samples", "matvecs", "seconds", "provenance", "seed"} <= set(found)


def test_pyhessian_engine_gives_the_largest_magnitude(ours: Path) -> None:
    pytest.importorskip("pyhessian")
    theirs = read_json("eigen", ours, *ONE, "--engine", "pyhessian")
    native = read_json("eigen", ours, *ONE)
    assert theirs["largest_magnitude"] == pytest.approx(native["largest_magnitude"], rel=1e-2)
    text = done("eigen", ours, *ONE, "--engine", "pyhessian")
    assert re.search(r"^  largest \|λ\|  -?[\d.e-]+", text, re.MULTILINE)


def test_budget_below_what_k_needs(ours: Path) -> None:
    line = failed("eigen", ours, *ONE, "-k", "3", "--budget", "4", code=2)
    assert line.startswith("Error: --budget must be a whole number of at least 8 (products")


def test_k_of_pyhessian(ours: Path) -> None:
    line = failed("eigen", ours, *ONE, "-k", "3", "--engine", "pyhessian", code=2)
    assert line == "Error: -k must be 1 (with --engine 'pyhessian'); got 3\n"


def test_more_eigenvalues_than_parameters_is_said_before_any_is_measured(ours: Path) -> None:
    dims = {name: load_subject(ours).select(name).dim for name in ("fou", "mor")}
    assert dims["mor"] < dims["fou"]
    line = failed("eigen", ours, "-k", str(dims["mor"] + 1), "--out", "found", code=2)
    assert (
        f"Error: -k must be at most {dims['mor']:,}, the parameters of 'mor'; got {dims['mor'] + 1}"
        in line
    )
    assert not list(Path("found").iterdir())
    assert "k must be at most" in failed("eigen", ours, *ONE, "-k", "100000", code=2)


def test_unknown_engine() -> None:
    line = failed("eigen", "x.pt", "--engine", "pyhesian", code=2)
    assert "--engine must be 'native' or 'pyhessian'; got 'pyhesian'; did you mean" in line
