"""Trace and λ_max from one basis, begun with what was known: the dense answers, cold and warm."""

import numpy as np
import pytest
import torch
from torch import Tensor

from sharpscope.errors import MisuseError, SubjectError
from sharpscope.estimators import Krylov
from sharpscope.estimators.cost import Meter
from sharpscope.estimators.ritz import RitzBasis
from sharpscope.estimators.tracking import Tracking
from sharpscope.operators import DenseOperator, HessianOperator
from tests.estimators.test_trace import DECAYING, with_spectrum
from tests.problems import build, oracle_of, subject_of

OUTLIERS = torch.cat(
    [torch.tensor([40.0, 24, 12, 9, 7, -6, 5, 4, 3]), torch.linspace(-0.1, 0.3, 400)]
)


# A bulk without a gap: Lanczos needs many steps to its end.
SLOW = torch.cat([torch.linspace(0, 1, 300), torch.linspace(1, 1.6, 40)])


def turned(matrix: Tensor, angle: float, seed: int = 1) -> Tensor:
    """Return the matrix with its eigenvectors turned by a small random rotation."""
    generator = torch.Generator().manual_seed(seed)
    size = len(matrix)
    x = torch.randn(size, size, generator=generator, dtype=torch.float64)
    rotation = torch.linalg.matrix_exp(angle * (x - x.T) / (2 * size) ** 0.5)
    return rotation @ matrix.double() @ rotation.T


def leading(matrix: Tensor, count: int) -> Tensor:
    values, vectors = torch.linalg.eigh(matrix.double())
    return vectors[:, values.abs().argsort(descending=True)[:count]].T


def test_from_a_random_start_it_is_lanczos():
    operator = DenseOperator(with_spectrum(OUTLIERS))
    meter = Meter(1000, None)
    ours, lanczos = RitzBasis(operator, 0), Krylov(operator, 0)
    for _ in range(12):
        ours.step(meter)
        lanczos.step(meter)
    assert ours.alpha == pytest.approx(lanczos.alpha, rel=1e-8)
    assert ours.beta == pytest.approx(lanczos.beta, rel=1e-8)
    assert (ours.rows @ lanczos.rows.T).abs().diagonal().min() > 1 - 1e-9


@pytest.mark.parametrize("angle", [0.0, 0.05, 0.5, 30.0])
def test_the_basis_is_what_it_says_whatever_it_began_with(angle: float):
    matrix = with_spectrum(OUTLIERS).double()
    operator = DenseOperator(turned(matrix, angle))
    meter = Meter(1000, None)
    basis = RitzBasis(operator, 0, leading(matrix, 6))
    assert basis.step_towards_largest(meter)
    for _ in range(3):
        assert basis.step_towards_largest(meter)
    for _ in range(10):
        assert basis.step(meter) is not None
    assert basis.size == meter.products == 14
    a, q = operator.matrix, basis.rows
    torch.testing.assert_close(q @ q.T, torch.eye(14).double(), rtol=0, atol=1e-10)
    rest = a @ q.T - q.T @ (q @ a @ q.T)
    torch.testing.assert_close(basis.remainders.T, rest, rtol=0, atol=1e-9)
    values, vectors, residuals = basis.ritz()
    small = torch.linalg.eigh(q @ a @ q.T)[0]
    assert values == pytest.approx(small.numpy(), abs=1e-9)
    x = q.T @ torch.from_numpy(vectors)
    true = (a @ x - x * torch.from_numpy(values)).norm(dim=0)
    assert residuals == pytest.approx(true.numpy(), abs=1e-8)
    # What each vector takes out of the squared norm is known without a product.
    captured = sum(al**2 + 2 * be**2 for al, be in zip(basis.alpha, basis.beta, strict=True))
    outside = torch.eye(len(a)).double() - q.T @ q
    left = (outside @ a @ outside).square().sum().item()
    assert a.square().sum().item() - left == pytest.approx(captured, rel=1e-8)


def test_eigenvectors_from_before_are_taken_and_stale_ones_dropped():
    matrix = with_spectrum(OUTLIERS).double()
    known, meter = leading(matrix, 6), Meter(1000, None)
    same = RitzBasis(DenseOperator(matrix), 0, known)
    for _ in range(6):
        same.step(meter)
    assert (same.used, same.left, same.stale) == (6, 0, False)
    assert same.ritz()[2].max() < 1e-9
    other = RitzBasis(DenseOperator(turned(matrix, 60.0)), 0, known)
    for _ in range(6):
        other.step(meter)
    assert (other.used, other.left, other.stale) == (1, 0, True)


