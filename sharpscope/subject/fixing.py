"""A fixed choice of a subject's batches, kept in memory."""

import copy
from typing import Any

import torch

from sharpscope.checks import at_least
from sharpscope.errors import MisuseError, SubjectError
from sharpscope.streams import stream
from sharpscope.subject.subject import Subject


def fixed(subject: Subject, samples: int | None = None, *, seed: int = 0) -> Subject:
    """Return the same subject on batches that are read once and kept.

    So a loader that shuffles or augments may be measured on again and again: it is asked once, and
    all random states are as before.

    Args:
        subject: What is under the scope.
        samples: Take as many batches as hold so many items, if all are as long as the first one,
            chosen at random where the loader knows its length, its first ones otherwise; by
            default all.
        seed: Names the choice.

    Raises:
        MisuseError: If ``samples`` is below 1, or the loader's own workers are in an epoch.
        SubjectError: If the loader gives no batch or raises.
    """
    if samples is not None:
        at_least("samples", samples, 1)
    found = copy.copy(subject)
    with subject.still():
        found.batches = _chosen(subject, samples, seed)
    return found


def _chosen(subject: Subject, samples: int | None, seed: int) -> list[Any]:
    loader: Any = subject.batches
    if getattr(loader, "persistent_workers", False) and getattr(loader, "_iterator", None):
        raise MisuseError(
            "the subject's loader is at work (persistent_workers=True), and reading it here would "
            "begin its epoch anew: call begin() before the loop, or give the subject its own loader"
        )
    kept: list[Any] = []
    chosen: set[int] | None = None
    there = 0
    try:
        for number, batch in enumerate(loader):
            items = subject.length(batch)
            if number == 0 and samples is not None:
                chosen = _random(length_of(loader), -(-samples // max(1, items)), seed)
            if chosen is None or number in chosen:
                kept.append(batch)
                there += items
            if chosen is not None and number >= max(chosen):
                break
            if chosen is None and samples is not None and there >= samples:
                break
    except SubjectError:
        raise
    except Exception as error:
        raise SubjectError(f"the loader raised {type(error).__name__}: {error}") from error
    if not kept:
        raise SubjectError("the data is empty: the loader gave no batch")
    return kept


def length_of(loader: Any) -> int | None:
    """Return how many batches there are; None where the loader does not know."""
    try:
        return len(loader)
    except TypeError:
        return None


def _random(count: int | None, wanted: int, seed: int) -> set[int] | None:
    """Return the numbers of some batches; None where it is not known how many there are."""
    if not count:
        return None
    shuffled = torch.randperm(count, generator=stream(seed, "batches"))
    return set(shuffled[: min(wanted, count)].tolist())
