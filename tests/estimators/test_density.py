"""Spectral density: Gauss quadrature against moments and the full spectrum."""

import math
from typing import Any

import numpy as np
import pytest
import torch

import sharpscope as ss
from sharpscope.errors import MisuseError
from sharpscope.estimators import Hutchinson, SpectralDensity
from sharpscope.estimators.statistics import Spread
from sharpscope.operators import DenseOperator, HessianOperator
from sharpscope.results import Outcome
from sharpscope.streams import rademacher, stream
from tests.problems import PROBLEMS, build, oracle_of, subject_of
from tests.results.makers import a_density


def matrix(values: np.ndarray, seed: int = 0) -> torch.Tensor:
    """Return a symmetric matrix with these eigenvalues."""
    generator = torch.Generator().manual_seed(seed)
    size = len(values)
    basis = torch.linalg.qr(torch.randn(size, size, generator=generator, dtype=torch.float64))[0]
    return basis @ torch.diag(torch.from_numpy(values)) @ basis.T


SPECTRUM = np.concatenate([np.linspace(-0.3, 0.3, 90), [2.0, 2.5, 3.0, 4.0, 8.0]])


def test_moments_are_exact_up_to_the_degree_of_gauss():
    a = matrix(SPECTRUM)
    steps = 6
    found = SpectralDensity(steps=steps, runs=3)(DenseOperator(a))
    np.testing.assert_allclose(found.weights.sum(1), 1.0, rtol=1e-12)
    for run in range(3):
        start = rademacher(len(a), stream(0, "density", run)).double() / math.sqrt(len(a))
        image = start.clone()
        for degree in range(2 * steps):
            moment = (found.weights[run] * found.nodes[run] ** degree).sum()
            assert moment == pytest.approx(torch.dot(start, image).item(), rel=1e-8, abs=1e-10)
            image = a @ image


def test_it_is_the_density_of_the_full_spectrum_within_its_band():
    found = SpectralDensity(steps=64, runs=40, sigma=0.1)(DenseOperator(matrix(SPECTRUM)))
    bumps = np.exp(-0.5 * ((found.grid[:, None] - SPECTRUM) / 0.1) ** 2).mean(1)
    true = bumps / (0.1 * math.sqrt(2 * math.pi))
    away = abs(found.density - true) / (found.density_error + 1e-3 * true.max())
    assert np.quantile(away, 0.95) < 2.5
    step = found.grid[1] - found.grid[0]
    assert found.density.sum() * step == pytest.approx(1.0, abs=1e-3)
    assert found.smallest == pytest.approx(-0.3, abs=1e-3)
    assert found.largest == pytest.approx(8.0, rel=1e-9)
    assert found.negative is not None
    assert found.negative_error is not None
    assert abs(found.negative - 45 / 95) < 3 * found.negative_error + 0.02


def test_its_trace_is_the_one_of_its_probes():
    a = matrix(SPECTRUM)
    found = SpectralDensity(steps=4, runs=12)(DenseOperator(a))
    values = [
        torch.dot(v, a @ v).item()
        for v in (rademacher(len(a), stream(0, "density", run)).double() for run in range(12))
    ]
    assert found.trace == pytest.approx(np.mean(values))
    starts = [rademacher(len(a), stream(0, "density", run)).double() for run in range(12)]
    spread = Spread(rademacher=True)
    spread.add(torch.stack(starts, 1), torch.stack([a @ v for v in starts], 1))
    images = math.sqrt(spread.variance() / 12)
    assert found.trace_error == pytest.approx(max(np.std(values, ddof=1) / math.sqrt(12), images))
    plain = Hutchinson(probes=400)(DenseOperator(a)).value
    assert plain == pytest.approx(SPECTRUM.sum(), rel=0.1)


SMALL_BULK = np.concatenate([np.linspace(-4e-3, 6e-3, 600), [1.0, 0.4, 0.2, -0.1]])


