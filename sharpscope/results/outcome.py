"""How a measurement ended, and what to do about it."""

from enum import StrEnum


class Outcome(StrEnum):
    """How a measurement ended; ``advice`` says what to change.

    Only misuse raises. A run that spent its budget keeps what it measured.

    Example:
        >>> Outcome("converged").advice
        'The target was reached.'
    """

    CONVERGED = "converged"
    COMPLETED = "completed"
    BUDGET_SPENT = "budget_spent"
    STAGNATED = "stagnated"
    NOT_FINITE = "not_finite"

    @property
    def advice(self) -> str:
        """One sentence for the reader of the result."""
        return _ADVICE[self]


_ADVICE = {
    Outcome.CONVERGED: "The target was reached.",
    Outcome.COMPLETED: "The number of probes that was asked for is drawn; no target was set.",
    Outcome.BUDGET_SPENT: (
        "The budget was spent before the target was reached: raise --budget or --max-seconds, "
        "or accept the error with a larger --rtol."
    ),
    Outcome.STAGNATED: (
        "Rounding keeps the residual above the target: measure with --dtype float64, or accept the "
        "residual with a larger --rtol."
    ),
    Outcome.NOT_FINITE: (
        "A product was not finite: measure with --dtype float64, and look for an operation whose "
        "second derivative is infinite (a square root or a logarithm at 0)."
    ),
}
