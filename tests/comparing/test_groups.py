"""Methods over seeds: paired by seed, seed error apart from what measuring leaves open."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

import sharpscope as ss
from sharpscope.results import TraceResult
from tests.comparing.makers import largest, traced

LATE = (90.0, 100.0, 110.0, 105.0)
MASAM = (70.0, 82.0, 90.0, 83.0)


def runs(
    name: str, values: tuple[float, ...], seeds: tuple[int, ...] = (), **more: Any
) -> list[TraceResult]:
    seeds = seeds or tuple(range(len(values)))
    return [
        traced(f"{name}-s{seed}", value, seed=seed, loss=0.5 + 0.01 * seed, **more)
        for seed, value in zip(seeds, values, strict=True)
    ]


def noted(found: ss.results.Comparison, start: str) -> bool:
    return any(note.startswith(start) for note in found.notes)


def test_means_over_seeds_are_paired_by_seed():
    # The order of files is that of a glob, which has nothing to say.
    found = ss.compare({"late": runs("late", LATE), "masam": runs("masam", MASAM)[::-1]})
    late, masam = found.entries
    assert (late.value, late.runs) == (pytest.approx(np.mean(LATE)), 4)
    assert late.seed_error == pytest.approx(stats.sem(LATE))
    assert late.train_loss == pytest.approx(0.515)
    assert late.train_loss_error == pytest.approx(stats.sem([0.5, 0.51, 0.52, 0.53]))
    assert masam.error == masam.seed_error
    differences = np.array(MASAM) - np.array(LATE)
    (one,) = found.differences
    assert "seeds" in one.paired
    assert one.difference == pytest.approx(differences.mean())
    assert one.seed_error == one.error == pytest.approx(stats.sem(differences))
    low, high = stats.ttest_1samp(differences, 0).confidence_interval(0.95)
    assert one.interval == pytest.approx((low, high))
    assert found.sentences[0].startswith("cxr: mean trace of masam is 0.80 of late's")
    assert found.sentences[0].endswith(" over 4 seeds")


def test_probe_and_data_error_of_the_mean_stand_apart():
    alone: dict[str, Any] = {"own_noise": 0.0}
    found = ss.compare(
        {"late": runs("late", LATE, **alone), "masam": runs("masam", MASAM, **alone)}
    )
    late = found.entries[0]
    # The same probes err alike in every run: the mean is as noisy as one of them.
    alike = np.mean([run.standard_error or 0 for run in runs("late", LATE, **alone)])
    assert late.probe_error == pytest.approx(alike)
    (one,) = found.differences
    assert one.probe_error is not None
    assert one.measured is not None
    assert one.interval != one.measured
    expected = abs(np.mean(MASAM) - np.mean(LATE)) / np.mean(LATE) * alike
    assert one.probe_error == pytest.approx(expected)


def test_a_difference_beyond_seeds_and_within_probes_is_within_noise():
    # Runs are exact copies but for one number: seeds hardly spread, probes are of other seeds.
    def noisy(name: str, base: float, probing: int) -> list[TraceResult]:
        return [
            replace(traced(f"{name}-s{s}", base + 1e-3 * s * (1 + probing), seed=s), seed=probing)
            for s in range(4)
        ]

    found = ss.compare({"late": noisy("late", 100.0, 0), "masam": noisy("masam", 101.0, 1)})
    (one,) = found.differences
    assert one.interval is not None
    assert one.interval[0] > 0
    assert one.measured is not None
    assert one.measured[0] < 0 < one.measured[1]
    assert one.verdict == "within noise"
    assert noted(found, "cxr, trace of masam: probe and data errors together, ")


def test_seeds_that_one_group_lacks_are_left_out_and_named():
    found = ss.compare(
        {"late": runs("late", LATE), "masam": runs("masam", MASAM[:3], seeds=(0, 1, 9))}
    )
    (one,) = found.differences
    assert one.runs == 2
    assert one.difference == pytest.approx(np.mean([70 - 90, 82 - 100]))
    assert noted(found, "2 of 4 runs of late left out (training seed 2, 3): others have no run of")
    assert noted(found, "1 of 3 runs of masam left out (training seed 9): others have no run of it")
    # The numbers of a row are of the same runs as the difference beside them.
    late, masam = found.entries
    assert (late.runs, masam.runs) == (2, 2)
    assert (masam.value or 0) - (late.value or 0) == pytest.approx(one.difference)


def test_without_common_seeds_welch():
    found = ss.compare(
        {"late": runs("late", LATE), "masam": runs("masam", MASAM[:3], seeds=(7, 8, 9))}
    )
    (one,) = found.differences
    assert "seeds" not in one.paired
    test = stats.ttest_ind(MASAM[:3], LATE, equal_var=False)
    assert one.interval == pytest.approx(tuple(test.confidence_interval(0.95)))
    assert noted(found, "Runs of late and masam are not paired: they share 0 training seeds.")
    assert found.sentences[0].endswith(" over 3 runs each")


def test_files_that_do_not_tell_their_seeds_and_seeds_that_come_twice():
    foreign = [
        traced(f"late-s{s}", value, provenance={"recipe": None}) for s, value in enumerate(LATE)
    ]
    found = ss.compare({"late": foreign, "masam": runs("masam", MASAM)})
    told = "Runs of late and masam are not paired: their files do not tell training seeds."
    assert noted(found, told)
    twice = [*runs("late", LATE), traced("late-again", 95.0, seed=0)]
    found = ss.compare({"late": twice, "masam": runs("masam", MASAM)})
    assert noted(found, "Runs of late and masam are not paired: a training seed is there twice.")
    assert found.entries[0].runs == 5


def test_a_group_of_one_run_has_no_seed_error():
    found = ss.compare({"late": runs("late", LATE[:1]), "masam": runs("masam", MASAM[:1])})
    (one,) = found.differences
    assert one.seed_error is None
    assert found.entries[0].seed_error is None
    assert one.error == pytest.approx(math.hypot(one.probe_error or 0, one.data_error or 0))
    assert noted(found, "late is one run: it has no seed error")
    assert " of one run, no seed error" in found.sentences[0]


def test_intervals_over_seeds_cover():
    """Runs of a method are normal around a mean, runs of a seed are correlated."""
    inside, count = 0, 300
    for trial in range(count):
        draws = np.random.default_rng(trial)
        common = draws.normal(0, 8, 5)
        late = tuple(100 + common + draws.normal(0, 3, 5))
        masam = tuple(90 + common + draws.normal(0, 3, 5))
        (one,) = ss.compare({"late": runs("late", late), "masam": runs("masam", masam)}).differences
        assert one.interval is not None
        inside += one.interval[0] <= -10 <= one.interval[1]
    assert 0.92 <= inside / count <= 0.98


def test_other_quantities_have_groups_as_well():
    groups = {
        name: [largest(f"{name}-s{s}", base + s, seed=s) for s in range(3)]
        for name, base in (("late", 9.0), ("masam", 6.0))
    }
    (one,) = ss.compare(groups).differences
    assert one.difference == pytest.approx(-3)
    assert one.seed_error == pytest.approx(0, abs=1e-12)
    assert one.bound == pytest.approx(1e-3 * (10 + 7))
    assert one.verdict == "different"
