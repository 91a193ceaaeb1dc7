"""Label noise: wrong labels in known places of the training split, and nowhere else."""

from dataclasses import dataclass, replace

import torch
from torch import Generator, Tensor

from sharpscope.checks import one_of
from sharpscope.datasets.dataset import Dataset, Split
from sharpscope.errors import MisuseError

NOISE_KINDS = ("symmetric", "asymmetric")


@dataclass(frozen=True, kw_only=True)
class LabelNoise:
    """Which labels of the training split are wrong.

    Args:
        kind: ``symmetric`` or ``asymmetric``.
        rate: Share of the labels that was asked for.
        indices: Of the items, ascending; of (item, label) pairs ``[n, 2]`` where labels are not
            exclusive.
        clean: What the labels were, in the same order.
    """

    kind: str
    rate: float
    indices: Tensor
    clean: Tensor


def with_noise(dataset: Dataset, *, rate: float, kind: str, generator: Generator) -> Dataset:
    """Return the data set with a share of its training labels made wrong.

    ``⌊rate · N⌋`` items are drawn without replacement. ``symmetric`` gives each another class, all
    others being equally likely, so that the rate is that of wrong labels; ``asymmetric`` the next
    class, as confusions between two particular classes. Where labels are not exclusive, that share
    of the positive ones becomes negative.

    Args:
        dataset: Left as it is; validation and test stay clean.
        rate: From 0 to below 1.
        kind: How labels are wrong.
        generator: Draws.

    Raises:
        MisuseError: If the kind is unknown, or ``asymmetric`` for labels that are not exclusive.

    Example:
        >>> import torch
        >>> split = Split(inputs={}, target=torch.tensor([0, 1, 2, 0, 1, 2, 0, 1, 2, 0]))
        >>> data = Dataset(
        ...     name="x", preset="", modalities={}, classes=("a", "b", "c"), multilabel=False,
        ...     synthetic=True, splits={"train": split},
        ... )
        >>> noisy = with_noise(
        ...     data, rate=0.35, kind="symmetric", generator=torch.Generator().manual_seed(0)
        ... )
        >>> int((noisy.splits["train"].target != split.target).sum())
        3
    """
    one_of("noise kind", kind, NOISE_KINDS)
    split = dataset.splits["train"]
    target = split.target.clone()
    if dataset.multilabel:
        if kind == "asymmetric":
            raise MisuseError(
                f"asymmetric label noise is that of exclusive classes, and the labels of "
                f"{dataset.name} are not: take symmetric, which drops positive labels"
            )
        positive = (target > 0).nonzero()
        indices = positive[_drawn(len(positive), rate, generator)]
        clean = target[indices[:, 0], indices[:, 1]]
        target[indices[:, 0], indices[:, 1]] = 0.0
    else:
        classes = len(dataset.classes)
        indices = _drawn(len(target), rate, generator)
        clean = target[indices]
        shift = torch.ones_like(clean)
        if kind == "symmetric":
            shift = torch.randint(1, classes, clean.shape, generator=generator)
        target[indices] = (clean + shift) % classes
    noise = LabelNoise(kind=kind, rate=rate, indices=indices, clean=clean)
    noisy = Split(inputs=split.inputs, target=target)
    return replace(dataset, splits={**dataset.splits, "train": noisy}, noise=noise)


def _drawn(count: int, rate: float, generator: Generator) -> Tensor:
    """Return ``⌊rate · count⌋`` places, ascending."""
    # Rounded first: 0.3 of 10 is 3, though 0.3 * 10 may be a little less.
    return torch.randperm(count, generator=generator)[: int(round(rate * count, 9))].sort().values
