"""How a monitor begins to keep watch."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import nn

from sharpscope.monitor.clock import Clock
from sharpscope.monitor.keeping import Keeper
from sharpscope.monitor.optimizers import warn_of_stranger
from sharpscope.monitor.preparing import Plan
from sharpscope.monitor.schedule import Schedule
from sharpscope.monitor.signals import Event, Signal
from sharpscope.monitor.stability import reasons
from sharpscope.monitor.writing import Book, beginning


def started(
    plan: Plan,
    book: Book,
    schedule: Schedule,
    *,
    signals: Sequence[Signal],
    on_event: Callable[[Event], Any] | None,
    model: nn.Module | None,
    optimizer: Any,
    step: int,
    settings: dict[str, Any],
    provenance: Mapping[str, Any],
) -> Keeper:
    """Return who keeps watch, once the batches are read and the book is open.

    Args:
        plan: What is measured.
        book: Where all is written.
        schedule: When to measure.
        signals: What to raise the alarm for.
        on_event: Called with each event.
        model: What trains, where it is known.
        optimizer: What steps it.
        step: Steps so far.
        settings: Of the monitor; which loss is trained is added.
        provenance: Facts to keep in the file.

    Raises:
        MisuseError: If the subject cannot be made, or the file is of another run.
        SubjectError: If its loader gives no batch or raises.
    """
    began = time.perf_counter()
    measuring = plan.measuring(model)
    stranger = warn_of_stranger(measuring.subject, model, optimizer)
    off = measuring.absent | reasons(optimizer, measuring)
    settings["trained"] = measuring.trained
    seconds, spent = book.open(step, beginning(measuring, settings, provenance, off))
    reading = time.perf_counter() - began  # batches are read for the monitor alone
    clock = Clock(measuring.subject.device, seconds, spent + reading)
    keeper = Keeper(measuring, clock, book, schedule, signals, on_event, stranger=stranger)
    keeper.optimizer = optimizer
    keeper.remember(book.record().measurements)
    return keeper
