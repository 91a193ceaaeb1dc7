"""What every trace estimator must do; a new one joins by a line in ``ESTIMATORS``."""

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from scipy import stats
from torch import Tensor

from sharpscope.errors import MisuseError
from sharpscope.estimators import Hutchinson, HutchPlusPlus, Progress, XTrace
from sharpscope.operators import DenseOperator, Products
from sharpscope.results import TraceResult
from tests import problems

ESTIMATORS: dict[str, Callable[..., Any]] = {
    "hutchinson": Hutchinson,
    "hutch++": HutchPlusPlus,
    "xtrace": XTrace,
    "hutch++ as published": functools.partial(HutchPlusPlus, rank=20),
}


@pytest.fixture(params=sorted(ESTIMATORS))
def estimator(request: pytest.FixtureRequest) -> Callable[..., Any]:
    return ESTIMATORS[request.param]


def with_spectrum(spectrum: Tensor, *, seed: int = 0) -> Tensor:
    """Return a symmetric float64 matrix with these eigenvalues in a random basis."""
    generator = torch.Generator().manual_seed(seed)
    size = len(spectrum)
    noise = torch.randn(size, size, generator=generator, dtype=torch.float64)
    basis = torch.linalg.qr(noise).Q
    matrix = basis @ torch.diag(spectrum.double()) @ basis.T
    return (matrix + matrix.T) / 2


DECAYING = 50 * 0.8 ** torch.arange(60)
NEGATIVE = torch.cat([-DECAYING, torch.full((40,), 0.5)])


@pytest.mark.parametrize("spectrum", [DECAYING, NEGATIVE, torch.ones(80)])
@pytest.mark.parametrize("distribution", ["rademacher", "gaussian"])
def test_the_estimate_is_within_four_errors_of_the_trace(
    estimator: Callable[..., Any], spectrum: Tensor, distribution: str
):
    found = estimator(distribution=distribution)(DenseOperator(with_spectrum(spectrum)))
    assert abs(found.value - spectrum.sum().item()) <= 4 * found.standard_error + 1e-9
    assert found.outcome == "converged"
    assert found.standard_error <= 0.02 * abs(found.value)


def test_it_is_unbiased(estimator: Callable[..., Any]):
    operator = DenseOperator(with_spectrum(NEGATIVE))
    values = torch.tensor([estimator(probes=4, seed=seed)(operator).value for seed in range(300)])
    error = values.std() / 300**0.5
    assert abs(values.mean() - NEGATIVE.sum()) <= 4 * error


def test_the_seed_names_the_probes(estimator: Callable[..., Any]):
    operator = DenseOperator(with_spectrum(DECAYING))
    one = estimator(probes=6)(operator)
    assert estimator(probes=6)(operator).terms == one.terms
    more = estimator(probes=9)(operator)
    if one.deflated == more.deflated:
        assert more.terms[:6] == pytest.approx(one.terms)
    other = estimator(probes=6, seed=1)(operator)
    assert not set(one.terms) & set(other.terms)


def test_probes_asked_for_are_probes_drawn(estimator: Callable[..., Any]):
    found = estimator(probes=7)(DenseOperator(with_spectrum(DECAYING)))
    assert (found.probes, len(found.terms), found.outcome) == (7, 7, "completed")
    cost = 2 if found.settings.get("rank") else 1  # of a deflated vector
    assert found.matvecs == 7 + cost * found.deflated
    assert found.interval is None


def test_the_interval_is_students(estimator: Callable[..., Any]):
    found = estimator(probes=12)(DenseOperator(with_spectrum(DECAYING)))
    half = stats.t.ppf(0.975, 11) * found.standard_error
    assert found.interval == pytest.approx((found.value - half, found.value + half))
    terms = torch.tensor(found.terms, dtype=torch.float64)
    shared = 2**0.5 if found.method == "xtrace" else 1  # what two probes share is in two terms
    least = shared * terms.std().item() / 12**0.5
    # That of the images may be larger.
    assert least * (1 - 1e-9) <= found.standard_error <= 3 * least
    assert found.value == pytest.approx(terms.mean().item() + found.exact_part)


def test_a_spent_budget_keeps_what_was_measured(estimator: Callable[..., Any]):
    found = estimator(budget=30, rtol=1e-6)(
        DenseOperator(with_spectrum(torch.linspace(-9, 10, 90)))
    )
    assert found.outcome == "budget_spent"
    assert found.matvecs == 30
    assert found.standard_error > 0
    assert "raise --budget or --max-seconds" in found.advice


def test_the_smallest_budget_still_gives_an_error_bar(estimator: Callable[..., Any]):
    least = 4 if estimator is XTrace else 2
    found = estimator(budget=least)(DenseOperator(with_spectrum(DECAYING)))
    assert (found.matvecs, found.probes, found.deflated) == (least, 2, least - 2)
    assert found.standard_error > 0