def test_a_closed_space_goes_on_with_a_random_start():
    matrix = torch.diag(torch.tensor([3.0, 3.0, 3.0, 1.0, 1.0]))
    basis, meter = RitzBasis(DenseOperator(matrix), 0, torch.eye(5)[:1]), Meter(100, None)
    basis.step(meter)
    assert basis.closed
    for _ in range(4):
        basis.step(meter)
    assert basis.ritz()[0] == pytest.approx([1, 1, 3, 3, 3], abs=1e-5)


@pytest.mark.parametrize("angle", [0.0, 0.1, 1.0, 30.0])
def test_trace_and_largest_are_those_of_the_matrix(angle: float):
    matrix = with_spectrum(OUTLIERS).double()
    before = Tracking()(DenseOperator(matrix)).vectors
    changed = turned(matrix, angle)
    inside = 0
    for seed in range(30):
        found = Tracking(seed=seed, rtol=0.03)(DenseOperator(changed), before)
        assert found.largest is not None
        assert found.residual is not None
        assert found.largest <= 40 + 1e-9  # a Ritz value never lies outside the spectrum
        assert abs(found.largest - 40) <= found.residual * 40
        assert found.converged
        assert found.trace is not None
        assert found.trace.interval is not None
        low, high = found.trace.interval
        inside += low <= matrix.trace().item() <= high
    assert inside >= 26  # of 30, where 28.5 are meant


def test_a_negative_and_a_positive_extreme_are_told_apart():
    matrix = with_spectrum(torch.cat([torch.tensor([-50.0, 10.0]), torch.linspace(0, 1, 100)]))
    found = Tracking()(DenseOperator(matrix))
    assert found.largest == pytest.approx(10.0, rel=0.05)


def test_a_warm_start_saves_products_and_a_stale_one_costs_hardly_any():
    matrix = with_spectrum(SLOW).double()
    near, far = (DenseOperator(turned(matrix, angle)) for angle in (0.02, 60.0))
    for trace, saved in ((False, 0.85), (True, 0.95)):
        spent: dict[str, list[int]] = {"cold": [], "warm": [], "stale": [], "afresh": []}
        for seed in range(12):
            tracking = Tracking(seed=seed, eigen_rtol=5e-3)
            before = tracking(DenseOperator(matrix), trace=trace).vectors
            spent["cold"].append(tracking(near, trace=trace).products)
            spent["warm"].append(tracking(near, before, trace=trace).products)
            spent["afresh"].append(tracking(far, trace=trace).products)
            spent["stale"].append(tracking(far, before, trace=trace).products)
        mean = {name: np.mean(found) for name, found in spent.items()}
        assert mean["warm"] < saved * mean["cold"], (trace, mean)
        # The stale vector and the random one beside it: the search for a larger eigenvalue.
        assert mean["stale"] <= mean["afresh"] + 2, (trace, mean)


