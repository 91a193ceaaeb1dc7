"""``sharpscope eigen``: both ends with residuals."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sharpscope_cli.render import show_eigenvalues

import sharpscope as ss
from sharpscope.results import EigenResult, Outcome
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
    assert re.search("^modality +λ_max", text, re.MULTILINE)
    assert "eigenvalue of fou" in text
    assert "eigenvalue of mor" in text
    assert "data error" in text


def test_values_are_printed_to_the_places_that_their_residuals_support(
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole: dict[str, Any] = {"parameters": 9, "samples": 9, "loss": "fusion", "loss_value": 1.0}
    whole |= {"outcome": Outcome.CONVERGED, "method": "lanczos", "matvecs": 9.0, "seconds": 1.0}
    result = EigenResult(
        modality="cxr",
        eigenvalues=(20.543712, 3.3333333, -0.33183),
        residuals=(9.1e-4, 1e-7, 8.8e-4),
        largest=20.543712,
        smallest=-0.33183,
        largest_magnitude=20.543712,
        data_errors=None,
        seed=0,
        **whole,
    )
    show_eigenvalues([result])
    text = capsys.readouterr().out
    assert "  λ_max        20.54 (residual 9.1e-04)\n" in text
    assert "  λ_min        -0.33 (residual 8.8e-04)\n" in text
    assert "   3.33333   1.0e-07" in text
    show_eigenvalues([result, replace(result, modality="ehr")])
    assert re.search("^cxr +20.54 +-0.33 +20.54 +9.1e-04", capsys.readouterr().out, re.MULTILINE)
    assert "λ_max 20.54, λ_min -0.33," in repr(result)
    assert result.to_dict()["eigenvalues"] == [20.543712, 3.3333333, -0.33183]


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
