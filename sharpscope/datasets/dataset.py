"""What a data set is: named modalities, classes or labels, and three splits."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from torch import Tensor

from sharpscope.checks import at_least

if TYPE_CHECKING:
    from sharpscope.datasets.noise import LabelNoise

Kind = Literal["image", "series", "vector"]
SplitName = Literal["train", "val", "test"]
Batch = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Modality:
    """The form of one input stream.

    Args:
        kind: ``image`` is (channels, height, width), ``series`` (channels, time), ``vector``
            (features,).
        shape: Shape of one item, without the batch axis.
    """

    kind: Kind
    shape: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Split:
    """Items in a fixed, shuffled order: the first N of them are a fair sample.

    Args:
        inputs: Per modality, float32 of shape (items, *shape).
        target: Class of each item, int64 of shape (items,), or float32 zeros and ones of shape
            (items, labels) where labels are not exclusive.
    """

    inputs: Mapping[str, Tensor]
    target: Tensor

    def __len__(self) -> int:
        return len(self.target)

    def batches(self, batch_size: int, *, limit: int | None = None) -> list[Batch]:
        """Return the items as a list of batches, the same at every pass; the last may be smaller.

        Args:
            batch_size: Items per batch, at least 1.
            limit: Take only the first ``limit`` items; all where there are fewer.

        Raises:
            MisuseError: If either is below 1.

        Example:
            >>> import torch
            >>> split = Split(inputs={"x": torch.zeros(5, 2)}, target=torch.zeros(5))
            >>> [len(batch["target"]) for batch in split.batches(2)]
            [2, 2, 1]
        """
        at_least("batch_size", batch_size, 1)
        count = len(self) if limit is None else min(at_least("limit", limit, 1), len(self))
        cuts = [
            slice(start, min(start + batch_size, count)) for start in range(0, count, batch_size)
        ]
        return [
            {name: values[cut] for name, values in self.inputs.items()}
            | {"target": self.target[cut]}
            for cut in cuts
        ]


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A data set that is ready for training: scaled, split and in a fixed order.

    Args:
        name: Registered name.
        preset: Which variant of it.
        modalities: Form of each modality, in order.
        classes: Names of the classes, or of the labels where they are not exclusive.
        multilabel: Whether an item can have several labels.
        synthetic: Whether the items were generated and not observed.
        splits: Under ``train``, ``val`` and ``test``.
        noise: Which labels of the training split are wrong on purpose, if any.
    """

    name: str
    preset: str
    modalities: Mapping[str, Modality]
    classes: tuple[str, ...]
    multilabel: bool
    synthetic: bool
    splits: Mapping[SplitName, Split]
    noise: "LabelNoise | None" = None
