"""PyHessian's power iteration, judged by its own residual."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sharpscope.engines import PyHessianEigenvalue
from sharpscope.estimators import Progress
from sharpscope.results import Outcome, load
from sharpscope.subject import Subject
from tests import problems
from tests.engines.quadratics import quadratic


@pytest.mark.parametrize("name", ["conv_batchnorm", "attention", "tied"])
def test_equals_the_dense_eigenvalue_of_largest_magnitude(name: str):
    model = problems.build(name)
    subject = problems.subject_of(model)
    modality = problems.PROBLEMS[name].modality
    dense = problems.oracle_of(model, subject.select(modality).names).hessian()
    spectrum = torch.linalg.eigvalsh(dense)
    extreme = spectrum[spectrum.abs().argmax()].item()
    found = PyHessianEigenvalue(rtol=1e-4)(subject, modality)
    assert found.outcome is Outcome.CONVERGED
    assert found.largest_magnitude == pytest.approx(extreme, rel=1e-4)
    assert found.eigenvalues == (found.largest_magnitude,)
    assert found.residuals[0] <= 1e-4


def test_finds_the_negative_end_where_it_is_the_larger_one():
    found = PyHessianEigenvalue()(quadratic([1.0, 0.5, -3.0, 0.1]), "x")
    assert found.largest_magnitude == pytest.approx(-3, rel=1e-5)
    assert found.largest is None
    assert found.smallest is None
    assert found.data_errors is None
    assert "largest magnitude" in " ".join(found.notes)
    assert found.method == "pyhessian power iteration"


def test_residual_is_that_of_the_value_printed():
    """Two entries of a diagonal Hessian: λ = a c² + b s² has the residual |a − b| c s."""
    found = PyHessianEigenvalue(rtol=1e-9, budget=3)(quadratic([2.0, 1.8]), "x")
    value = found.eigenvalues[0]
    sine = math.sqrt((2.0 - value) / 0.2)
    expected = 0.2 * sine * math.sqrt(1 - sine**2) / value
    assert found.residuals[0] == pytest.approx(expected, rel=1e-3)
    assert (found.outcome, found.matvecs) == (Outcome.BUDGET_SPENT, 3)


def test_two_equal_magnitudes_do_not_converge():
    found = PyHessianEigenvalue(budget=50)(quadratic([1.0, -1.0]), "x")
    assert found.outcome is Outcome.BUDGET_SPENT
    assert found.residuals[0] > 1e-3


def test_a_small_eigenvalue_shows_its_bias_as_a_residual():
    found = PyHessianEigenvalue(budget=50)(quadratic([1e-10, 3e-11]), "x")
    assert found.outcome is Outcome.BUDGET_SPENT
    assert found.eigenvalues[0] == pytest.approx(0.98e-10, rel=0.01)
    assert found.residuals[0] == pytest.approx(0.02, rel=0.05)
    assert "1e-6" in " ".join(found.notes)


def test_stops_on_the_time():
    subject = problems.subject_of(problems.build("conv_batchnorm"))
    found = PyHessianEigenvalue(max_seconds=1e-3)(subject, "cxr")
    assert (found.outcome, found.matvecs) == (Outcome.BUDGET_SPENT, 1)


def test_a_zero_hessian_has_the_eigenvalue_zero():
    found = PyHessianEigenvalue()(quadratic([0.0, 0.0]), "x")
    assert (found.eigenvalues, found.residuals) == ((0.0,), (0.0,))
    assert (found.outcome, found.matvecs) == (Outcome.CONVERGED, 1)


def test_seed_decides():
    subject = problems.subject_of(problems.build("maxout"))
    runs = [PyHessianEigenvalue(budget=2, seed=seed)(subject, "cxr") for seed in (4, 4, 5)]
    assert runs[0].eigenvalues == runs[1].eigenvalues
    assert runs[0].eigenvalues != runs[2].eigenvalues


def test_a_product_that_is_not_finite_is_an_outcome():
    def loss(model: nn.Module, batch: Tensor) -> Tensor:
        w: Any = model.weight
        return ((w - w.detach()).abs() ** 1.5).sum() + (w**2).sum()

    model = nn.Linear(2, 1, bias=False)
    subject = Subject(model, [torch.zeros(1)], loss=loss, encoders={"x": "weight"})
    found = PyHessianEigenvalue()(subject, "x")
    assert (found.outcome, found.eigenvalues, found.matvecs) == (Outcome.NOT_FINITE, (), 1)


def test_progress_is_told_and_the_result_is_stored(tmp_path: Any):
    seen: list[Progress] = []
    subject = quadratic([1.0, 0.5, -3.0])
    found = PyHessianEigenvalue()(subject, "x", watcher=seen.append)
    assert [entry.products for entry in seen] == list(range(1, int(found.matvecs) + 1))
    assert load(found.save(tmp_path / "eigen.json")) == found
