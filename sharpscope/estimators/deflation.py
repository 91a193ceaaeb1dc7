"""How much to deflate before probing: a Krylov basis grown while it pays for itself."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from sharpscope.estimators.cost import Meter
from sharpscope.estimators.krylov import Krylov
from sharpscope.estimators.probing import ProbeSettings, all_finite, draw_block
from sharpscope.estimators.statistics import Mean, mean, probes_needed
from sharpscope.operators import Products, SymmetricOperator

# A step of the basis pays if it saves two probes: pilots are few, and what they show is half luck.
# Steps that do not pay are allowed up to a share of the products that are expected in all, so that
# a flat spectrum costs little more than plain probes.
_GAIN, _PATIENCE, _LEAST = 2, 0.12, 4


class Deflation:
    """A basis Q and pilot probes whose remainders ``(I − QQᵀ)v`` follow it without products.

    When a vector q joins Q, the remainder r of a pilot loses its part ``c = qᵀr`` and its form
    becomes ``rᵀAr − 2c qᵀAr + c² qᵀAq``: all known from the one product ``Aq``. So the pilots
    tell, for one product a vector, how many probes each size of the basis would leave to draw.

    Args:
        operator: What is measured.
        settings: Seed and distribution of the probes.
        meter: Budget and clock.
        krylov: The basis to grow; it may have vectors already.
    """

    def __init__(
        self, operator: SymmetricOperator, settings: ProbeSettings, meter: Meter, krylov: Krylov
    ):
        self.operator = operator
        self.settings = settings
        self.meter = meter
        self.krylov = krylov
        self.remainders = torch.zeros(0, operator.dim, dtype=operator.dtype, device=operator.device)
        self._forms: list[Tensor] = []
        self.weights = torch.zeros(0)

    @property
    def pilots(self) -> Products:
        """The forms of the pilots' remainders, batch by batch."""
        empty = self.remainders[:0].T
        return Products(empty, torch.stack(self._forms, dim=1), self.weights)

    @property
    def count(self) -> int:
        """Number of pilots."""
        return len(self.remainders)

    def draw(self, count: int) -> bool:
        """Draw so many pilots as far as budget and time go; whether all is finite."""
        while self.count < count:
            if self.count >= 2 and (self.meter.late or self.meter.left < 1):
                return True
            size = self.meter.block(min(count - self.count, max(1, self.meter.left)))
            vectors = draw_block(self.operator, self.settings, self.count, size)
            rest = self.without(vectors)
            products = self.meter.timed(self.operator, rest)
            if not all_finite(products):
                return False
            self.remainders = torch.cat([self.remainders, rest.T])
            self._forms.extend(products.forms.unbind(1))
            self.weights = products.weights
            if self.count >= 2:
                self.tell()
        return True

    def grow(self) -> bool:
        """Add a vector to the basis; whether all is finite."""
        products = self.krylov.step(self.meter, self.remainders)
        if products is None:
            return False
        assert products.cross is not None
        vector = self.krylov.rows[-1]
        parts = self.remainders @ vector
        for index, part in enumerate(parts.double()):
            self._forms[index] = (
                self._forms[index]
                - 2 * part * products.cross[:, index, 0]
                + part.square() * products.forms[:, 0]
            )
        self.remainders -= torch.outer(parts, vector)
        return True

    def without(self, vectors: Tensor) -> Tensor:
        """Return ``(I − QQᵀ) V``."""
        rows = self.krylov.rows
        return vectors - rows.T @ (rows @ vectors)

    def found(self) -> Mean:
        """Return the estimate with the basis as it is."""
        rest = mean(self.pilots.quadratic)
        return Mean(rest.value + sum(self.krylov.alpha), rest.error, rest.count)

    def needed(self) -> float:
        """Return how many probes the target asks for in all with the basis as it is."""
        found = self.found()
        return probes_needed(found, self.settings.rtol * abs(found.value))

    def tell(self) -> None:
        """Tell the watcher what is still expected."""
        found = self.found()
        more = max(0.0, self.needed() - self.count)
        self.meter.tell(self.meter.products + more, value=found.value, error=found.error)

    def adapt(self, allowed: Callable[[], bool]) -> bool:
        """Grow the basis while fewer products in all are the result; whether all is finite.

        Args:
            allowed: Whether budget and time allow another vector.
        """
        start, least, at = self.krylov.size, math.inf, 0
        while True:
            size = self.krylov.size - start
            needed = max(self.needed(), self.count)
            if least - needed > _GAIN * (size - at) or least == math.inf:
                least, at = needed, size
            patience = max(_LEAST, _PATIENCE * (at + least))
            if needed <= self.count or size - at >= patience or not allowed():
                return True
            if not self.grow():
                return False
            self.tell()
