"""Errors of differences: paired ones are smaller, and intervals cover as often as they say."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from sharpscope.comparing import compare
from sharpscope.estimators import Hutchinson, HutchPlusPlus, TopEigenvalues, XTrace
from sharpscope.operators import DenseOperator
from sharpscope.results import TraceResult
from sharpscope.results.comparison import Difference
from tests.comparing import family
from tests.comparing.family import FLATTER, REFERENCE, Quadratic, drawn, hessian, truth

SEEDS = 300


def pair(estimator: Any, data: torch.Tensor, other: Any = None) -> list[TraceResult]:
    late = estimator(Quadratic(REFERENCE, data))
    masam = (other or estimator)(Quadratic(FLATTER, data))
    return [replace(late, tag="late"), replace(masam, tag="masam")]


def differing(results: list[Any]) -> Difference:
    (found,) = compare(results).differences
    return found


def covered(estimator: Any, true: float) -> tuple[float, float]:
    """Return how often the interval covers, and the share of the error that pairing leaves."""
    inside, shares = 0, list[float]()
    for seed in range(SEEDS):
        results = pair(estimator(seed), drawn(seed))
        found = differing(results)
        assert found.interval is not None
        assert found.paired == ("probes", "batches")
        inside += found.interval[0] <= true <= found.interval[1]
        errors = [(r.standard_error or 0) ** 2 + (r.data_error or 0) ** 2 for r in results]
        shares.append((found.error or 0) / sum(errors) ** 0.5)
    return inside / SEEDS, float(np.mean(shares))


@pytest.mark.parametrize(
    ("estimator", "probes"), [(Hutchinson, 12), (Hutchinson, 60), (HutchPlusPlus, 12)]
)
def test_intervals_cover_the_true_difference_of_two_models_of_a_family(estimator: Any, probes: int):
    """Data and probes drawn anew, the population's difference in closed form."""
    true = truth(FLATTER) - truth(REFERENCE)
    rate, share = covered(lambda seed: estimator(probes=probes, seed=seed), true)
    assert 0.91 <= rate <= 0.99, rate
    assert share < 0.4  # of what unpaired errors in quadrature would be


def test_intervals_cover_where_probes_are_the_only_noise():
    true = float(hessian(FLATTER).trace() - hessian(REFERENCE).trace())
    inside = 0
    for seed in range(SEEDS):
        found = [
            replace(Hutchinson(probes=15, seed=seed)(DenseOperator(hessian(scales))), tag=name)
            for name, scales in (("late", REFERENCE), ("masam", FLATTER))
        ]
        one = differing(found)
        assert one.data_error is None
        assert one.interval is not None
        inside += one.interval[0] <= true <= one.interval[1]
    assert 0.91 <= inside / SEEDS <= 0.99


def test_the_paired_error_is_that_of_the_paired_differences():
    """Students' test on the differences of the terms, written out."""
    results = pair(Hutchinson(probes=20), drawn(0))
    a, b = (np.array(result.terms) for result in results)
    plain = [replace(r, standard_error=float(stats.sem(r.terms))) for r in results]
    found = differing(plain)
    assert found.difference == pytest.approx(float(b.mean() - a.mean()))
    assert found.probe_error == pytest.approx(float(stats.sem(b - a)))


def test_the_data_error_is_that_of_the_batches_differences():
    exact = HutchPlusPlus(rank=family.DIM)
    found = differing(pair(exact, drawn(1)))
    assert found.probe_error == 0
    sizes = np.array(family.SIZES)
    batches = drawn(1).split(list(family.SIZES))
    sums = np.array([float(((x * FLATTER) ** 2 - x**2).sum()) for x in batches])
    residuals = sums - sizes * sums.sum() / sizes.sum()
    count = len(sizes)
    error = (count / (count - 1) * (residuals**2).sum()) ** 0.5 / sizes.sum()
    assert found.data_error == pytest.approx(error)
    half = stats.t.ppf(0.975, count - 1) * error
    assert found.interval == pytest.approx(
        ((found.difference or 0) - half, (found.difference or 0) + half)
    )


