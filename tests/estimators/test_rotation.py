"""Probes drawn twice: no bias, the variance of the best linear estimate, no probe three times."""

import math
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from sharpscope.estimators import HutchPlusPlus, rotation
from sharpscope.estimators.cost import Meter
from sharpscope.estimators.rotation import Panel, Seen
from sharpscope.estimators.statistics import correlation
from sharpscope.operators import DenseOperator
from tests.estimators.test_trace import with_spectrum

FLAT = torch.linspace(-0.5, 1.5, 60)


def drifting(count: int, share: float, seed: int = 0) -> list[Tensor]:
    """Return matrices of which each has so much of the one before, the trace growing."""
    found = [with_spectrum(FLAT, seed=seed)]
    for number in range(1, count):
        other = with_spectrum(FLAT, seed=seed + 100 + number)
        found.append(share * found[-1] + math.sqrt(1 - share**2) * other)
        found[-1] = found[-1] + 0.2 * torch.eye(60, dtype=torch.float64)
    return found


def covariance(a: Tensor, b: Tensor) -> float:
    """Return the covariance of ``zᵀAz`` and ``zᵀBz``, from the dense matrices."""
    off = (a - a.diagonal().diag()) * (b - b.diagonal().diag())
    return 2 * off.sum().item()


def best_variances(matrices: list[Tensor], probes: int) -> list[float]:
    """Return the variance of the best linear estimate of each trace from all probes so far.

    By generalized least squares on all of them at once; of each estimate, half of the probes are
    new, and those are drawn for the next one again.
    """
    count = len(matrices)
    information, found = torch.zeros(count, count, dtype=torch.float64), list[float]()
    for now in range(count):
        alone = torch.zeros_like(information)
        alone[now, now] = 1 / covariance(matrices[now], matrices[now])
        new = probes if now == 0 else probes // 2
        if now:
            pair = [matrices[now - 1], matrices[now]]
            spread = torch.tensor([[covariance(a, b) for b in pair] for a in pair])
            both = torch.zeros_like(information)
            both[now - 1 : now + 1, now - 1 : now + 1] = torch.linalg.inv(spread.double())
            before = torch.zeros_like(information)
            before[now - 1, now - 1] = 1 / spread[0, 0].item()
            # What was drawn once has now been drawn twice.
            information += probes // 2 * (both - before)
        information += new * alone
        seen = information[: now + 1, : now + 1]
        found.append(torch.linalg.inv(seen)[now, now].item())
    return found


@dataclass(frozen=True)
class Drawn:
    value: float
    panel: Panel
    before: Seen | None


def chain(matrices: list[Tensor], seed: int, probes: int = 12) -> list[Drawn]:
    """Estimate one trace after the other with as many probes each, without a basis."""
    seen, found = None, list[Drawn]()
    for matrix in matrices:
        panel, settings = Panel(seen), HutchPlusPlus(probes=probes, seed=seed)
        operator = DenseOperator(matrix)
        with operator.session():
            probing = panel.probing(operator, settings, Meter(1000, None), lambda v: v, None)
            probing.run()
        panel.done(probing)
        found.append(Drawn(probing.trace().value, panel, seen))
        seen = panel.left
    return found


def best_linear_variance(now: Drawn, count: int) -> float:
    """Return the variance of the generalized least squares estimate from both sets of probes."""
    assert now.before is not None
    assert now.panel.left is not None
    assert now.panel.correlation is not None
    k, m = len(now.before.numbers), now.panel.matched
    variances = [now.before.variance, now.panel.left.variance]
    deviations = torch.tensor(variances, dtype=torch.float64).sqrt()
    rho = now.panel.correlation
    both = torch.tensor([[1.0, rho], [rho, 1.0]], dtype=torch.float64)
    both = both * torch.outer(deviations, deviations)
    information = m * torch.linalg.inv(both)
    information[0, 0] += (k - m) / deviations[0] ** 2
    information[1, 1] += (count - m) / deviations[1] ** 2
    return torch.linalg.inv(information)[1, 1].item()


