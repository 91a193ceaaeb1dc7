"""When a monitor measures."""

import numpy as np
import pytest

from sharpscope.monitor.schedule import (
    Budgeted,
    EveryEpochs,
    EverySteps,
    LogSpaced,
    Now,
    Schedule,
    schedule_of,
)


def due(schedule: Schedule, steps: int) -> list[int]:
    return [step for step in range(steps) if schedule.due(Now(step=step))]


def test_steps_epochs_and_powers():
    assert due(EverySteps(4), 13) == [0, 4, 8, 12]
    assert due(LogSpaced(), 70) == [0, 1, 2, 4, 8, 16, 32, 64]
    assert due(LogSpaced(1.5), 30) == [0, 1, 2, 3, 5, 8, 12, 18, 27]
    assert due(EveryEpochs(2), 9) == [0]
    ended = [e for e in range(1, 9) if EveryEpochs(3).due(Now(step=10 * e, epoch=e))]
    assert ended == [3, 6]
    # The end of an epoch is no further step.
    assert not EverySteps(4).due(Now(step=8, epoch=1))
    assert not LogSpaced().due(Now(step=8, epoch=1))


def seen(schedule: Schedule, steps: list[int]) -> list[int]:
    """Return at which of the steps it is due, each told with the one before."""
    pairs = zip([None, *steps], steps, strict=False)
    return [step for before, step in pairs if schedule.due(Now(step=step, before=before))]


def test_a_step_that_is_passed_is_made_up_for_at_once():
    threes = list(range(0, 31, 3))
    assert seen(EverySteps(5), threes) == [0, 6, 12, 15, 21, 27, 30]
    assert seen(EverySteps(2), threes) == threes  # once each
    assert seen(LogSpaced(), threes) == [0, 3, 6, 9, 18]
    # Told twice, or counted anew in each epoch: as it comes.
    assert seen(EverySteps(2), [0, 0, 1, 2, 1, 2]) == [0, 0, 2, 2]
    assert seen(LogSpaced(), [0, 3, 4, 0, 1]) == [0, 3, 4, 0, 1]


def test_a_budget_waits_until_what_is_saved_up_pays():
    schedule = Budgeted(0.05)
    assert not schedule.due(Now(step=9, seconds=1e6))  # nothing tells what one takes
    assert not schedule.due(Now(step=9, seconds=100.0, expected=6.0))
    assert schedule.due(Now(step=9, seconds=100.0, expected=5.0))
    assert not schedule.due(Now(step=9, seconds=100.0, spent=1.0, expected=5.0))
    assert schedule.allowance(Now(step=9, seconds=100.0, spent=1.0)) == pytest.approx(4.0)
    assert schedule.allowance(Now(step=9, seconds=100.0, spent=9.0)) == 0.0
    assert EverySteps(1).allowance(Now(step=1)) is None


@pytest.mark.parametrize(
    ("when", "schedule"),
    [
        ("auto", Budgeted(0.1)),
        (3, EverySteps(3)),
        (np.int64(3), EverySteps(3)),
        ("5", EverySteps(5)),
        ("steps:30", EverySteps(30)),
        ("epoch", EveryEpochs(1)),
        ("epochs:2", EveryEpochs(2)),
        ("log", LogSpaced(2.0)),
        ("log:1.5", LogSpaced(1.5)),
        (EverySteps(7), EverySteps(7)),
    ],
)
def test_words(when: object, schedule: Schedule):
    found = schedule_of(when, 0.1)
    assert (found, repr(found)) == (schedule, repr(schedule))
