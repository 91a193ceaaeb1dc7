"""The proof that a subject stands still: two passes, the same batches, the same losses."""

import itertools
import math
from collections import Counter
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from sharpscope.errors import SubjectError
from sharpscope.replay import ReplayRefused, Tape
from sharpscope.subject.batches import Length, fingerprint
from sharpscope.subject.descriptions import taken_note
from sharpscope.subject.losses import BatchLoss, LossSum, is_finite


@dataclass(frozen=True)
class Census:
    """What two equal passes over the data found.

    Attributes:
        batches: Number of batches.
        samples: Number of items.
        weight: What the mean loss divides by.
        loss_value: The mean loss.
        totals: Loss sum of each batch.
        slack: How far two losses of one batch may be apart, relative to them.
        fingerprint: Hash of all batches in order.
    """

    batches: int
    samples: int
    weight: float
    loss_value: float
    totals: tuple[float, ...]
    slack: float
    fingerprint: str


# In rounding errors of the dtype: what the order of a sum moves, and what no order of one moves.
_ROUNDING, _MOST = 64, 1024
# A loss is computed so often to see how far its kernels let it move.
_REPEATS = 4


@dataclass(frozen=True)
class _Seen:
    """One batch of one pass."""

    hash: str
    items: int
    total: float
    weight: float


def visits(
    model: nn.Module,
    batches: Iterable[Any],
    loss: BatchLoss,
    *,
    tape: Tape | None = None,
    skip: int = 0,
) -> Generator[tuple[int, Any, LossSum]]:
    """Yield each batch's number, the batch and its loss, but for the first ``skip`` batches.

    With a ``tape``, modules that stand still are recorded or played back.

    Raises:
        SubjectError: If the loader or the model refuses a batch: its own error, and the number.
    """
    walk = iter(batches)
    for number in itertools.count(1):
        try:
            batch = next(walk, _END)
        except SubjectError as error:
            raise SubjectError(f"batch {number}: {error}") from error
        except Exception as error:
            raise SubjectError(f"batch {number}: the loader raised {_words(error)}") from error
        if batch is _END:
            return
        if number <= skip:
            continue
        try:
            value = loss(model, batch) if tape is None else _taped(tape, number, model, batch, loss)
        except ReplayRefused:
            raise
        except SubjectError as error:
            raise SubjectError(f"batch {number}: {error}") from error
        except Exception as error:
            raise SubjectError(
                f"batch {number}: the model or its loss raised {_words(error)}{taken_note(error)}"
            ) from error
        yield number, batch, value
        # The graph behind it must be gone before the next one is built.
        del batch, value


def _taped(tape: Tape, number: int, model: nn.Module, batch: Any, loss: BatchLoss) -> LossSum:
    return tape.run(number, lambda: loss(model, batch))


_END = object()


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split()) or 'no message'}"


def prove_still(
    model: nn.Module,
    batches: Iterable[Any],
    loss: BatchLoss,
    *,
    length: Length,
    tape: Tape | None = None,
) -> Census:
    """Return what is in the data, after two passes that agree; the second fills the ``tape``.

    Raises:
        SubjectError: If the data is empty, a batch is refused, a loss is not finite, or the two
            passes differ; the cause is named.
    """
    first = _walk(model, batches, loss, length)
    if not first:
        raise SubjectError("the data is empty: the loader gave no batch")
    if tape is not None:
        tape.guess()
    second = _walk(model, batches, loss, length, tape)
    _compare_data(first, second)
    slack = _slack(model, batches, loss)
    try:
        _compare_losses(model, first, second, slack)
    except SubjectError:
        if tape is None or not tape.enabled:
            raise
        # Being watched may be what moves a model that looks at its own modules.
        tape.refuse("the model moves while it is watched")
        _compare_losses(model, first, _walk(model, batches, loss, length), slack)
    weight = math.fsum(seen.weight for seen in first)
    if weight <= 0:
        raise SubjectError("the data has no weight: every target is masked or weighs 0")
    return Census(
        batches=len(first),
        samples=sum(seen.items for seen in first),
        weight=weight,
        loss_value=math.fsum(seen.total for seen in first) / weight,
        totals=tuple(seen.total for seen in first),
        slack=slack,
        fingerprint=fingerprint([seen.hash for seen in first]),
    )


