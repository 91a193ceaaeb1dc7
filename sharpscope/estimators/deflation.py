"""How much to deflate before probing: a Krylov basis grown while it pays for itself."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from sharpscope.estimators.cost import Meter
from sharpscope.estimators.krylov import Krylov
from sharpscope.estimators.probing import ProbeSettings, all_finite, draw_block
from sharpscope.estimators.statistics import INTERVAL_PROBES, Mean, probes_needed
from sharpscope.operators import SymmetricOperator

SCOUTS = 6
# A step of the basis pays if it saves two probes: scouts are few, and what they show is half luck.
# Steps that do not pay are allowed up to a share of the products that are expected in all, so that
# a flat spectrum costs little more than plain probes.
_GAIN, _PATIENCE, _LEAST = 2, 0.08, 4


class Deflation:
    """A basis Q, and scouts that tell how many probes each size of it would leave to draw.

    Scouts are probes v whose remainders ``r = (I − QQᵀ)v`` and images ``(I − QQᵀ)Ar`` follow the
    growing basis without further products: when a vector q joins Q, r loses its part
    ``c = qᵀr``, its image loses ``c Aq``, and its form ``rᵀAr`` becomes
    ``rᵀAr − 2c qᵀAr + c² qᵀAq``, all known from the one product ``Aq``. With
    ``B = (I − QQᵀ)A(I − QQᵀ)``, the variance of a Gaussian form is ``2‖B‖_F²``, that of a
    Rademacher form ``2(‖B‖_F² − Σ B_ii²)``, and ``E‖Bv‖² = ‖B‖_F²``: a few images know it.

    Scouts decide and do not estimate. Probes by which the basis was chosen would be those that
    the basis suits by luck, and their spread would say too little.

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
        self.images = self.remainders
        self.forms = torch.zeros(0, dtype=torch.float64, device=operator.device)
        self._signs = self.remainders.to(torch.int8)

    def scout(self) -> bool:
        """Send the scouts, fewer where the budget or the time is short; whether all is finite."""
        while (count := len(self.forms)) < SCOUTS and not (count and self.meter.late):
            size = self.meter.block(SCOUTS - count)
            vectors = draw_block(self.operator, self.settings, count, size, "scout")
            rest = self.without(vectors)
            products = self.meter.timed(self.operator, rest)
            if not all_finite(products):
                return False
            self.remainders = torch.cat([self.remainders, rest.T])
            self.images = torch.cat([self.images, self.without(products.columns).T])
            self.forms = torch.cat([self.forms, products.quadratic])
            if self.settings.distribution == "rademacher":
                self._signs = torch.cat([self._signs, vectors.T.to(torch.int8)])
            self.tell()
        return True

    def grow(self) -> bool:
        """Add a vector to the basis; whether all is finite."""
        products = self.krylov.step(self.meter)
        if products is None:
            return False
        vector, image = self.krylov.rows[-1], products.columns
        parts = self.remainders @ vector
        crossed = (self.remainders @ image)[:, 0].double()
        exact = parts.double()
        self.forms = self.forms - 2 * exact * crossed + exact.square() * products.quadratic
        self.remainders -= torch.outer(parts, vector)
        self.images -= torch.outer(parts, self.without(image)[:, 0])
        self.images -= torch.outer(self.images @ vector, vector)
        return True

    def without(self, vectors: Tensor) -> Tensor:
        """Return ``(I − QQᵀ) V``."""
        rows = self.krylov.rows
        return vectors - rows.T @ (rows @ vectors)

    def variance(self) -> float:
        """Return the variance of the form of one probe with the basis as it is."""
        squared = self.images.double().square().sum(1).mean().item()
        if len(self._signs) < 2:
            return 2 * squared
        # The diagonal by two independent halves, so that its square carries no noise of its own.
        halves = [
            torch.einsum("nd,nd->d", self._signs[k::2].to(self.images), self.images[k::2])
            / len(self._signs[k::2])
            for k in (0, 1)
        ]
        return 2 * max(0.0, squared - torch.dot(*(half.double() for half in halves)).item())

    def needed(self) -> float:
        """Return how many probes the target asks for with the basis as it is."""
        value = self.forms.mean().item() + sum(self.krylov.alpha)
        target = self.settings.rtol * abs(value)
        variance = self.variance()
        least = variance / target**2 if target else math.inf if variance else 0.0
        count = int(min(max(INTERVAL_PROBES, least), 1e9))
        planned = Mean(value, math.sqrt(variance / count), count)
        return max(INTERVAL_PROBES, probes_needed(planned, target))

    def tell(self) -> None:
        """Tell the watcher what is still expected."""
        self.meter.tell(self.meter.products + SCOUTS - len(self.forms) + self.needed())

    def adapt(self, allowed: Callable[[], bool]) -> bool:
        """Grow the basis while fewer products in all are the result; whether all is finite.

        Args:
            allowed: Whether budget and time allow another vector.
        """
        start, least, at = self.krylov.size, math.inf, 0
        while True:
            size, needed = self.krylov.size - start, self.needed()
            if least - needed > _GAIN * (size - at) or least == math.inf:
                least, at = needed, size
            patience = max(_LEAST, _PATIENCE * (at + least))
            if needed <= INTERVAL_PROBES or size - at >= patience or not allowed():
                return True
            if not self.grow():
                return False
            self.tell()
