"""How strongly the curvature of encoders is coupled."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from sharpscope.results.outcome import Outcome
from sharpscope.results.record import Result
from sharpscope.results.trace import with_error


@dataclass(frozen=True, kw_only=True, repr=False)
class CouplingResult(Result):
    """Blocks of the Hessian of several encoders, and what share of it lies between two of them.

    Names of pairs are joined by ``+``. Errors are standard errors over random probes.

    Attributes:
        blocks: ``‖H_aa‖_F²`` of each encoder, and ``‖H_ab‖_F²`` of each pair.
        block_error: Their errors.
        shares: ``2 ‖H_ab‖_F² / ‖H_SS‖_F²`` of each pair, S = a ∪ b; 0 where two encoders do not
            meet, at most 1.
        share_error: Their errors, by the jackknife.
        probes: Random probes of each encoder.
    """

    schema: ClassVar[str] = "sharpscope/coupling"

    blocks: Mapping[str, float | None]
    block_error: Mapping[str, float | None]
    shares: Mapping[str, float | None]
    share_error: Mapping[str, float | None]
    probes: int

    @property
    def advice(self) -> str:
        """What the outcome means and what to change."""
        if self.outcome is Outcome.BUDGET_SPENT:
            return (
                "The budget was spent before every block between two encoders had the error asked "
                "for: raise --budget or --max-seconds, or accept it with a larger --rtol."
            )
        return super().advice

    def __repr__(self) -> str:
        told = ", ".join(
            f"{pair} {with_error(share, self.share_error[pair])}"
            for pair, share in self.shares.items()
        )
        return f"CouplingResult({told}, {self.matvecs:g} products, {self.seconds:.1f} s)"