def _walk(
    model: nn.Module,
    batches: Iterable[Any],
    loss: BatchLoss,
    length: Length,
    tape: Tape | None = None,
) -> list[_Seen]:
    """Return what a pass sees."""
    found: list[_Seen] = []
    with torch.no_grad():
        for number, batch, value in visits(model, batches, loss, tape=tape):
            if not is_finite(value):
                raise SubjectError(
                    f"batch {number}: the loss is not finite (sum {value.total.item():g}, weight "
                    f"{value.weight:g}); look for NaN in the data or a model that has diverged"
                )
            items = _items(number, batch, length)
            found.append(_Seen(fingerprint(batch), items, value.total.item(), value.weight))
    return found


def _items(number: int, batch: Any, length: Length) -> int:
    try:
        return int(length(batch))
    except SubjectError as error:
        raise SubjectError(f"batch {number}: {error}") from error
    except Exception as error:
        raise SubjectError(f"batch {number}: batch_size raised {_words(error)}") from error


def _compare_data(first: list[_Seen], second: list[_Seen]) -> None:
    if [seen.hash for seen in first] == [seen.hash for seen in second]:
        return
    if not second:
        cause = "the second is empty, so the loader is a one-shot iterator: pass list(loader)"
    elif len(first) != len(second):
        cause = f"the first has {len(first)} batches, the second {len(second)}"
    elif Counter(seen.hash for seen in first) == Counter(seen.hash for seen in second):
        cause = "the same batches came in another order: set shuffle=False"
    else:
        cause = "their tensors differ: set shuffle=False, and take out random augmentation"
    raise SubjectError(f"the data does not stand still, two passes over it differ: {cause}")


def _slack(model: nn.Module, batches: Iterable[Any], loss: BatchLoss) -> float:
    """Return how far two losses of one batch may be apart, relative to them.

    On CPU rounding repeats itself. Some kernels of a GPU sum in the order in which threads come:
    there it is eight times the spread of repeats of the first batch, between bounds, since
    dropout moves a loss by far more than any order of a sum.
    """
    weight = next((p for p in model.parameters() if p.is_floating_point()), torch.zeros(1))
    rounding = torch.finfo(weight.dtype).eps
    if not _may_be_restless(weight.device):
        return _ROUNDING * rounding
    with torch.no_grad():
        _, batch, value = next(visits(model, batches, loss))
        totals = [value.total.item()]
        totals += [loss(model, batch).total.item() for _ in range(_REPEATS - 1)]
    spread = (max(totals) - min(totals)) / (max(map(abs, totals)) or 1.0)
    return min(max(_ROUNDING * rounding, 8 * spread), _MOST * rounding)


def _may_be_restless(device: torch.device) -> bool:
    """Return whether equal passes may differ by the order of a sum."""
    return device.type != "cpu"


def _compare_losses(
    model: nn.Module, first: list[_Seen], second: list[_Seen], slack: float
) -> None:
    for number, (one, two) in enumerate(zip(first, second, strict=True), start=1):
        if abs(one.total - two.total) > slack * max(abs(one.total), abs(two.total)):
            raise SubjectError(
                f"the model does not stand still: batch {number} gave the loss sums "
                f"{one.total:.9g} and {two.total:.9g} although the model is in eval mode; "
                f"{_suspects(model)}"
            )
        if one.weight != two.weight:
            raise SubjectError(
                f"the loss does not stand still: batch {number} weighed {one.weight:.9g} and then "
                f"{two.weight:.9g}"
            )


def _suspects(model: nn.Module) -> str:
    awake = [name or "the model" for name, module in model.named_modules() if module.training]
    if awake:
        return f"{awake[0]} stays in training mode after eval()"
    return (
        "look for dropout called as a function without training=self.training, noise drawn in "
        "forward, or a module that changes its own state"
    )
