"""Measures where that is due, and writes down what it found or why it failed."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, TypeVar

import torch

from sharpscope.monitor.clock import Clock
from sharpscope.monitor.measuring import Measuring, reason_of
from sharpscope.monitor.schedule import Now, Schedule
from sharpscope.monitor.signals import Event, Signal
from sharpscope.monitor.stability import thresholds
from sharpscope.monitor.writing import Book

T = TypeVar("T")
# Products that an encoder is expected to need before the first measurement tells.
_PRODUCTS = 30
# The trial takes about as long as so many steps of training for each encoder.
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

    Attributes:
        optimizer: What steps the model.
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
    ):
        self.measuring, self.clock = measuring, clock
        self.optimizer: Any = None
        self.expected: float | None = None
        self._charged = 0.0
        self._book, self._schedule = book, schedule
        self._signals, self._on_event = signals, on_event

    def remember(self, measurements: Sequence[Mapping[str, Any]]) -> None:
        """Let signals see what was measured before training was taken up; none rings for it."""
        for entry in measurements:
            for signal in self._signals:
                signal.look(entry["encoders"], entry["step"], entry["epoch"])

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
        if self._schedule.due(now):
            self._measure(now, epoch)

    def _now(self, step: int, epoch: float | None, ended: int | None) -> Now:
        now = Now(step=step, epoch=ended, seconds=self.clock.seconds, spent=self._spent)
        allowed = self._schedule.allowance(now)
        if self.expected is None and allowed is not None and step:
            # A trial, once what is saved up pays for it.
            encoders = len(self.measuring.modalities)
            if allowed >= _TRIAL_STEPS * self.clock.seconds / step * encoders:
                self.expected = self._safely(
                    step, epoch, "the trial of its cost", lambda: self.measuring.expected(_PRODUCTS)
                )
                if self.expected is None:
                    self._charged += allowed  # the next trial waits as long
        return replace(now, expected=self.expected, spent=self._spent)

    @property
    def _spent(self) -> float:
        return self.clock.spent + self._charged

    def _measure(self, now: Now, epoch: float | None) -> None:
        allowed, before = self._schedule.allowance(now), self.clock.spent
        found = self._safely(now.step, epoch, "a measurement", lambda: self.measuring(allowed))
        if found is None:
            # One that fails at once is charged as a whole: the next is tried when it would be due.
            took = self.clock.spent - before
            self._charged += max(0.0, (self.expected or 0.0) - took)
            return
        # What was cut short by its time waits for more of it, or it would be cut short for ever.
        self.expected = found.seconds * (_LONGER if found.cut_short else 1.0)
        limits = thresholds(self.optimizer, self.measuring)
        encoders = {
            name: {**entry, "threshold": None if isinstance(limits[name], str) else limits[name]}
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
            for event in signal.look(encoders, now.step, epoch):
                self._book.event(event)
                self._tell(event)

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