class _Slow(DenseOperator):
    """Each product is said to take a second."""

    def __init__(self, matrix: Tensor, monkeypatch: pytest.MonkeyPatch):
        super().__init__(matrix)
        self.now = 0.0
        monkeypatch.setattr("sharpscope.estimators.cost.time.perf_counter", lambda: self.now)

    def products(self, vectors: Tensor, others: Tensor | None = None) -> Products:
        self.now += vectors.shape[1]
        return super().products(vectors, others)


@pytest.mark.parametrize("limit", [0.5, 10.0, 25.0, 60.0])
def test_the_time_limit_ends_the_measurement(
    estimator: Callable[..., Any], limit: float, monkeypatch: pytest.MonkeyPatch
):
    operator = _Slow(with_spectrum(torch.linspace(-9, 10, 90)), monkeypatch)
    found = estimator(rtol=1e-6, max_seconds=limit)(operator)
    assert found.outcome == "budget_spent"
    # Two probes make an error bar and may exceed a limit that is too short for anything.
    assert found.seconds <= max(limit, 2 * found.deflated + 2 + 2)  # two pilots
    assert found.probes >= 2


def test_the_time_left_is_told_from_the_second_product_on(
    estimator: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
):
    seen: list[Progress] = []
    operator = _Slow(with_spectrum(DECAYING), monkeypatch)
    found = estimator(probes=20)(operator, watcher=seen.append)
    assert seen[0].products == 2
    total = found.matvecs
    assert all(p.seconds_left == pytest.approx(p.expected - p.products) for p in seen)
    assert seen[-1].products == seen[-1].expected == total
    assert seen[-1].standard_error == pytest.approx(found.standard_error)


def test_a_product_that_is_not_finite_is_an_outcome(estimator: Callable[..., Any]):
    class Broken(DenseOperator):
        def products(self, vectors: Tensor, others: Tensor | None = None) -> Products:
            found = super().products(vectors, others)
            return Products(
                found.columns * float("inf"), found.forms * float("nan"), found.weights, found.cross
            )

    found = estimator()(Broken(with_spectrum(DECAYING)))
    assert found.outcome == "not_finite"
    assert (found.value, found.standard_error, found.interval) == (None, None, None)
    assert found.to_dict()["value"] is None
    assert "--dtype float64" in found.advice


def test_a_trace_of_zero_does_not_divide_by_it(estimator: Callable[..., Any]):
    found = estimator()(DenseOperator(torch.zeros(30, 30)))
    assert (found.value, found.standard_error, found.outcome) == (0.0, 0.0, "converged")


def test_tiny_curvature_is_measured_like_any_other(estimator: Callable[..., Any]):
    large = estimator(seed=3)(DenseOperator(with_spectrum(DECAYING)))
    small = estimator(seed=3)(DenseOperator(1e-9 * with_spectrum(DECAYING)))
    assert small.value == pytest.approx(1e-9 * large.value, rel=1e-6)
    assert small.matvecs == large.matvecs


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"rtol": 0.0}, "rtol must be a finite number above 0; got 0.0"),
        ({"rtol": -1.0}, "rtol must be a finite number above 0; got -1.0"),
        ({"budget": 0}, r"budget must be a whole number of at least 2 \(products; two make a st"),
        ({"probes": 1}, r"probes must be a whole number of at least 2 \(two make a standard er"),
        ({"max_seconds": 0.0}, "max_seconds must be a finite number above 0; got 0.0"),
        ({"distribution": "uniform"}, "distribution must be 'rademacher' or 'gaussian'; got 'un"),
        ({"seed": -1}, "seed must be a whole number of at least 0; got -1"),
    ],
)
def test_settings_are_checked_at_the_door(
    estimator: Callable[..., Any], settings: dict[str, Any], sentence: str
):
    with pytest.raises(MisuseError, match=sentence):
        estimator(**settings)


def test_a_subject_needs_a_modality_and_an_operator_has_one(estimator: Callable[..., Any]):
    subject = problems.subject_of(problems.build("tied"))
    with pytest.raises(MisuseError, match=r"say which modality .* to measure: ehr, cxr, shared, a"):
        estimator()(subject)
    with pytest.raises(MisuseError, match="an operator has its modality and its loss already"):
        estimator()(DenseOperator(torch.eye(3)), "ehr")