@pytest.mark.parametrize("share", [0.0, 0.6, 0.9, 0.99])
def test_the_second_estimate_has_the_variance_of_the_best_linear_one(share: float):
    for seed in range(5):
        _, now = chain(drifting(2, share), seed)
        assert now.panel.left is not None
        ours = now.panel.left.gain * now.panel.left.variance / 12
        assert ours == pytest.approx(best_linear_variance(now, 12), rel=1e-9)
        assert 0 < now.panel.left.gain <= 1


@pytest.mark.parametrize("share", [0.0, 0.8, 0.98])
def test_a_long_chain_has_no_bias_and_the_least_variance_and_tells_it(share: float):
    matrices = drifting(6, share)
    runs = [chain(matrices, seed) for seed in range(160)]
    for place, best in enumerate(best_variances(matrices, 12)):
        values = torch.tensor([run[place].value for run in runs]).double()
        truth, spread = matrices[place].trace().item(), values.std().item()
        assert abs(values.mean().item() - truth) <= 4 * spread / 160**0.5
        # The standard deviation of 160 values is known to 6 %.
        assert spread == pytest.approx(math.sqrt(best), rel=0.2)
        left = [run[place].panel.left for run in runs]
        told = [one.gain * one.variance / 12 for one in left if one is not None]
        assert sum(told) / len(told) == pytest.approx(best, rel=0.1)


def test_no_probe_is_drawn_for_three_estimates():
    drawn = chain(drifting(8, 0.9), 0)
    uses: dict[int, int] = {}
    for one in drawn:
        numbers = [one.panel.number(position) for position in range(12)]
        assert len(set(numbers)) == 12
        for number in numbers:
            uses[number] = uses.get(number, 0) + 1
    assert max(uses.values()) == 2
    assert [one.panel.matched for one in drawn] == [0, *[6] * 7]


def test_correlations_are_those_of_the_matrices():
    a, b = drifting(2, 0.8)
    draws = torch.Generator().manual_seed(0)
    signs = torch.randint(0, 2, (2000, 60), generator=draws).double() * 2 - 1
    found = correlation(signs @ a, signs @ b, signs)
    true = covariance(a, b) / math.sqrt(covariance(a, a) * covariance(b, b))
    assert found == pytest.approx(true, abs=0.03)
    assert correlation(signs @ a, signs @ a, signs) == pytest.approx(1.0)
    assert correlation(signs @ a, -signs @ a, signs) == 0.0
    ones = torch.ones(4, 60).double()
    assert correlation(0 * ones, ones, ones) == 0.0  # nothing varies


def test_few_coordinates_tell_a_correlation(monkeypatch: pytest.MonkeyPatch):
    spectrum = torch.linspace(-0.5, 1.5, 800)
    before = with_spectrum(spectrum)
    after = 0.9 * before + 0.4 * with_spectrum(spectrum, seed=3)
    known = chain([before, after], 0)[1].panel.correlation
    monkeypatch.setattr(rotation, "_KEPT", 200)
    few = chain([before, after], 0)
    assert few[0].panel.left is not None
    assert few[0].panel.left.images.shape == (6, 200)  # those that are drawn again
    assert few[1].panel.correlation == pytest.approx(known, abs=0.1)


def test_few_probes_have_no_interval_however_much_is_known():
    operator, seen = DenseOperator(with_spectrum(FLAT)), None
    for _ in range(5):
        panel = Panel(seen)
        found = HutchPlusPlus(budget=4, seed=1)(operator, draws=panel)
        assert found.interval is None
        seen = panel.left
    assert seen is not None
    assert seen.gain < 0.5


def test_where_all_is_exact_nothing_is_left():
    panel = Panel()
    found = HutchPlusPlus(budget=100)(DenseOperator(with_spectrum(FLAT[:15], seed=1)), draws=panel)
    assert found.standard_error == 0
    assert (panel.left, panel.matched, panel.correlation) == (None, 0, None)


def test_a_flat_matrix_that_varies_in_nothing_is_estimated_plainly():
    identity = torch.eye(60, dtype=torch.float64)
    first, second = chain([identity, 2 * identity], 0, probes=4)
    assert first.value == pytest.approx(60)
    assert second.value == pytest.approx(120)
    assert second.panel.correlation is None
