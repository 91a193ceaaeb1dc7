"""When a monitor measures."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from numbers import Integral
from typing import Any

from sharpscope.checks import at_least
from sharpscope.errors import MisuseError


@dataclass(frozen=True, kw_only=True)
class Now:
    """Where a training run is.

    Attributes:
        step: Steps of the optimizer so far.
        before: Those at the look before, where it is known: several optimizers step in one batch.
        epoch: Epochs that have just ended; None within one.
        seconds: Seconds of training so far, those of measuring left out.
        spent: Seconds of measuring so far.
        expected: Seconds that the next measurement is expected to take; None where nothing tells.
    """

    step: int
    before: int | None = None
    epoch: int | None = None
    seconds: float = 0.0
    spent: float = 0.0
    expected: float | None = None


class Schedule(ABC):
    """When a monitor measures."""

    @abstractmethod
    def due(self, now: Now) -> bool:
        """Return whether a measurement is due."""

    def allowance(self, now: Now) -> float | None:
        """Return the seconds that a measurement may take; None where there is no limit."""
        return None


@dataclass(frozen=True)
class EverySteps(Schedule):
    """Before the first step and after every n-th one, or as soon as that is passed.

    Args:
        steps: n, at least 1.
    """

    steps: int

    def __post_init__(self) -> None:
        at_least("when", self.steps, 1, "steps")

    def due(self, now: Now) -> bool:
        """Return whether the step is one of them, or the first that was seen after one."""
        return now.epoch is None and now.step // self.steps > _before(now) // self.steps


def _before(now: Now) -> int:
    # At most one less: a count that begins anew, or is told twice, is taken as it comes.
    return now.step - 1 if now.before is None else min(now.before, now.step - 1)


@dataclass(frozen=True)
class EveryEpochs(Schedule):
    """Before the first step and after every n-th epoch.

    Args:
        epochs: n, at least 1.
    """

    epochs: int = 1

    def __post_init__(self) -> None:
        at_least("when", self.epochs, 1, "epochs")

    def due(self, now: Now) -> bool:
        """Return whether such an epoch has just ended."""
        if now.epoch is None:
            return now.step == 0
        return now.epoch % self.epochs == 0


@dataclass(frozen=True)
class LogSpaced(Schedule):
    """Before the first step and after steps 1, 2, 4, 8 and so on, or as soon as one is passed.

    Args:
        factor: From one to the next, above 1; steps that are no whole numbers are rounded up.
    """

    factor: float = 2.0

    def __post_init__(self) -> None:
        if not 1 < self.factor < math.inf:
            raise MisuseError(f"when='log:{self.factor:g}' needs a factor above 1")

    def due(self, now: Now) -> bool:
        """Return whether the step is one of them, or the first that was seen after one."""
        if now.epoch is not None:
            return False
        place, before = 1, _before(now)
        while place <= before:
            place = max(place + 1, math.ceil(place * self.factor))
        return before < 0 or place <= now.step


@dataclass(frozen=True)
class Budgeted(Schedule):
    """As often as measuring stays under a share of the training time measured so far.

    Args:
        share: Of the training time, above 0 and at most 1.
    """

    share: float = 0.05

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise MisuseError(
                f"budget must be a share of the training time, above 0 and at most 1; got "
                f"{self.share!r}"
            )

    def due(self, now: Now) -> bool:
        """Return whether what is saved up pays for the next measurement."""
        return now.expected is not None and self._saved(now) >= now.expected

    def allowance(self, now: Now) -> float:
        """Return what is saved up."""
        return max(0.0, self._saved(now))

    def _saved(self, now: Now) -> float:
        return self.share * now.seconds - now.spent


def schedule_of(when: Any, budget: float) -> Schedule:
    """Return the schedule that ``when`` means.

    Args:
        when: A schedule; a number of steps, also as a string; ``epoch`` or ``epoch:N``,
            ``steps:N``, ``log`` or ``log:FACTOR``, or ``auto``.
        budget: Share of the training time, for ``auto``.

    Raises:
        MisuseError: If it means none.

    Example:
        >>> schedule_of("epoch:2", 0.05)
        EveryEpochs(epochs=2)
    """
    if isinstance(when, Schedule):
        return when
    if not isinstance(when, bool) and isinstance(when, Integral):
        return EverySteps(int(when))
    name, _, number = str(when).partition(":")
    try:
        match name:
            case "auto" if not number:
                return Budgeted(budget)
            case "steps" if number:
                return EverySteps(int(number))
            case "epoch" | "epochs":
                return EveryEpochs(int(number or 1))
            case "log":
                return LogSpaced(float(number or 2))
            case _ if not number:
                return EverySteps(int(name))
            case _:
                pass
    except MisuseError:
        raise
    except ValueError:  # no number
        pass
    raise MisuseError(
        "when must be 'auto', a number of steps, 'steps:N', 'epoch', 'epoch:N', 'log' or "
        f"'log:FACTOR'; got {when!r}"
    )