def test_the_result_knows_where_it_comes_from(estimator: Callable[..., Any]):
    subject = problems.subject_of(problems.build("conv_batchnorm"), provenance={"checkpoint": "x"})
    found: TraceResult = estimator(probes=3)(subject, "cxr")
    assert (found.modality, found.parameters, found.samples) == ("cxr", 158, 12)
    assert found.loss == "fusion"
    oracle = problems.oracle_of(subject.model, ("fusion.bias",))
    assert found.loss_value == pytest.approx(oracle.loss(oracle.model).item(), rel=1e-9)
    assert found.provenance["checkpoint"] == "x"
    assert found.provenance["dtype"] == "float64"
    assert found.provenance["batches"] == len(problems.SIZES)
    assert found.settings["operator"] == "hessian"
    assert found.peak_bytes is None or found.peak_bytes > 0
    names = subject.select("cxr").names
    gradient = problems.oracle_of(subject.model, names).gradient().norm().item()
    size = sum(p.double().square().sum().item() for p in subject.select("cxr").parameters)
    assert found.value is not None
    assert found.normalized == pytest.approx(
        {
            "per_parameter": found.value / 158,
            "per_gradient_norm": found.value / gradient,
            "times_squared_norm": found.value * size,
        }
    )


class _Batched(DenseOperator):
    """A mean over batches, each with a matrix of its own."""

    def __init__(self, matrices: list[Tensor], weights: Tensor):
        super().__init__(torch.einsum("b,bij->ij", weights, torch.stack(matrices)) / weights.sum())
        self.matrices = matrices
        self.weights = weights

    def products(self, vectors: Tensor, others: Tensor | None = None) -> Products:
        forms = [
            w * (vectors * (m @ vectors)).sum(0)
            for w, m in zip(self.weights, self.matrices, strict=True)
        ]
        cross = [
            w * (vectors.new_zeros(0, len(vectors)) if others is None else others) @ m @ vectors
            for w, m in zip(self.weights, self.matrices, strict=True)
        ]
        return Products(self.matrix @ vectors, torch.stack(forms), self.weights, torch.stack(cross))


@pytest.mark.parametrize("probes", [10, 2000])
def test_the_data_error_holds_no_probe_noise(estimator: Callable[..., Any], probes: int):
    weights = torch.tensor([4.0, 4.0, 3.0, 1.0, 5.0], dtype=torch.float64)
    # Far off the diagonal the batches agree: all of that noise is the probes', none the data's.
    shared = with_spectrum(torch.linspace(-5, 5, 40))
    scales = torch.linspace(0.5, 2.0, 5)
    matrices = [shared + scale * torch.eye(40, dtype=torch.float64) for scale in scales]
    traces = torch.stack([m.trace() for m in matrices])
    whole = (weights * traces).sum() / weights.sum()
    variance = 5 / 4 * (weights * (traces - whole)).square().sum() / weights.sum().square()
    found = estimator(probes=probes, budget=5000)(_Batched(matrices, weights))
    assert found.data_error == pytest.approx(variance.sqrt().item(), rel=0.05)


def test_the_data_error_of_unlike_batches(estimator: Callable[..., Any]):
    weights = torch.tensor([4.0, 4.0, 3.0, 1.0, 5.0], dtype=torch.float64)
    matrices = [with_spectrum(torch.linspace(-1, 1 + i, 40), seed=i) for i in range(5)]
    traces = torch.stack([m.trace() for m in matrices])
    whole = (weights * traces).sum() / weights.sum()
    variance = 5 / 4 * (weights * (traces - whole)).square().sum() / weights.sum().square()
    found = estimator(probes=4000, budget=5000)(_Batched(matrices, weights))
    assert found.data_error == pytest.approx(variance.sqrt().item(), rel=0.03)


def test_a_data_error_below_the_probes_resolution_is_said(estimator: Callable[..., Any]):
    weights = torch.ones(4, dtype=torch.float64)
    matrices = [with_spectrum(torch.linspace(-1, 1, 40), seed=i) for i in range(4)]
    results = [estimator(probes=3, seed=seed)(_Batched(matrices, weights)) for seed in range(20)]
    hidden = [found for found in results if found.data_error is None]
    assert hidden
    assert all("smaller than these probes can resolve" in found.notes[-1] for found in hidden)


def test_one_batch_has_no_data_error(estimator: Callable[..., Any]):
    model = problems.build("tied")
    found = estimator(probes=3)(problems.subject_of(model, data=problems.batches((12,))), "ehr")
    assert found.data_error is None


def test_settings_can_be_printed_compared_and_changed():
    first = Hutchinson(rtol=0.1)
    assert first == Hutchinson(rtol=0.1)
    assert replace(first, seed=2) != first
    assert "rtol=0.1" in repr(first)


@pytest.mark.parametrize("kind", [Hutchinson, HutchPlusPlus])
def test_the_products_needed_are_foretold_within_a_factor_of_two(kind: type[Hutchinson]):
    operator = DenseOperator(with_spectrum(torch.linspace(-0.2, 1, 300).double()))
    short = kind(rtol=0.005, budget=100)(operator)
    assert short.outcome == "budget_spent"
    assert short.needed is not None
    whole = kind(rtol=0.005, budget=10**6)(operator)
    assert whole.outcome == "converged"
    assert 0.5 < short.needed / whole.matvecs < 2
