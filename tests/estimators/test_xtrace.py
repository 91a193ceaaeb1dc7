"""XTrace equals its formula, and its error bar holds."""

import pytest
import torch
from torch import Tensor

from sharpscope.errors import MisuseError
from sharpscope.estimators import Hutchinson, XTrace
from sharpscope.estimators.probing import draw_block
from sharpscope.operators import DenseOperator
from tests.estimators.test_trace import DECAYING, NEGATIVE, with_spectrum


def textbook(matrix: Tensor, probes: Tensor) -> list[float]:
    """Return each term with a basis of its own, made from the images of all other probes."""
    images, found = matrix @ probes, list[float]()
    for index in range(probes.shape[1]):
        others = [j for j in range(probes.shape[1]) if j != index]
        basis = torch.linalg.qr(images[:, others]).Q
        probe = probes[:, index]
        rest = probe - basis @ (basis.T @ probe)
        found.append(((basis.T @ matrix @ basis).trace() + rest @ matrix @ rest).item())
    return found


@pytest.mark.parametrize("count", [3, 8, 17])
def test_terms_are_those_of_the_formula(count: int):
    matrix = with_spectrum(NEGATIVE)
    operator, estimator = DenseOperator(matrix), XTrace(probes=count)
    probes = draw_block(operator, estimator, 0, count)
    assert estimator(operator).terms == pytest.approx(textbook(matrix, probes), rel=1e-9)


def test_a_matrix_of_low_rank_is_exact():
    factor = torch.randn(60, 3, dtype=torch.float64)
    matrix = factor @ factor.T
    found = XTrace()(DenseOperator(matrix))
    assert found.value == pytest.approx(matrix.trace().item(), rel=1e-9)
    assert found.standard_error == pytest.approx(0, abs=1e-8 * matrix.trace().item())
    assert found.outcome == "converged"


def test_it_needs_fewer_products_where_the_spectrum_decays():
    operator = DenseOperator(with_spectrum(torch.cat([DECAYING, torch.full((300,), 0.001)])))
    assert XTrace(rtol=0.01)(operator).matvecs < Hutchinson(rtol=0.01)(operator).matvecs / 10


@pytest.mark.parametrize("spectrum", [NEGATIVE, DECAYING, torch.linspace(-1, 1.5, 200)])
def test_intervals_cover_the_true_trace(spectrum: Tensor):
    operator, covered = DenseOperator(with_spectrum(spectrum)), 0
    for seed in range(200):
        interval = XTrace(probes=13, seed=seed)(operator).interval
        assert interval is not None
        covered += interval[0] <= spectrum.sum().item() <= interval[1]
    assert 0.90 <= covered / 200 <= 0.99


def test_two_probes_need_four_products():
    with pytest.raises(MisuseError, match="budget must be a whole number of at least 4"):
        XTrace(budget=3)


@pytest.mark.parametrize(
    "matrix",
    [
        torch.diag(torch.tensor([4.0, 2.0, 1.0] + 57 * [0.0]).double()),
        torch.ones(40, 40).double(),
        torch.block_diag(2 * torch.ones(3, 3), torch.zeros(50, 50)).double(),
        torch.zeros(30, 30).double(),
    ],
)
def test_images_that_add_nothing_are_not_counted(matrix: Tensor):
    for dtype in (torch.float32, torch.float64):
        found = XTrace()(DenseOperator(matrix.to(dtype)))
        true = matrix.trace().item()
        assert found.value == pytest.approx(true, rel=1e-4, abs=1e-9)


@pytest.mark.parametrize("scale", [1e-200, 1e-33, 1.0, 1e16, 1e100])
def test_the_scale_of_the_matrix_does_not_matter(scale: float):
    matrix = with_spectrum(1 / torch.arange(1, 61))
    one = XTrace(probes=10)(DenseOperator(matrix))
    other = XTrace(probes=10)(DenseOperator(scale * matrix))
    assert one.value is not None
    assert one.standard_error is not None
    assert other.value == pytest.approx(scale * one.value, rel=1e-6)
    assert other.standard_error == pytest.approx(scale * one.standard_error, rel=1e-6)


def test_a_basis_of_the_whole_space_is_exact_whatever_is_asked():
    matrix = with_spectrum(torch.linspace(-3, 2.7, 24))
    found = XTrace(rtol=1e-4)(DenseOperator(matrix))
    assert found.value == pytest.approx(matrix.trace().item(), rel=1e-9)
    assert (found.probes, found.standard_error, found.outcome) == (24, 0, "converged")