@pytest.mark.parametrize("steps", [4, 8, 16, 32, 64])
@pytest.mark.parametrize("spectrum", [SPECTRUM, SMALL_BULK])
def test_bounds_of_shares_hold_what_one_node_counts_to_one_side(spectrum: np.ndarray, steps: int):
    """Nodes of the bulk fall on one side of a threshold in every run: their spread sees nothing."""
    most = abs(spectrum).max()
    below, near = (spectrum < -1e-3 * most).mean(), (abs(spectrum) <= 1e-2 * most).mean()
    blind = 0
    for seed in range(6):
        settings = SpectralDensity(steps=steps, runs=4, seed=seed)
        found = settings(DenseOperator(matrix(spectrum)))
        for name, true in (("negative", below), ("near_zero", near)):
            value, error = getattr(found, name), getattr(found, f"{name}_error")
            low, high = getattr(found, f"{name}_bounds")
            assert low <= value <= high
            # Of the noise of the starts one standard error is in the bounds; three must hold.
            assert low - 2 * error - 0.01 <= true <= high + 2 * error + 0.01
            blind += abs(value - true) > 5 * error + 0.01
    if spectrum is SMALL_BULK and steps == 8:
        assert blind  # which is why the bounds are there


def test_bounds_meet_where_nodes_are_eigenvalues():
    found = SpectralDensity(steps=60, runs=4)(DenseOperator(torch.diag(torch.arange(-3.0, 5.0))))
    assert found.negative_bounds is not None
    assert found.negative_error is not None
    low, high = found.negative_bounds
    assert high - low == pytest.approx(2 * found.negative_error, abs=1e-6)
    assert found.percent("negative") == "37.5 ± 0"


def test_text_of_a_share_is_its_bounds_where_they_are_apart():
    assert a_density().percent("negative") == "5 to 80"
    assert a_density().percent("near_zero") == "0 ± 0"
    none = a_density(negative=None, negative_bounds=None)
    assert none.percent("negative") == "not finite"


def test_the_error_of_a_skewed_trace_is_not_that_of_lucky_starts():
    """One large eigenvalue rules: few forms often agree by luck, their images know better."""
    spectrum = np.concatenate([[46.0], np.linspace(0, 0.2, 140)])
    operator, covered = DenseOperator(matrix(spectrum)), 0
    for seed in range(60):
        found = SpectralDensity(steps=3, runs=8, seed=seed)(operator)
        assert found.trace is not None
        assert found.trace_error is not None
        covered += abs(found.trace - spectrum.sum()) <= 2.4 * found.trace_error
    assert covered >= 53  # of 60, where 57 are meant; with the spread of the forms alone fewer


def test_a_recurrence_that_closes_is_exact():
    # Signs lie in a space of as many dimensions as there are distinct eigenvalues.
    found = SpectralDensity(steps=10, runs=2)(
        DenseOperator(torch.diag(torch.tensor([1.0, 1.0, 3.0, 3.0])))
    )
    np.testing.assert_allclose(found.nodes, [[1.0, 3.0]] * 2, atol=1e-5)
    np.testing.assert_allclose(found.weights, 0.5, atol=1e-6)
    assert (found.trace, found.trace_error) == (8.0, 0.0)
    assert found.matvecs == 4
    assert found.near_zero == found.negative == 0.0
    zero = SpectralDensity(steps=3, runs=2)(DenseOperator(torch.zeros(5, 5)))
    assert (zero.largest, zero.smallest, zero.near_zero) == (0.0, 0.0, 1.0)
    assert np.isfinite(zero.density).all()


def test_more_runs_extend_the_draws_and_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch):
    a = DenseOperator(matrix(SPECTRUM))
    few, many = (SpectralDensity(steps=5, runs=n)(a) for n in (3, 11))
    np.testing.assert_allclose(many.nodes[:3], few.nodes, rtol=1e-10)
    monkeypatch.setattr("sharpscope.estimators.density._MEMORY", 1)
    alone = SpectralDensity(steps=5, runs=3)(a)
    np.testing.assert_allclose(alone.nodes, few.nodes, rtol=1e-10)
    other = SpectralDensity(steps=5, runs=3, seed=1)(a)
    assert abs(other.nodes - few.nodes).max() > 1e-3


@pytest.mark.parametrize("name", PROBLEMS)
def test_an_encoder_has_the_density_of_its_dense_hessian(name: str):
    model = build(name)
    subject = subject_of(model)
    name = subject.owners.modalities[0]
    dense = oracle_of(model, subject.select(name).names).hessian()
    true = np.linalg.eigvalsh(dense.detach().numpy())
    found = ss.density(subject, name, steps=200, runs=4, budget=4000)
    size = max(abs(true).max(), 1e-12)
    # Every Ritz value with weight is an eigenvalue, once the recurrence has gone all the way.
    for theta, tau in zip(found.nodes.ravel(), found.weights.ravel(), strict=True):
        if tau > 1e-6:
            assert abs(true - theta).min() < 1e-6 * size
    assert found.trace is not None
    assert abs(found.trace - true.sum()) < 6 * (found.trace_error or 0.0) + 1e-6 * size


