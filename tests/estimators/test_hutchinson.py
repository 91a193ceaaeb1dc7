"""Known values of Hutchinson's estimator (methods.md 6.1)."""

import pytest
import torch

from sharpscope.estimators import Hutchinson
from sharpscope.operators import DenseOperator

MATRIX = torch.tensor([[2.0, 1.0], [1.0, -3.0]], dtype=torch.float64)


def test_rademacher_values_are_those_of_the_four_sign_vectors():
    found = Hutchinson(probes=400, budget=400)(DenseOperator(MATRIX))
    terms = torch.tensor(found.terms)
    assert set(found.terms) == {1.0, -3.0}
    assert terms.mean().item() == pytest.approx(-1, abs=4 * 2 / 20)
    assert terms.var().item() == pytest.approx(4, rel=0.05)


def test_gaussian_variance_is_twice_the_squared_frobenius_norm():
    found = Hutchinson(probes=4000, budget=4000, distribution="gaussian")(DenseOperator(MATRIX))
    assert torch.tensor(found.terms).var().item() == pytest.approx(30, rel=0.15)


def test_a_diagonal_is_exact_in_one_probe():
    found = Hutchinson(probes=2)(DenseOperator(torch.diag(torch.arange(5.0))))
    assert found.terms == (10.0, 10.0)
    assert found.standard_error == 0


def test_a_negative_trace_does_not_stop_early():
    # The package's older peer stops at once here: it divides by the signed mean (peers.md 4.1).
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(60, 60, generator=generator, dtype=torch.float64)
    matrix = noise + noise.T - 5 * torch.eye(60, dtype=torch.float64)
    found = Hutchinson(rtol=0.05)(DenseOperator(matrix))
    assert found.standard_error is not None
    assert found.value == pytest.approx(matrix.trace().item(), abs=4 * found.standard_error)
    assert found.probes > 30
    assert found.outcome == "converged"
