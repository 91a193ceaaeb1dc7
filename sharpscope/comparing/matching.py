"""Runs at equal train loss: which kept checkpoints, and in what shares."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sharpscope.comparing.runs import Checkpoint, Run
from sharpscope.errors import MisuseError
from sharpscope.results.comparison import Match
from sharpscope.results.kept import kept
from sharpscope.results.record import significant


@dataclass(frozen=True)
class Course:
    """The train losses of a run's kept checkpoints.

    Attributes:
        name: The run.
        epochs: Epochs, ascending.
        losses: The loss after each.
    """

    name: str
    epochs: tuple[int, ...]
    losses: tuple[float, ...]


def common_loss(courses: Sequence[Course]) -> float:
    """Return the lowest train loss that all runs reach, coming from above.

    Raises:
        MisuseError: If there is none; what each reached is told.
    """
    target = max(min(course.losses) for course in courses)
    if any(course.losses[0] < target for course in courses) or target <= 0:
        reached = "; ".join(
            f"{course.name} from {significant(course.losses[0])} to "
            f"{significant(min(course.losses))}"
            for course in courses
        )
        raise MisuseError(
            f"there is no train loss above 0 that all runs pass: {reached}; keep checkpoints of "
            "earlier epochs (train --keep-every 1), or train the others longer"
        )
    return target


def shares(course: Course, target: float) -> list[tuple[int, float]]:
    """Return which places of a course make its checkpoint at a loss, and with what shares.

    It lies where the loss first falls to the target; between two epochs its logarithm is taken to
    fall along a line.

    Example:
        >>> shares(Course("late", (1, 2, 3), (4.0, 1.0, 0.5)), 2.0)
        [(0, 0.5), (1, 0.5)]
    """
    after = next(place for place, loss in enumerate(course.losses) if loss <= target)
    before = course.losses[after - 1]
    if after == 0 or course.losses[after] == target:
        return [(after, 1.0)]
    share = math.log(before / target) / math.log(before / course.losses[after])
    return [(after - 1, 1 - share), (after, share)]


def run_of(name: str) -> str:
    """Return the run that a kept checkpoint is of, by its name.

    Example:
        >>> run_of("late-s1.epoch0010")
        'late-s1'
    """
    return kept(name).run


def matched(groups: Mapping[str, Sequence[Checkpoint]]) -> tuple[dict[str, list[Run]], float]:
    """Return each group's runs at a common train loss, and that loss.

    Args:
        groups: Checkpoints of each group, kept ones of each run among them.

    Raises:
        MisuseError: If a loss is not of the train split, or no loss is common.
    """
    courses = {
        (group, run): _course(run, found)
        for group, checkpoints in groups.items()
        for run, found in _by_run(checkpoints).items()
    }
    target = common_loss([course for course, _ in courses.values()])
    runs: dict[str, list[Run]] = {group: [] for group in groups}
    for (group, _), (course, found) in courses.items():
        runs[group].append(_run(group, course, found, target))
    return runs, target


def _by_run(checkpoints: Sequence[Checkpoint]) -> dict[str, list[Checkpoint]]:
    runs: dict[str, list[Checkpoint]] = {}
    for checkpoint in checkpoints:
        runs.setdefault(run_of(checkpoint.name), []).append(checkpoint)
    return runs


def _course(run: str, checkpoints: Sequence[Checkpoint]) -> tuple[Course, list[Checkpoint]]:
    epochs: dict[int, Checkpoint] = {}
    for checkpoint in checkpoints:
        if checkpoint.split_loss is None or checkpoint.epoch is None:
            lacking = "epoch" if checkpoint.epoch is None else "loss on the train split"
            raise MisuseError(
                f"matching by train loss needs the {lacking} of {checkpoint.name}, which its "
                "results do not tell: measure checkpoints of sharpscope train with --split train"
            )
        if not math.isfinite(checkpoint.split_loss):
            raise MisuseError(
                f"matching by train loss needs finite losses, and that of {checkpoint.name} is "
                "not: leave it out"
            )
        # The last kept checkpoint and the final one are of the same epoch.
        if checkpoint.epoch not in epochs or kept(checkpoint.name).number:
            epochs[checkpoint.epoch] = checkpoint
    ordered = sorted(epochs)
    found = [epochs[epoch] for epoch in ordered]
    return Course(run, tuple(ordered), tuple(one.split_loss or 0.0 for one in found)), found


def _run(group: str, course: Course, found: Sequence[Checkpoint], target: float) -> Run:
    places = shares(course, target)
    first = found[places[0][0]].found
    common = [key for key in first if all(key in found[place].found for place, _ in places)]
    return Run(
        name=course.name,
        seed=found[places[0][0]].seed,
        found={
            key: tuple((share, found[place].found[key]) for place, share in places)
            for key in common
        },
        train_loss=target,
        match=Match(
            name=group,
            run=course.name,
            epochs=tuple(course.epochs[place] for place, _ in places),
            losses=tuple(course.losses[place] for place, _ in places),
            weights=tuple(share for _, share in places),
        ),
    )
