"""How far the loss rises in a neighborhood of the parameters."""

from dataclasses import dataclass
from typing import ClassVar

from sharpscope.results.outcome import Outcome
from sharpscope.results.record import Result
from sharpscope.results.trace import with_error


@dataclass(frozen=True, kw_only=True, repr=False)
class SharpnessResult(Result):
    """Sharpness of the loss on one Selection; which one is in ``method`` and ``settings``.

    Attributes:
        value: Of Keskar's Q: percent. Of ball sharpness: the rise of the loss.
        standard_error: Over subspaces, draws or batches; None where the value is a best of several
            searches, whose ``spread`` tells how far they agree.
        interval: 95 % interval by Student's t, from ten terms on.
        spread: Difference between the largest and the smallest of ``values``.
        values: One for each search, subspace, draw or batch.
        evaluations: Passes over the data, with or without a gradient.
    """

    schema: ClassVar[str] = "sharpscope/sharpness"

    value: float | None
    standard_error: float | None
    interval: tuple[float, float] | None
    spread: float | None
    values: tuple[float, ...]
    evaluations: float

    @property
    def advice(self) -> str:
        """What the outcome means and what to change."""
        return {
            Outcome.COMPLETED: "Everything that was asked for was searched; no target was set.",
            Outcome.BUDGET_SPENT: "Time ran out before all was searched: raise --max-seconds.",
            Outcome.NOT_FINITE: "The loss was not finite somewhere in the neighborhood: make it "
            "smaller.",
        }.get(self.outcome, super().advice)

    def __repr__(self) -> str:
        told = with_error(self.value, self.standard_error)
        return (
            f"SharpnessResult({told}, {self.method}, {self.evaluations:g} passes, "
            f"{self.seconds:.1f} s)"
        )
