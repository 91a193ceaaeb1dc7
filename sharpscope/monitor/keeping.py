"""Measures where that is due, and writes down what it found or why it failed."""

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, TypeVar

import torch
from torch import nn

from sharpscope.errors import MisuseError
from sharpscope.monitor.clock import Clock
from sharpscope.monitor.dominating import Dominance
from sharpscope.monitor.measuring import Measuring, reason_of
from sharpscope.monitor.preparing import check_same
from sharpscope.monitor.schedule import Now, Schedule
from sharpscope.monitor.signals import Event, Signal
from sharpscope.monitor.stability import thresholds
from sharpscope.monitor.writing import Book
from sharpscope.results import MonitorRecord

T = TypeVar("T")
# The trial takes about as long as so many steps of training for each operator.
_TRIAL_STEPS = 20
_LONGER = 1.5


class Keeper:
    """Keeps watch over one model.

    Args:
        measuring: What measures it.
        clock: Tells the time of training and of measuring.
        book: Where all is written.
        schedule: When to measure.
        signals: What to raise the alarm for.
        on_event: Called with each event.
        stranger: Whether another model is measured than the one that trains, as was warned of.

    Attributes:
        optimizer: What steps the model.
        dominance: What steps said of each modality since it was written.
        expected: Seconds that the next measurement is expected to take; None where nothing tells.
    """

    def __init__(
        self,
        measuring: Measuring,
        clock: Clock,
        book: Book,
        schedule: Schedule,
        signals: Sequence[Signal],
        on_event: Callable[[Event], Any] | None,
        *,
        stranger: bool = False,
    ):
        self._stranger = stranger
        self.measuring, self.clock = measuring, clock
        self.optimizer: Any = None
        self.dominance = Dominance(measuring.modalities)
        self.expected: float | None = None
        self._charged = 0.0
        self._book, self._schedule = book, schedule
        self._signals, self._on_event = signals, on_event
        self._told: set[tuple[int, str]] = set()  # whose failures were told of

    def remember(self, measurements: Sequence[Mapping[str, Any]]) -> None:
        """Let signals see what was measured before training was taken up; none rings for it."""
        for entry in measurements:
            for signal in self._signals:
                self._rung(signal, entry["encoders"], entry["step"], entry["epoch"])

    def look(
        self, step: int, epoch: float | None, ended: int | None = None, before: int | None = None
    ) -> None:
        """Measure if it is due.

        Args:
            step: Steps of the optimizer so far.
            epoch: Epochs so far, where they are known.
            ended: Epochs that have just ended; None within one.
            before: Steps at the look before.
        """
        now = replace(self._now(step, epoch, ended), before=before)
        due = self._of_user(self._schedule, "due", step, epoch, lambda: self._schedule.due(now))
        if due:
            self._measure(now, epoch)
        if due or ended is not None:
            self._write_steps(step, epoch)

    def again(self, model: nn.Module | None, optimizer: Any) -> None:
        """Go on where training is begun once more.

        Raises:
            MisuseError: If another model trains.
        """
        if not self._stranger:
            check_same(self.measuring.subject, model)
        self.clock.start()
        self.optimizer = optimizer or self.optimizer

    def stop(self, step: int, epoch: float | None) -> None:
        """Write what is left: until training is begun again, no time of it passes."""
        self._write_steps(step, epoch)
        self.clock.stop()

    def _write_steps(self, step: int, epoch: float | None) -> None:
        said = self.dominance.taken()
        if said:
            self._book.steps({"step": step, "epoch": epoch, **said})

    def _now(self, step: int, epoch: float | None, ended: int | None) -> Now:
        now = Now(step=step, epoch=ended, seconds=self.clock.seconds, spent=self._spent)
        allowed = self._allowance(now, epoch)
        # A loop that tells no steps has taken about one for each batch.
        steps = step or self.measuring.epoch_steps * (ended or 0)
        if self.expected is None and allowed is not None and steps:
            trial = _TRIAL_STEPS * self.clock.seconds / steps * self.measuring.parts
            if allowed >= trial:  # once what is saved up pays for it
                self.expected = self._safely(
                    step,
                    epoch,
                    "the trial of its cost",
                    lambda: self.measuring.expected(self._limits()),
                )
                if self.expected is None:
                    self._charged += allowed  # the next trial waits as long
        return replace(now, expected=self.expected, spent=self._spent)

    @property
    def _spent(self) -> float:
        return self.clock.spent + self._charged

    def _measure(self, now: Now, epoch: float | None) -> None:
        allowed, before = self._allowance(now, epoch), self.clock.spent
        limits = self._limits()
        found = self._safely(
            now.step, epoch, "a measurement", lambda: self.measuring(allowed, limits)
        )
        if found is None:
            # One that fails at once is charged as a whole: the next is tried when it would be due.
            took = self.clock.spent - before
            self._charged += max(0.0, (self.expected or 0.0) - took)
            return
        # What was cut short by its time waits for more of it, or it would be cut short for ever.
        self.expected = found.seconds * (_LONGER if found.cut_short else 1.0) + found.lacking
        encoders = {
            name: {**entry, "threshold": limits.get(name), "trained_loss": self.measuring.trained}
            for name, entry in found.encoders.items()
        }
        self._book.measurement(
            {
                **asdict(found),
                "step": now.step,
                "epoch": epoch,
                "seconds": self.clock.seconds,
                "spent": self.clock.spent,
                "measuring_seconds": found.seconds,
                "encoders": encoders,
            }
        )
        for signal in self._signals:
            for event in self._rung(signal, encoders, now.step, epoch):
                self._book.event(event)
                self._tell(event)

    def _limits(self) -> dict[str, float]:
        """Return the threshold of stability of those encoders that have one."""
        found = thresholds(self.optimizer, self.measuring)
        return {name: limit for name, limit in found.items() if not isinstance(limit, str)}

    def _allowance(self, now: Now, epoch: float | None) -> float | None:
        """Return the seconds that a measurement may take; None where nothing limits them."""

        def allowed() -> float | None:
            found = self._schedule.allowance(now)
            return None if found is None else float(found)

        return self._of_user(self._schedule, "allowance", now.step, epoch, allowed)

    def _rung(
        self, signal: Signal, encoders: Mapping[str, Any], step: int, epoch: float | None
    ) -> list[Event]:
        """Return what a signal rings for."""

        def rung() -> list[Event]:
            returned: Any = signal.look(encoders, step, epoch)
            found = list[Any](returned) if isinstance(returned, Iterable) else [returned]
            if not all(isinstance(one, Event) for one in found):
                raise MisuseError(f"it must return a list of Event; it returned {returned!r}")
            return found

        return self._of_user(signal, "look", step, epoch, rung) or []

    def _of_user(
        self, owner: object, name: str, step: int, epoch: float | None, work: Callable[[], T]
    ) -> T | None:
        """Return what a method returns that anybody may have written; None where it fails.

        That is written down and warned of once, as a schedule is asked after every step.
        """
        try:
            return work()
        except Exception as error:  # training is not to end for it
            if (id(owner), name) not in self._told:
                self._told.add((id(owner), name))
                reason = f"{type(owner).__name__}.{name} failed: {reason_of(error)}"
                self._book.failure(step, epoch, reason, self.clock.spent, once=True)
            return None

    def _tell(self, event: Event) -> None:
        if self._on_event is None:
            return
        try:
            self._on_event(event)
        except Exception as error:  # training is not to end for it
            warnings.warn(
                f"on_event raised {type(error).__name__} at {event.text!r}: {error}", stacklevel=2
            )

    def _safely(self, step: int, epoch: float | None, what: str, work: Callable[[], T]) -> T | None:
        """Return what ``work`` returns; None where it fails, which is written down."""
        try:
            with self.clock.apart():
                return work()
        except Exception as error:
            if isinstance(error, torch.OutOfMemoryError) and torch.cuda.is_available():
                torch.cuda.empty_cache()
            reason = f"{what} failed: {reason_of(error)}"
            self._book.failure(step, epoch, reason, self.clock.spent)
            return None


def warn_of_nothing(record: MonitorRecord, keeper: Keeper | None) -> None:
    """Warn where nothing was measured though nothing failed.

    Args:
        record: Of the whole run.
        keeper: Who kept watch; None where nobody was told to.
    """
    if record.measurements or record.failures:
        return
    expected = None if keeper is None else keeper.expected
    needs = f", and one takes about {expected:.2g} s" if expected else ""
    seconds = 0.0 if keeper is None else keeper.clock.seconds
    warnings.warn(
        f"the monitor measured nothing in {seconds:.3g} s of training: nothing was due{needs}; "
        "raise budget=, or say when='epoch'",
        stacklevel=3,
    )
