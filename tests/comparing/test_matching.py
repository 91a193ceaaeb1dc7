"""Runs at equal train loss, between the checkpoints that were kept."""

import math
from dataclasses import replace
from typing import Any

import pytest

import sharpscope as ss
from sharpscope.comparing.matching import Course, common_loss, run_of, shares
from sharpscope.errors import MisuseError
from sharpscope.results import TraceResult
from tests.comparing.makers import traced


def curve(
    run: str, losses: tuple[float, ...], *, factor: float = 1.0, seed: int = 0, **more: Any
) -> list[TraceResult]:
    """Return a run whose trace is linear in the logarithm of its loss."""
    return [
        traced(
            f"{run}.epoch{epoch:04d}",
            factor * (100 - 10 * math.log(loss)),
            loss=loss,
            epoch=epoch,
            seed=seed,
            **more,
        )
        for epoch, loss in enumerate(losses, 1)
    ]


def test_the_common_loss_is_the_largest_of_the_lowest():
    courses = [Course("a", (1, 2, 3), (2.0, 1.0, 0.5)), Course("b", (1, 2), (3.0, 0.8))]
    assert common_loss(courses) == 0.8
    assert shares(courses[1], 0.8) == [(1, 1.0)]
    (before, one), (after, other) = shares(courses[0], 0.8)
    assert (before, after) == (1, 2)
    assert one + other == pytest.approx(1)
    assert 1.0**one * 0.5**other == pytest.approx(0.8)


def test_the_first_passing_counts_where_a_loss_rises_again():
    course = Course("a", (1, 2, 3, 4), (2.0, 0.7, 0.9, 0.5))
    assert [place for place, _ in shares(course, 0.8)] == [0, 1]
    assert shares(Course("a", (1,), (0.8,)), 0.8) == [(0, 1.0)]


def test_names_of_kept_checkpoints_are_those_of_their_runs():
    assert [run_of(name) for name in ("late.epoch0003", "late", "a-late.epoch12")] == [
        "late",
        "late",
        "a-late",
    ]


def test_checkpoints_are_compared_at_equal_loss():
    late, masam = (2.0, 1.0, 0.5, 0.25), (1.9, 1.1, 0.7)
    results = [*curve("late", late), *curve("masam", masam, factor=0.8)]
    found = ss.compare(results, match="train-loss")
    assert found.names == ("late", "masam")
    assert found.train_loss == 0.7
    true = 100 - 10 * math.log(0.7)
    (one,) = found.differences
    assert [entry.value for entry in found.entries] == pytest.approx([true, 0.8 * true])
    assert one.difference == pytest.approx(-0.2 * true)
    assert {entry.train_loss for entry in found.entries} == {0.7}
    first, second = found.matches
    assert (first.run, first.epochs, first.losses) == ("late", (2, 3), (1.0, 0.5))
    assert (second.run, second.epochs, second.weights) == ("masam", (3,), (1.0,))
    told = (
        "At train loss 0.7, the lowest that all runs pass: late between epochs 2 and 3 (loss 1 and "
        "0.5); masam at epoch 3 (loss 0.7)."
    )
    assert found.notes[0].startswith(told)
    assert not any("Train losses differ" in note for note in found.notes)


def test_noise_of_interpolated_checkpoints_is_not_counted_as_independent():
    late = curve("late", (2.0, 1.0, 0.5), own_noise=0.0)
    results = [*late, *curve("masam", (2.0, 0.7), factor=0.8)]
    found = ss.compare(results, match="train-loss")
    # All probes err alike here, by a share of the value.
    known = results[0].standard_error
    assert known is not None
    assert found.entries[0].value is not None
    share = known / (results[0].value or 1)
    assert found.entries[0].probe_error == pytest.approx(share * found.entries[0].value)


def test_groups_are_matched_at_one_loss():
    groups = {
        name: [
            result
            for seed in range(3)
            for result in curve(f"{name}-s{seed}", (2.0, 1.0 - 0.1 * seed, low), factor=factor,
                                seed=seed)
        ]
        for name, factor, low in (("late", 1.0, 0.25), ("masam", 0.8, 0.5))
    }  # fmt: skip
    found = ss.compare(groups, match="train-loss")
    assert found.train_loss == 0.5
    assert len(found.matches) == 6
    (one,) = found.differences
    assert one.runs == 3
    assert one.ratio == pytest.approx(0.8)
    assert "late at epochs " in found.notes[0]
    assert "over 3 runs, between checkpoints at most 0.75 apart in loss" in found.notes[0]


def test_the_final_checkpoint_is_the_last_kept_one():
    kept = curve("late", (2.0, 0.5))
    final = replace(traced("late", 1.0, loss=0.5, epoch=2), tag="late")
    found = ss.compare([*kept, final, *curve("masam", (2.0, 0.5))], match="train-loss")
    assert found.entries[0].value == pytest.approx(kept[1].value)


def test_losses_that_do_not_overlap_are_refused_with_what_each_reached():
    results = [*curve("late", (0.4, 0.2)), *curve("masam", (2.0, 0.9))]
    told = "no train loss above 0 that all runs pass: late from 0.4 to 0.2; masam from 2 to 0.9"
    with pytest.raises(MisuseError, match=told):
        ss.compare(results, match="train-loss")


def test_what_does_not_tell_epoch_or_train_loss_cannot_be_matched():
    late = curve("late", (2.0, 0.5))
    test = [replace(r, provenance={**r.provenance, "split": "test"}) for r in late]
    with pytest.raises(MisuseError, match=r"needs the loss on the train split of late.epoch0001"):
        ss.compare([*test], match="train-loss")
    unknown = [replace(r, provenance={**r.provenance, "epoch": None}) for r in late]
    with pytest.raises(
        MisuseError, match=r"by train loss needs the epoch of late.epoch0001, which"
    ):
        ss.compare([*unknown], match="train-loss")
    with pytest.raises(MisuseError, match="match must be 'train-loss'; got 'loss'"):
        ss.compare(late, match="loss")
