"""Gradients by plain passes, which those by played ones and by our own layers must equal."""

from collections.abc import Callable

import torch
from torch import Tensor

from sharpscope.replay import Tape
from sharpscope.subject import Census, Subject
from sharpscope.subject.losses import LossSum


def plain_gradients(
    subject: Subject,
    loss: str,
    census: Census,
    tape: Tape,
    gradient: Callable[[LossSum], Tensor],
) -> dict[int, Tensor]:
    """Return gradients of batches by plain passes, before memory is kept for others.

    That of the first one, which our own layers are compared with as well, and of one of the others
    that the data picks, where something may be played back.

    Args:
        subject: Held still by the caller.
        loss: Name of the loss.
        census: What is in the data.
        tape: What may be played back.
        gradient: Of a batch's loss sum, ``[dim]``.
    """
    found: dict[int, Tensor] = {}
    others = max(1, census.batches - 1)
    later = min(census.batches, 2 + int(census.fingerprint[:8], 16) % others)
    numbers = {1, later} if tape.plays else {1}
    walk = subject.visits(loss)
    for number in range(1, max(numbers) + 1):
        # All on the way: some models carry something on from batch to batch.
        with torch.set_grad_enabled(number in numbers):
            _, _, value = next(walk)
        if number in numbers:
            found[number] = gradient(value)
        del value
    return found
