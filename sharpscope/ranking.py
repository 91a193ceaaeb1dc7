"""How well scores rank the positive items of each label: what accuracy cannot tell of rare ones."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sharpscope.lazy import imported


def auprc(
    scores: np.ndarray, truth: np.ndarray, names: Sequence[str], weights: Any = None
) -> dict[str, float]:
    """Return the average precision of each label that has a positive item.

    Args:
        scores: ``[items, labels]``.
        truth: Zeros and ones of the same shape.
        names: Of the labels.
        weights: Of the items; equal by default.
    """
    found: dict[str, float] = {}
    for column, name in enumerate(names):
        positive = truth[:, column] > 0
        if (positive if weights is None else weights * positive).any():
            found[name] = float(
                _sklearn().average_precision_score(
                    positive, scores[:, column], sample_weight=weights
                )
            )
    return found


def auroc(
    scores: np.ndarray, truth: np.ndarray, names: Sequence[str], weights: Any = None
) -> dict[str, float]:
    """Return the area under the ROC curve of each label with items of both kinds.

    Arguments are those of ``auprc``.
    """
    found: dict[str, float] = {}
    for column, name in enumerate(names):
        positive = truth[:, column] > 0
        counted = positive if weights is None else positive[weights > 0]
        if 0 < counted.sum() < len(counted):
            found[name] = float(
                _sklearn().roc_auc_score(positive, scores[:, column], sample_weight=weights)
            )
    return found


def _sklearn() -> Any:
    # A second to import, which who measures curvature need not wait for.
    return imported("sklearn.metrics")


def mean(values: Mapping[str, float]) -> float | None:
    """Return the mean over labels; None where no label has a value."""
    return sum(values.values()) / len(values) if values else None
