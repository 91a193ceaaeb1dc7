"""Which rows of a file train, validate and test."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sharpscope.datasets.dataset import SplitName
from sharpscope.streams import stream

Rows = NDArray[np.int64]
Partition = Mapping[SplitName, Rows]

VALIDATION_SHARE = 0.1


def permuted(rows: Rows, *, seed: int, name: tuple[str | int, ...]) -> Rows:
    """Return the rows in the order that ``seed`` and the stream's name define."""
    order = torch.randperm(len(rows), generator=stream(seed, *name))
    return rows[order.numpy()]


def carve(
    classes: NDArray[Any], test: NDArray[np.bool_], *, seed: int, name: str
) -> dict[SplitName, Rows]:
    """Take a tenth of each class out of the training rows for validation; leave test as it is.

    Args:
        classes: Class of each row.
        test: The file's own test flag.
        seed: Draws the validation rows and the order inside each part.
        name: Data set, part of the random streams' names.
    """
    train: list[Rows] = []
    val: list[Rows] = []
    for label in np.unique(classes):
        rows = permuted(
            np.flatnonzero((classes == label) & ~test), seed=seed, name=(name, "val", int(label))
        )
        count = round(VALIDATION_SHARE * len(rows))
        val.append(rows[:count])
        train.append(rows[count:])
    parts: dict[SplitName, Rows] = {
        "train": np.concatenate(train),
        "val": np.concatenate(val),
        "test": np.flatnonzero(test),
    }
    return {
        part: permuted(rows, seed=seed, name=(name, "order", part)) for part, rows in parts.items()
    }
