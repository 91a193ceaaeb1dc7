"""A fresh linear classifier on frozen features: what an encoder's features hold by themselves."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sharpscope.lazy import imported

# 1 / L2 penalty, from features that hardly count to features that may fit single items.
STRENGTHS = tuple(float(10 ** (k / 2)) for k in range(-8, 5))
_STEPS = 2000
_SURE = 700.0  # a logit that no item changes


@dataclass(frozen=True, kw_only=True)
class Probed:
    """A probe's predictions.

    Attributes:
        logits: Of the items asked for, ``[items, outputs]``.
        strength: 1 / L2 penalty that validation chose.
        edge: Which end of those tried it is, ``weakest`` or ``strongest``; empty between them.
        converged: Whether every fit with it reached its end.
    """

    logits: np.ndarray
    strength: float
    edge: str
    converged: bool


def probe(
    train: tuple[np.ndarray, np.ndarray],
    val: tuple[np.ndarray, np.ndarray],
    features: np.ndarray,
    *,
    strengths: Sequence[float] = STRENGTHS,
) -> Probed:
    """Fit multinomial logistic regression on train and return its logits of other features.

    Features are standardized by the mean and the deviation of train; the L2 penalty is that with
    the smallest cross entropy on validation. Labels that do not exclude each other have a
    classifier each and one penalty in common.

    Args:
        train: Features ``[items, numbers]``, and classes ``[items]`` or labels
            ``[items, outputs]``.
        val: The same.
        features: Of the items to predict.
        strengths: What is tried as 1 / penalty.

    Source: linear probes on frozen encoders as in MASAM (ICLR 2026), whose settings are not
    published; the protocol is our own.
    """
    middle, spread = train[0].mean(0), train[0].std(0)
    spread = np.where(spread > 0, spread, 1.0)
    x, v, t = ((part - middle) / spread for part in (train[0], val[0], features))
    outputs = _outputs(train[1], val[1])
    best: tuple[float, float, np.ndarray, bool] | None = None
    for strength in strengths:
        told, found, converged = _fitted(x, train[1], [v, t], strength, outputs)
        loss = _cross_entropy(told, val[1])
        if best is None or loss < best[0]:
            best = (loss, strength, found, converged)
    assert best is not None
    return Probed(
        logits=best[2],
        strength=best[1],
        edge={max(strengths): "weakest", min(strengths): "strongest"}.get(best[1], ""),
        converged=best[3],
    )


def _outputs(*targets: np.ndarray) -> int:
    if targets[0].ndim == 2:
        return targets[0].shape[1]
    return int(max(target.max() for target in targets)) + 1


def _fitted(
    x: np.ndarray, y: np.ndarray, others: Sequence[np.ndarray], strength: float, outputs: int
) -> tuple[np.ndarray, np.ndarray, bool]:
    """Return log-probabilities (labels: logits) of two other sets, and whether it converged."""
    found = [np.full((len(other), outputs), -np.inf) for other in others]
    converged = True
    warning = imported("sklearn.exceptions").ConvergenceWarning
    columns = [y] if y.ndim == 1 else list(y.T)
    for column, target in enumerate(columns):
        kinds = np.unique(target)
        if len(kinds) == 1:  # nothing to tell apart: what it always is
            for rows in found:
                place = int(kinds[0]) if y.ndim == 1 else column
                rows[:, place] = 0.0 if y.ndim == 1 else np.copysign(_SURE, kinds[0] - 0.5)
            continue
        model = imported("sklearn.linear_model").LogisticRegression(
            C=strength, max_iter=_STEPS, tol=1e-6
        )
        with warnings.catch_warnings():
            warnings.simplefilter("error", warning)
            try:
                model.fit(x, target)
            except warning:
                converged = False
                warnings.simplefilter("ignore", warning)
                model.fit(x, target)
        for rows, other in zip(found, others, strict=True):
            if y.ndim == 1:
                rows[:, model.classes_.astype(int)] = model.predict_log_proba(other)
            else:
                rows[:, column] = model.decision_function(other)
    return found[0], found[1], converged


def _cross_entropy(logits: np.ndarray, target: np.ndarray) -> float:
    """Return the mean cross entropy; a class that train has not is as improbable as can be told."""
    if target.ndim == 1:
        return float(-np.maximum(logits[np.arange(len(target)), target], -_SURE).mean())
    signed = np.where(target > 0.5, -logits, logits)
    return float(np.minimum(np.logaddexp(0.0, signed), _SURE).mean())
