"""Known values of Hutch++ (methods.md 6.1)."""

import pytest
import torch
from torch import Tensor

from sharpscope.errors import MisuseError
from sharpscope.estimators import Hutchinson, HutchPlusPlus
from sharpscope.operators import DenseOperator
from tests.estimators.test_trace import DECAYING, with_spectrum


def _low_rank() -> Tensor:
    factor = torch.randn(6, 2, dtype=torch.float64)
    return factor @ factor.T


def test_rank_two_is_exact_with_three_vectors():
    matrix = _low_rank()
    found = HutchPlusPlus(rank=3, probes=3)(DenseOperator(matrix))
    assert found.deflated == 3
    assert found.value == pytest.approx(matrix.trace().item(), rel=1e-12)
    assert found.standard_error == pytest.approx(0, abs=1e-12 * matrix.trace().item())


def test_a_selection_no_larger_than_the_rank_is_exact():
    matrix = _low_rank() - torch.eye(6)
    found = HutchPlusPlus(rank=6)(DenseOperator(matrix))
    assert found.value == pytest.approx(matrix.trace().item(), rel=1e-12)
    assert (found.standard_error, found.probes, found.matvecs) == (0, 0, 6)
    assert found.interval == (found.value, found.value)
    assert found.outcome == "converged"


def test_it_needs_fewer_products_where_the_spectrum_decays():
    operator = DenseOperator(with_spectrum(torch.cat([DECAYING, torch.full((300,), 0.001)])))
    plain = Hutchinson(rtol=0.01)(operator)
    deflated = HutchPlusPlus(rtol=0.01)(operator)
    assert deflated.matvecs < plain.matvecs / 10
    assert deflated.outcome == "converged"


def test_a_small_budget_keeps_enough_for_an_interval():
    found = HutchPlusPlus(budget=30, rtol=1e-6)(DenseOperator(with_spectrum(DECAYING)))
    assert (found.deflated, found.probes) == (15, 15)
    assert found.interval is not None
    least = HutchPlusPlus(budget=12, rtol=1e-6)(DenseOperator(with_spectrum(DECAYING)))
    assert (least.deflated, least.probes) == (2, 10)


def test_a_small_budget_keeps_enough_for_an_interval_of_the_original():
    found = HutchPlusPlus(budget=30, rank=20)(DenseOperator(with_spectrum(DECAYING)))
    assert (found.deflated, found.matvecs) == (10, 30)
    assert found.interval is not None


def test_rank_zero_is_plain_hutchinson():
    operator = DenseOperator(with_spectrum(DECAYING))
    assert HutchPlusPlus(rank=0, probes=5)(operator).terms == Hutchinson(probes=5)(operator).terms


def test_a_negative_rank_is_refused():
    with pytest.raises(MisuseError, match="rank must be a whole number of at least 0; got -1"):
        HutchPlusPlus(rank=-1)