def test_budget_and_time_shorten_runs():
    a = DenseOperator(matrix(SPECTRUM))
    found = SpectralDensity(steps=64, runs=8, budget=80)(a)
    assert (found.outcome, found.matvecs) == (Outcome.BUDGET_SPENT, 80)
    assert found.nodes.shape == (8, 10)
    few = SpectralDensity(steps=64, runs=8, budget=6)(a)
    assert (few.nodes.shape, few.matvecs) == ((3, 2), 6)
    assert SpectralDensity(steps=4, runs=2)(a).outcome is Outcome.COMPLETED
    late = SpectralDensity(steps=64, runs=30, max_seconds=1e-9)(a)
    assert late.outcome is Outcome.BUDGET_SPENT
    assert late.runs >= 2
    assert late.matvecs < 64 * 30


def test_a_product_that_is_not_finite():
    broken = torch.full((4, 4), torch.nan)
    found = SpectralDensity(steps=3, runs=2)(DenseOperator(broken))
    assert found.outcome is Outcome.NOT_FINITE
    assert found.trace is None
    assert "not finite" in repr(found)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 1}, "steps must be a whole number of at least 2"),
        ({"runs": 1}, r"runs must be a whole number of at least 2 \(two make a standard error\)"),
        ({"points": 3}, "points must be a whole number of at least 16"),
        ({"budget": 3}, r"budget must be .* at least 4 \(products; two runs of two steps\)"),
        ({"sigma": 0.0}, "sigma must be a finite number above 0"),
        ({"max_seconds": -1.0}, "max_seconds must be a finite number above 0"),
        ({"seed": -1}, "seed must be a whole number of at least 0"),
    ],
)
def test_settings(settings: dict[str, Any], message: str):
    with pytest.raises(MisuseError, match=message):
        SpectralDensity(**settings)


def test_an_operator_has_its_modality_already():
    operator = HessianOperator(subject_of(build("layer_norm")), "ehr")
    with pytest.raises(MisuseError, match="an operator has its modality and its loss already"):
        SpectralDensity()(operator, "ehr")


def test_a_narrow_gaussian_loses_nothing_between_the_points():
    values = torch.diag(torch.tensor([0.123, 1.456, 2.789, 3.3, 5.77]).double())
    every: list[dict[str, Any]] = [{"sigma": 1e-9}, {"sigma": 1e-4}, {"points": 16}]
    for settings in every:
        found = SpectralDensity(runs=2, **settings)(DenseOperator(values))
        step = found.grid[1] - found.grid[0]
        assert found.density.sum() * step == pytest.approx(1.0, rel=1e-6)


def test_one_eigenvalue_has_a_width_of_its_own():
    q = torch.linalg.qr(torch.randn(50, 50, dtype=torch.float64))[0]
    one = 0.37 * q @ q.T
    found = SpectralDensity(runs=2)(DenseOperator((one + one.T) / 2))
    assert 1e-4 < found.sigma < 1e-2
    exact = SpectralDensity(runs=2)(DenseOperator(torch.eye(3).double() * 1.23456789012345))
    assert exact.trace == pytest.approx(3.70370367037035, rel=1e-14)


def test_runs_that_time_cuts_short_are_left_out(monkeypatch: pytest.MonkeyPatch):
    clock = iter(range(10_000))
    monkeypatch.setattr("time.perf_counter", lambda: float(next(clock)))
    found = SpectralDensity(steps=20, runs=16, max_seconds=100)(DenseOperator(matrix(SPECTRUM)))
    assert found.outcome is Outcome.BUDGET_SPENT
    assert not np.isnan(found.nodes).any()
    assert found.runs == 8


def test_it_comes_back_from_json_alone():
    found = SpectralDensity(steps=3, runs=2)(DenseOperator(matrix(SPECTRUM)))
    again = type(found).from_dict(found.to_dict())
    np.testing.assert_array_equal(again.nodes, found.nodes)
    assert again.steps == 3
    again.draw()
