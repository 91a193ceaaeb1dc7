"""Which probes are drawn, and what they make."""

from collections.abc import Callable

from torch import Tensor

from sharpscope.estimators.cost import Meter
from sharpscope.estimators.probing import ProbeSettings, Probing
from sharpscope.operators import Products, SymmetricOperator


class Draws:
    """New probes, and their mean.

    Attributes:
        gain: Share of the probes of a plain mean that are expected to do.
    """

    gain = 1.0

    def number(self, position: int) -> int:
        """Return the name of the probe at a position."""
        return position

    def probing(
        self,
        operator: SymmetricOperator,
        settings: ProbeSettings,
        meter: Meter,
        prepare: Callable[[Tensor], Tensor],
        exact: Products | None,
    ) -> Probing:
        """Return what draws them."""
        return Probing(operator, settings, meter, prepare, exact)

    def planned(self, probing: Probing, expected: float) -> float:
        """Return how many probes to draw before the first look at their error.

        Args:
            probing: With the first of them drawn.
            expected: How many are expected to do.
        """
        return expected

    def done(self, probing: Probing) -> None:
        """Take note of what was drawn."""
