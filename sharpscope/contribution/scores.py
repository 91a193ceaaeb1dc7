"""How good predictions are, and how far that would move with other items of the same kind."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from sharpscope.ranking import auprc, auroc, mean
from sharpscope.streams import stream

METRICS = ("accuracy", "macro_auprc", "macro_auroc")

# Ranking items anew is dear: so many replicates say its error to a twentieth.
_RANKED = 200
_BLOCK = 2**24  # counts held at once


class Scored(NamedTuple):
    """A score with its standard error over items, and its replicates to pair it with others."""

    value: float | None
    error: float | None
    replicates: np.ndarray


@dataclass(frozen=True)
class Bootstrap:
    """Replicates of a split: items drawn with replacement, the same ones for every score.

    Args:
        items: In the split.
        replicates: How many are drawn.
        seed: Of the draws.
    """

    items: int
    replicates: int
    seed: int

    @classmethod
    def named(cls, items: int, replicates: int, seed: int, *path: str) -> "Bootstrap":
        """Return the replicates that a seed and a name define."""
        draw = torch.randint(2**62, (1,), generator=stream(seed, *path, "bootstrap"))
        return cls(items, replicates, int(draw))

    def means(self, values: np.ndarray) -> np.ndarray:
        """Return the means of rows of values per item, ``[rows, items]``, by replicate."""
        found = [counts @ values.T / self.items for counts in self._counts(self.replicates)]
        return np.concatenate(found)

    def each(self, score: Callable[[np.ndarray], float], *, most: int) -> np.ndarray:
        """Return a score of weighted items for each of the first replicates."""
        return np.array(
            [
                score(weights)
                for block in self._counts(min(most, self.replicates))
                for weights in block
            ]
        )

    def _counts(self, replicates: int) -> Generator[np.ndarray]:
        generator = np.random.default_rng(self.seed)
        size = max(1, _BLOCK // self.items)
        for start in range(0, replicates, size):
            count = min(size, replicates - start)
            even = np.full(self.items, 1 / self.items)
            yield generator.multinomial(self.items, even, size=count).astype(np.float32)


def score(
    logits: np.ndarray,
    target: np.ndarray,
    drawn: Bootstrap,
    metric: str,
    names: Sequence[str] | None = None,
) -> Scored:
    """Return a metric and its error.

    Args:
        logits: ``[items, outputs]``.
        target: Classes ``[items]`` or labels ``[items, outputs]``.
        drawn: The replicates.
        metric: One of ``METRICS``; of labels accuracy is the share that is right. Rankings are
            the mean over classes, each against the rest, or over labels.
        names: The outputs that a ranking is the mean of; by default those that have a value. A
            replicate in which one of them has none has no value itself.
    """
    if metric == "accuracy":
        each = _right(logits, target)
        return scored(float(each.mean()), drawn.means(each[None])[:, 0])
    chosen = list(ranked(metric, logits, target)) if names is None else list(names)

    def of(weights: np.ndarray | None = None) -> float:
        found = ranked(metric, logits, target, weights, chosen)
        value = mean(found) if len(found) == len(chosen) else None
        return float("nan") if value is None else value

    return scored(of(), drawn.each(of, most=_RANKED))


def score_alone(logits: np.ndarray, target: np.ndarray, metric: str) -> float:
    """Return a metric without its error; NaN where it is not defined or a logit is not finite."""
    if not np.isfinite(logits).all():
        return float("nan")
    if metric == "accuracy":
        return float(_right(logits, target).mean())
    found = mean(ranked(metric, logits, target))
    return float("nan") if found is None else found


def _right(logits: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return whether each item's prediction is right, or its share of right labels."""
    right = (logits > 0) == (target > 0.5) if target.ndim == 2 else logits.argmax(1) == target
    return right.mean(1) if right.ndim == 2 else right.astype(float)


def ranked(
    metric: str,
    logits: np.ndarray,
    target: np.ndarray,
    weights: np.ndarray | None = None,
    names: Sequence[str] | None = None,
) -> dict[str, float]:
    """Return a ranking of each output that has one, by its number."""
    order, truth = logits, target
    if target.ndim == 1:
        order = np.exp(logits - np.logaddexp.reduce(logits, axis=1, keepdims=True))
        truth = np.eye(logits.shape[1])[target]
    chosen = [str(n) for n in range(logits.shape[1])] if names is None else list(names)
    columns = [int(name) for name in chosen]
    ranking = {"macro_auprc": auprc, "macro_auroc": auroc}[metric]
    return ranking(order[:, columns], truth[:, columns], chosen, weights)


def scored(value: float, replicates: np.ndarray) -> Scored:
    """Return a value with the deviation of its replicates."""
    if not np.isfinite(value):
        return Scored(None, None, replicates)
    return Scored(value, deviation(replicates), replicates)


def deviation(replicates: np.ndarray) -> float | None:
    """Return the standard deviation of replicates; None where it is not known.

    A replicate without a positive item has no precision; where that is one in ten, rare items make
    the rest no picture of the whole.
    """
    finite = replicates[np.isfinite(replicates)]
    enough = len(finite) > 1 and len(finite) >= 0.9 * len(replicates)
    return float(finite.std(ddof=1)) if enough else None


def difference(one: Scored, two: Scored) -> tuple[float | None, float | None]:
    """Return how far the first score is above the second, and its paired error."""
    if one.value is None or two.value is None:
        return None, None
    return one.value - two.value, deviation(one.replicates - two.replicates)
