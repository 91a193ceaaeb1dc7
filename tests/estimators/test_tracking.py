"""Trace and λ_max from one basis, begun with what was known: the dense answers, cold and warm."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sharpscope.errors import MisuseError, SubjectError
from sharpscope.estimators.tracking import Known, Tracking
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


@pytest.mark.parametrize("angle", [0.0, 0.1, 1.0, 30.0])
def test_trace_and_largest_are_those_of_the_matrix(angle: float):
    matrix = with_spectrum(OUTLIERS).double()
    before = Tracking()(DenseOperator(matrix)).known
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


def test_what_is_known_saves_products_and_costs_none_where_it_is_stale():
    matrix = with_spectrum(SLOW).double()
    near, far = (DenseOperator(turned(matrix, angle)) for angle in (0.02, 60.0))
    for trace, saved in ((False, 0.85), (True, 0.8)):
        spent: dict[str, list[int]] = {"cold": [], "warm": [], "stale": [], "afresh": []}
        for seed in range(24):
            tracking = Tracking(seed=seed, eigen_rtol=5e-3)
            known = tracking(DenseOperator(matrix), trace=trace).known
            warm, stale = tracking(near, known, trace=trace), tracking(far, known, trace=trace)
            assert (warm.stale, stale.stale) == (False, True)
            spent["cold"].append(tracking(near, trace=trace).products)
            spent["warm"].append(warm.products)
            spent["afresh"].append(tracking(far, trace=trace).products)
            spent["stale"].append(stale.products)
        mean = {name: np.mean(found) for name, found in spent.items()}
        assert mean["warm"] < saved * mean["cold"], (trace, mean)
        # Of the same size: the counts of 24 runs have a mean within 3 %.
        assert mean["stale"] <= 1.03 * mean["afresh"], (trace, mean)


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
        known = Tracking(seed=seed)(matrix(before), trace=trace).known
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
        vector = (angle.cos() * basis[:, 0] + angle.sin() * basis[:, 300])[None]
        known = Known(vector, torch.tensor([10.0]).double(), None)
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


def test_a_small_operator_is_exact_again_and_again():
    operator = DenseOperator(torch.diag(torch.tensor([1.0, 2.0, 3.0])))
    for largest in (True, False):
        known = None
        for _ in range(3):
            found = Tracking()(operator, known, largest=largest)
            assert found.trace is not None
            assert (found.trace.value, found.trace.standard_error) == (6.0, 0.0)
            assert (found.matched, found.correlation) == (0, None)
            assert found.stale is not True
            known = found.known


def test_an_operator_that_was_nothing_is_begun_anew():
    nothing, something = torch.zeros(200, 200).double(), with_spectrum(OUTLIERS[:200])
    known = Tracking()(DenseOperator(nothing)).known
    found = Tracking()(DenseOperator(something), known)
    assert found.largest == pytest.approx(40.0, rel=0.02)
    assert found.trace is not None
    assert found.trace.value is not None
    assert found.trace.value == pytest.approx(OUTLIERS[:200].sum().item(), rel=0.2)


def test_a_tiny_operator_is_followed():
    operator, known = DenseOperator(with_spectrum(OUTLIERS[:200]).float() * 1e-26), None
    for _ in range(3):
        found = Tracking()(operator, known)
        assert found.largest == pytest.approx(40e-26, rel=0.02)
        assert found.trace is not None
        assert found.trace.outcome == "converged"
        known = found.known


def test_what_is_known_of_other_parameters_is_not_used():
    small, large = (DenseOperator(with_spectrum(OUTLIERS[:size])) for size in (200, 300))
    found = Tracking()(large, Tracking()(small).known)
    anew = Tracking()(large)
    assert found.trace is not None
    assert anew.trace is not None
    assert (found.stale, found.matched, found.trace.value) == (None, 0, anew.trace.value)


def test_an_encoder_is_its_dense_hessian():
    model = build("layer_norm")
    names = tuple(n for n, _ in model.named_parameters() if n.startswith("ehr_model"))
    oracle = oracle_of(model, names).hessian()
    operator = HessianOperator(subject_of(model, dtype="float64"), "ehr")
    found = Tracking(rtol=0.01, eigen_rtol=1e-6, budget=4000)(operator)
    again = Tracking(rtol=0.01, eigen_rtol=1e-6, budget=4000)(operator, found.known)
    for one in (found, again):
        assert one.trace is not None
        assert one.largest == pytest.approx(torch.linalg.eigvalsh(oracle)[-1].item(), rel=1e-5)
        assert one.trace.value is not None
        assert one.trace.standard_error is not None
        away = abs(one.trace.value - oracle.trace().item())
        assert away <= 4 * one.trace.standard_error + 1e-9


def moved(model: nn.Module, place: int) -> None:
    """Take the parameters a little further, each time in the same way."""
    draws = torch.Generator().manual_seed(place)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=draws, dtype=torch.float64)
            parameter.add_(0.02 * noise.to(parameter))


def test_an_encoder_that_trains_is_followed_also_over_a_measurement_that_fails():
    model = build("conv_batchnorm").eval()
    names = tuple(n for n, _ in model.named_parameters() if n.startswith("cxr_model"))
    subject, known = subject_of(model, dtype="float64"), None  # of uneven batches
    first = dict(model.named_parameters())[names[0]]
    for place in range(6):
        moved(model, place)
        kept = first.detach().clone()
        if place == 3:
            first.data.view(-1)[0] = float("nan")
        tracking = Tracking(rtol=0.1, eigen_rtol=1e-6, seed=2)
        try:
            found = tracking(HessianOperator(subject, "cxr"), known)
        except SubjectError:
            assert place == 3
            found = None
        first.data.copy_(kept)
        known = None if found is None else found.known
        if found is None or found.trace is None:
            assert place == 3
            continue
        dense = oracle_of(model, names).hessian()
        assert found.largest == pytest.approx(torch.linalg.eigvalsh(dense)[-1].item(), rel=1e-5)
        assert found.trace.value is not None
        assert found.trace.standard_error is not None
        away = abs(found.trace.value - dense.trace().item())
        assert away <= 4 * found.trace.standard_error + 1e-9
        assert (found.matched > 0) == (place not in (0, 4))


def test_a_negative_trace_is_followed():
    matrix = -with_spectrum(OUTLIERS).double()
    known = None
    for place in range(6):
        now = turned(matrix, 0.05 * place)
        found = Tracking(seed=4)(DenseOperator(now), known)
        known = found.known
        assert found.largest == pytest.approx(6.0, rel=0.02)
        assert found.trace is not None
        assert found.trace.value is not None
        assert found.trace.standard_error is not None
        assert abs(found.trace.value - matrix.trace().item()) <= 4 * found.trace.standard_error
        assert found.trace.value < 0


def test_what_is_not_finite_is_told():
    matrix = with_spectrum(DECAYING)
    matrix[3, 3] = float("nan")
    found = Tracking()(DenseOperator(matrix))
    assert (found.largest, found.trace, found.known) == (None, None, None)
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