def test_more_probes_of_one_model_still_pair_with_those_of_the_other():
    data = drawn(2)
    results = pair(Hutchinson(probes=10), data, Hutchinson(probes=40))
    found = differing(results)
    independent = sum((result.standard_error or 0) ** 2 for result in results) ** 0.5
    assert found.probe_error is not None
    assert found.probe_error < independent
    few, many = (np.array(r.terms) for r in results)
    # What cancels is that of the first ten, which enter the longer mean with a quarter each.
    rho = float(np.corrcoef(few, many[:10])[0, 1])
    errors = [result.standard_error or 0 for result in results]
    expected = errors[0] ** 2 + errors[1] ** 2 - 2 * rho * errors[0] * errors[1] * 0.5
    assert found.probe_error == pytest.approx(expected**0.5)


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"parameters": family.DIM + 1},
        {"provenance": {"model_fingerprint": "b", "split": "train", "data_fingerprint": "family"}},
        {"method": "xtrace"},
        {"settings": {"distribution": "gaussian", "operator": "quadratic"}},
    ],
)
def test_without_common_probes_errors_add_in_quadrature_and_it_is_said(change: dict[str, Any]):
    late, masam = pair(Hutchinson(probes=12), drawn(3))
    found = compare([late, replace(masam, **change)])
    (one,) = found.differences
    assert one.paired == ("batches",)
    errors = [result.standard_error or 0 for result in (late, masam)]
    assert one.probe_error == pytest.approx((errors[0] ** 2 + errors[1] ** 2) ** 0.5)
    told = "trace of masam (x): probe errors are unpaired and add in quadrature"
    assert any(note.startswith(told) for note in found.notes)


def test_xtrace_is_unpaired_over_probes_and_paired_over_batches():
    assert differing(pair(XTrace(probes=12), drawn(4))).paired == ("batches",)


def test_the_interval_of_the_ratio_covers_and_agrees_with_that_of_the_difference():
    true, inside = truth(FLATTER) / truth(REFERENCE), 0
    verdicts: set[str] = set()
    for seed in range(SEEDS):
        estimator, data = Hutchinson(probes=20, seed=seed), drawn(seed)
        found = differing(pair(estimator, data))
        assert found.ratio_interval is not None
        inside += found.ratio_interval[0] <= true <= found.ratio_interval[1]
        late, _ = pair(estimator, data)
        noise = torch.randn(family.DIM, generator=torch.Generator().manual_seed(seed)).double()
        other = replace(estimator(Quadratic(1 + 0.05 * noise, data)), tag="other")
        close = differing([late, other])
        assert close.ratio_interval is not None
        one_inside = close.ratio_interval[0] <= 1 <= close.ratio_interval[1]
        assert one_inside == (close.verdict == "within noise")
        verdicts.add(close.verdict)
    assert 0.91 <= inside / SEEDS <= 0.99
    assert verdicts == {"different", "within noise"}


def test_no_interval_of_a_ratio_where_the_lower_number_may_be_0():
    late, masam = pair(Hutchinson(probes=12), drawn(0))
    unsure = replace(late, standard_error=late.value)
    found = differing([unsure, replace(masam, seed=1)])
    assert found.ratio is not None
    assert found.ratio_interval is None
    negative = differing([replace(late, value=-1.0), masam])
    assert negative.ratio is None


def test_one_model_under_other_probes_is_within_noise_as_often_as_said():
    beyond, data = 0, drawn(0)
    for seed in range(SEEDS):
        found = [
            replace(Hutchinson(probes=20, seed=s)(Quadratic(REFERENCE, data)), tag=str(s))
            for s in (seed, seed + SEEDS)
        ]
        beyond += differing(found).verdict == "different"
    assert 0 < beyond / SEEDS <= 0.08


def test_the_largest_eigenvalue_has_a_data_error_and_a_bound():
    true = (
        torch.linalg.eigvalsh(hessian(FLATTER))[-1] - torch.linalg.eigvalsh(hessian(REFERENCE))[-1]
    )
    inside = 0
    for seed in range(100):
        data = drawn(seed)
        results = [
            replace(TopEigenvalues(rtol=1e-3)(Quadratic(scales, data)), tag=name)
            for name, scales in (("late", REFERENCE), ("masam", FLATTER))
        ]
        found = differing(results)
        assert found.interval is not None
        assert found.data_error is not None
        assert found.bound == pytest.approx(
            sum(r.residuals[0] * abs(r.largest_magnitude or 0) for r in results)
        )
        assert found.interval[1] - found.interval[0] > 2 * found.bound
        inside += found.interval[0] <= float(true) <= found.interval[1]
        data_errors = [(r.data_errors or (0.0,))[0] for r in results]
        assert found.data_error < max(data_errors)
    assert 0.90 <= inside / 100 <= 1
