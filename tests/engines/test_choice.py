"""The keyword ``engine=`` of the public functions."""

import subprocess
import sys
from typing import Any

import pytest

import sharpscope as ss
from sharpscope.errors import MisuseError
from tests.engines.quadratics import quadratic


def test_engines_give_the_same_numbers_under_their_own_methods():
    subject = quadratic([1.0, 0.5, -3.0])
    native, theirs = (ss.trace(subject, "x", engine=name) for name in ("native", "pyhessian"))
    assert theirs.value == pytest.approx(native.value)
    assert (native.method, theirs.method) == ("hutch++", "pyhessian hutchinson")
    ours, power = (ss.eigenvalues(subject, "x", engine=name) for name in ("native", "pyhessian"))
    assert power.largest_magnitude == pytest.approx(ours.largest_magnitude, rel=1e-5)
    assert (ours.method, power.method) == ("lanczos", "pyhessian power iteration")


@pytest.mark.parametrize(
    ("measure", "asked", "sentence"),
    [
        ("trace", {"engine": "pyhesian"}, "did you mean 'pyhessian'?"),
        ("eigenvalues", {"engine": "lanczos"}, "engine must be 'native' or 'pyhessian'; got"),
        (
            "trace",
            {"engine": "pyhessian", "method": "hutch++"},
            "method must be 'hutchinson' (with engine 'pyhessian'); got 'hutch++'",
        ),
        (
            "trace",
            {"engine": "pyhessian", "rank": 5},
            "rank is no setting (with engine 'pyhessian'); there are rtol, probes, budget, "
            "max_seconds, distribution, seed",
        ),
        (
            "trace",
            {"method": "hutchinson", "rank": 5},
            "rank is no setting (with method 'hutchinson')",
        ),
        (
            "trace",
            {"operator": "fisher"},
            "operator must be 'hessian', 'ggn' or 'fd'; got 'fisher'",
        ),
        (
            "trace",
            {"engine": "pyhessian", "operator": "ggn"},
            "operator must be 'hessian' (with engine 'pyhessian'); got 'ggn'",
        ),
        ("trace", {"rotl": 1}, "(with method 'hutch++'); did you mean 'rtol'?; there are rtol, "),
        (
            "eigenvalues",
            {"engine": "pyhessian", "k": 2},
            "k must be 1 (with engine 'pyhessian'); got 2",
        ),
        (
            "eigenvalues",
            {"engine": "pyhessian", "keep_vectors": True},
            "keep_vectors is no setting (with engine 'pyhessian'); there are rtol, budget, ",
        ),
    ],
)
def test_what_an_engine_does_not_know(measure: str, asked: dict[str, Any], sentence: str):
    with pytest.raises(MisuseError) as caught:
        getattr(ss, measure)(quadratic([1.0]), "x", **asked)
    assert sentence in str(caught.value)


def test_method_hutchinson_is_known_to_both():
    found = ss.trace(quadratic([1.0]), "x", engine="pyhessian", method="hutchinson")
    assert found.value == pytest.approx(1.0)


def test_native_imports_no_engine():
    code = (
        "import sys, sharpscope.measure; "
        "print([name for name in sys.modules if 'engines' in name or 'pyhessian' in name])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
