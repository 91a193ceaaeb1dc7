"""From arrays and rows to a Dataset of tensors."""

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sharpscope.datasets.dataset import Dataset, Kind, Modality, Split
from sharpscope.datasets.partition import Partition
from sharpscope.datasets.scaling import Array

Streams = Mapping[str, tuple[Kind, Array]]


def package_arrays(file: str) -> dict[str, NDArray[Any]]:
    """Read one of the shipped files; pickled objects are refused."""
    with (files("sharpscope.datasets") / "data" / file).open("rb") as handle:
        archive = np.load(handle, allow_pickle=False)
        return {name: archive[name] for name in archive.files}


def assembled(
    name: str,
    preset: str,
    *,
    streams: Streams,
    target: NDArray[Any],
    classes: tuple[str, ...],
    partition: Partition,
    synthetic: bool = False,
) -> Dataset:
    """Cut arrays of all rows into splits of tensors.

    Args:
        name: Registered name.
        preset: Variant.
        streams: Per modality its kind and array, (rows, *shape).
        target: (rows,) classes, or (rows, labels) zeros and ones.
        classes: Names of classes or labels.
        partition: Rows of each split, in order.
        synthetic: Whether the rows were generated.
    """
    multilabel = target.ndim == 2
    labels = target.astype(np.float32 if multilabel else np.int64)
    return Dataset(
        name=name,
        preset=preset,
        modalities={
            modality: Modality(kind=kind, shape=values.shape[1:])
            for modality, (kind, values) in streams.items()
        },
        classes=classes,
        multilabel=multilabel,
        synthetic=synthetic,
        splits={
            part: Split(
                inputs={
                    modality: torch.from_numpy(np.ascontiguousarray(values[rows], np.float32))
                    for modality, (_, values) in streams.items()
                },
                target=torch.from_numpy(labels[rows]),
            )
            for part, rows in partition.items()
        },
    )