@pytest.mark.parametrize("trace", [False, True])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([10.0, 5.0], [6.0, 13.0]),  # an eigenvector that was known overtakes
        ([10.0, 0.5], [10.0, 13.0]),  # one that was not
        ([10.0, 0.5], [10.0, 14.0, 12.0]),
    ],
)
def test_an_eigenvalue_that_overtakes_is_found(
    before: list[float], after: list[float], trace: bool
):
    bulk = torch.linspace(-0.5, 1, 600).double()
    basis = torch.linalg.qr(
        torch.randn(600, 600, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    )[0]

    def matrix(top: list[float]) -> DenseOperator:
        values = bulk.clone()
        values[: len(top)] = torch.tensor(top)
        made = basis @ torch.diag(values) @ basis.T
        return DenseOperator((made + made.T) / 2)

    for seed in range(10):
        known = Tracking(seed=seed)(matrix(before), trace=trace).vectors
        found = Tracking(seed=seed)(matrix(after), known, trace=trace)
        assert found.largest == pytest.approx(max(after), rel=0.01)


@pytest.mark.parametrize("trace", [False, True])
def test_a_vector_that_has_turned_half_away_hides_no_larger_eigenvalue(trace: bool):
    draws = torch.Generator().manual_seed(4)
    basis = torch.linalg.qr(torch.randn(600, 600, generator=draws, dtype=torch.float64))[0]
    values = torch.linspace(-0.5, 1, 600).double()
    values[:2] = torch.tensor([10.0, 13.0])
    made = basis @ torch.diag(values) @ basis.T
    operator = DenseOperator((made + made.T) / 2)
    for degrees in (10, 20, 35, 50):
        angle = torch.tensor(degrees / 57.3)
        known = (angle.cos() * basis[:, 0] + angle.sin() * basis[:, 300])[None]
        for seed in range(8):
            found = Tracking(seed=seed)(operator, known, trace=trace)
            assert found.largest == pytest.approx(13.0, rel=0.01)


def test_what_is_not_asked_for_is_not_measured():
    operator = DenseOperator(with_spectrum(OUTLIERS))
    top = Tracking()(operator, trace=False)
    assert top.trace is None
    assert top.largest == pytest.approx(40.0, rel=0.02)
    trace = Tracking()(operator, largest=False)
    assert trace.trace is not None
    assert (trace.largest, trace.residual) == (None, None)
    assert top.products < trace.products


def test_an_encoder_is_its_dense_hessian():
    model = build("layer_norm")
    names = tuple(n for n, _ in model.named_parameters() if n.startswith("ehr_model"))
    oracle = oracle_of(model, names).hessian()
    operator = HessianOperator(subject_of(model, dtype="float64"), "ehr")
    found = Tracking(rtol=0.01, eigen_rtol=1e-6, budget=4000)(operator)
    again = Tracking(rtol=0.01, eigen_rtol=1e-6, budget=4000)(operator, found.vectors)
    for one in (found, again):
        assert one.trace is not None
        assert one.largest == pytest.approx(torch.linalg.eigvalsh(oracle)[-1].item(), rel=1e-5)
        assert one.trace.value is not None
        assert one.trace.standard_error is not None
        away = abs(one.trace.value - oracle.trace().item())
        assert away <= 4 * one.trace.standard_error + 1e-9


def test_what_is_not_finite_is_told():
    matrix = with_spectrum(DECAYING)
    matrix[3, 3] = float("nan")
    found = Tracking()(DenseOperator(matrix))
    assert (found.largest, found.trace, len(found.vectors)) == (None, None, 0)
    only = Tracking()(DenseOperator(matrix), largest=False).trace
    assert only is not None
    assert only.outcome == "not_finite"


def test_a_budget_ends_both():
    found = Tracking(rtol=1e-6, eigen_rtol=1e-12, budget=40)(DenseOperator(with_spectrum(OUTLIERS)))
    assert found.products <= 41
    assert found.trace is not None
    assert found.trace.outcome == "budget_spent"
    late = Tracking(rtol=1e-6, max_seconds=1e-6)(DenseOperator(with_spectrum(OUTLIERS)))
    assert late.trace is not None
    assert late.trace.outcome == "budget_spent"
    assert late.products < 20


def test_products_that_are_not_symmetric_are_refused():
    class Wrong(DenseOperator):
        _symmetric = True

    matrix = with_spectrum(OUTLIERS).double()
    matrix[0] *= 3
    operator = Wrong(torch.eye(len(matrix)).double())
    operator.matrix = matrix  # the door would have refused it
    basis, meter = RitzBasis(operator, 0), Meter(100, None)
    basis.step(meter)
    with pytest.raises(SubjectError, match="the products are not symmetric"):
        basis.step(meter)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"rtol": 0.0}, "rtol must be"),
        ({"eigen_rtol": -1.0}, "eigen_rtol must be"),
        ({"budget": 3}, "budget must be a whole number of at least 4"),
        ({"keep": 0}, "keep must be a whole number of at least 1"),
        ({"max_seconds": 0.0}, "max_seconds must be"),
        ({"seed": -1}, "seed must be a whole number of at least 0"),
    ],
)
def test_settings_out_of_range(settings: dict[str, float], sentence: str):
    with pytest.raises(MisuseError, match=sentence):
        Tracking(**settings)  # pyright: ignore[reportArgumentType]
