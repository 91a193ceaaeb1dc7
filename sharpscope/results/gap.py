"""The normalized generalization gap."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from sharpscope.results.record import Result
from sharpscope.results.trace import with_error


@dataclass(frozen=True, kw_only=True, repr=False)
class GapResult(Result):
    """``τ = 100 (train - test) / train`` of a metric, signed; ``samples`` are those of test.

    Errors are standard errors over items of both splits, by the bootstrap.

    Attributes:
        value: τ in percent; None where the metric on train is 0.
        standard_error: Its error.
        interval: 95 % of the replicates.
        metric: ``accuracy``, ``macro_auprc`` or ``macro_auroc``.
        train: The metric on train.
        train_error: Its error.
        test: The metric on test.
        test_error: Its error.
        train_samples: Items of train.
        replicates: τ under other items, draw by draw; equal seeds draw the same items, so that
            two models can be paired.
    """

    schema: ClassVar[str] = "sharpscope/gap"

    value: float | None
    standard_error: float | None
    interval: tuple[float, float] | None
    metric: str
    train: float | None
    train_error: float | None
    test: float | None
    test_error: float | None
    train_samples: int
    replicates: np.ndarray | None = field(default=None, compare=False)

    @property
    def advice(self) -> str:
        """What the outcome means and what to change."""
        if self.value is None:
            return "The metric on train is 0, or one of the splits has no value of it."
        return "All items of both splits were looked at."

    def __repr__(self) -> str:
        told = with_error(self.value, self.standard_error)
        return (
            f"GapResult({told} %, {self.metric} {with_error(self.train, self.train_error)} and "
            f"{with_error(self.test, self.test_error)}, {self.seconds:.1f} s)"
        )
