"""A fixed choice of a subject's batches, kept in memory."""

import copy
from typing import Any

import torch

from sharpscope.checks import at_least
from sharpscope.errors import SubjectError
from sharpscope.streams import stream
from sharpscope.subject.subject import Subject


def fixed(subject: Subject, samples: int | None = None, *, seed: int = 0) -> Subject:
    """Return the same subject on batches that are read once and kept.

    So a loader that shuffles or augments may be measured on again and again: it is asked once, and
    all random states are as before.

    Args:
        subject: What is under the scope.
        samples: Take as many batches as hold so many items at least, chosen at random where the
            loader knows its length, its first ones otherwise; by default all.
        seed: Names the choice.

    Raises:
        MisuseError: If ``samples`` is below 1.
        SubjectError: If the loader gives no batch or raises.
    """
    if samples is not None:
        at_least("samples", samples, 1)
    found = copy.copy(subject)
    with subject.still():
        found.batches = _chosen(subject, samples, seed)
    return found


def _chosen(subject: Subject, samples: int | None, seed: int) -> list[Any]:
    loader = subject.batches
    count = len(loader) if hasattr(loader, "__len__") else None  # pyright: ignore[reportArgumentType]
    order: dict[int, int] | None = None
    if samples is not None and count:
        shuffled = torch.randperm(count, generator=stream(seed, "batches")).tolist()
        order = {number: place for place, number in enumerate(shuffled)}
    kept: list[tuple[int, int, Any]] = []
    try:
        for number, batch in enumerate(loader):
            items = subject.length(batch)
            if samples is None or order is None:
                kept.append((number, items, batch))
                if samples is not None and sum(entry[1] for entry in kept) >= samples:
                    break
                continue
            kept = _fewest([*kept, (number, items, batch)], order, samples)
    except SubjectError:
        raise
    except Exception as error:
        raise SubjectError(f"the loader raised {type(error).__name__}: {error}") from error
    if not kept:
        raise SubjectError("the data is empty: the loader gave no batch")
    return [batch for _, _, batch in sorted(kept, key=lambda entry: entry[0])]


def _fewest(
    kept: list[tuple[int, int, Any]], order: dict[int, int], samples: int
) -> list[tuple[int, int, Any]]:
    """Return the first batches in a random order that hold enough items."""
    found: list[tuple[int, int, Any]] = []
    there = 0
    # A loader may give more batches than its length says: they come last.
    for entry in sorted(kept, key=lambda one: order.get(one[0], len(order) + one[0])):
        if there >= samples:
            break
        found.append(entry)
        there += entry[1]
    return found
