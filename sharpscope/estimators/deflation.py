"""How much to deflate before probing: a Krylov basis grown while it pays for itself."""

import math

import torch
from torch import Tensor

from sharpscope.estimators.cost import Meter
from sharpscope.estimators.draws import Draws
from sharpscope.estimators.growth import Growth
from sharpscope.estimators.krylov import Krylov
from sharpscope.estimators.probing import ProbeSettings, all_finite, draw_block
from sharpscope.estimators.statistics import Spread, expected_probes
from sharpscope.operators import Products, SymmetricOperator


class Deflation(Growth):
    """A basis Q, and pilot probes that tell how many more of them it would leave to draw.

    What a step of the basis saves is known without noise: with ``B = (I − QQᵀ)A(I − QQᵀ)`` and
    the Lanczos coefficients, ``‖B‖_F² = ‖A‖_F² − Σ (α_j² + 2β_j²)``, and the variance of a probe
    is proportional to that (as in Persson, Cortinovis, Kressner, 2022, arXiv 2109.10659, where Q
    is a sketch). How large it is, is for the pilots to say.

    Pilots are probes v whose remainders ``r = (I − QQᵀ)v`` and images ``(I − QQᵀ)Ar`` follow the
    growing basis without further products: when a vector q joins Q, r loses its part
    ``c = qᵀr``, its image loses ``c Aq``, and its form ``rᵀAr`` becomes
    ``rᵀAr − 2c qᵀAr + c² qᵀAq``, all known from the one product ``Aq``. The variance of a
    Gaussian form is ``2‖B‖_F²``, that of a Rademacher form ``2(‖B‖_F² − Σ B_ii²)``, and
    ``E‖Bv‖² = ‖B‖_F²``: a few images know it.

    Pilots are the first probes of the estimate. The spread of their forms has no say in how large
    the basis becomes: it would be that of the basis which suits them by luck, and too small.

    Args:
        operator: What is measured.
        settings: Seed and distribution of the probes.
        meter: Budget and clock.
        krylov: The basis to grow; it may have vectors already.
        draws: Which probes are drawn.

    Attributes:
        forms: Each batch's form ``rᵀS_b r`` under each pilot, float64 ``[batches, pilots]``.
    """

    def __init__(
        self,
        operator: SymmetricOperator,
        settings: ProbeSettings,
        meter: Meter,
        krylov: Krylov,
        draws: Draws | None = None,
    ):
        super().__init__(operator, settings, meter, krylov)
        self._draws = draws or Draws()
        self.remainders = torch.zeros(0, operator.dim, dtype=operator.dtype, device=operator.device)
        self.images = self.remainders
        self.forms = torch.zeros(0, 0, dtype=torch.float64, device=operator.device)
        self._weights = torch.zeros(0, device=operator.device)
        self._signs = self.remainders.to(torch.int8)

    def draw(self, wanted: int) -> bool:
        """Draw so many pilots, fewer where the time is short; whether all is finite."""
        while (count := len(self.remainders)) < wanted and not (count and self.meter.late):
            size = self.meter.block(wanted - count)
            vectors = draw_block(
                self.operator, self.settings, count, size, number=self._draws.number
            )
            rest = self.without(vectors)
            products = self.meter.timed(self.operator, rest)
            if not all_finite(products):
                return False
            if not count and not self.krylov.size:
                self.operator.check_random(vectors, products.columns)
            self.remainders = torch.cat([self.remainders, rest.T])
            self.images = torch.cat([self.images, self.without(products.columns).T])
            before = self.forms if count else products.forms[:, :0]
            self.forms = torch.cat([before, products.forms], dim=1)
            self._weights = products.weights
            if self.settings.rademacher:
                self._signs = torch.cat([self._signs, vectors.T.to(torch.int8)])
            self.meter.tell(self.grown + max(wanted, self.needed()))
        return True

    def grow(self) -> bool:
        """Add a vector to the basis; whether all is finite."""
        products = self.krylov.step(self.meter, self.remainders)
        if products is None:
            return False
        assert products.cross is not None
        vector, image = self.krylov.rows[-1], products.columns
        parts = self.remainders @ vector
        exact, crossed = parts.double(), products.cross[:, :, 0]
        self.forms = self.forms - 2 * exact * crossed + exact.square() * products.forms
        self.remainders -= torch.outer(parts, vector)
        self.images -= torch.outer(parts, self.without(image)[:, 0])
        self.images -= torch.outer(self.images @ vector, vector)
        return True

    def drawn(self) -> Products:
        """Return the products of the pilots with ``(I − QQᵀ)A``."""
        return Products(self.images.T, self.forms, self._weights)

    def without(self, vectors: Tensor) -> Tensor:
        """Return ``(I − QQᵀ) V``."""
        rows = self.krylov.rows
        return vectors - rows.T @ (rows @ vectors)

    def squared_norm(self) -> float:
        """Return the estimate of ``‖B‖_F²`` with the basis as it is."""
        return self.images.double().square().sum(1).mean().item()

    def spread(self) -> Spread:
        """Return what the pilots' images say of the variance of a form."""
        found = Spread(rademacher=self.settings.rademacher)
        vectors = self._signs.to(self.images) if self.settings.rademacher else self.remainders
        found.add(vectors.T, self.images.T)
        return found

    def needed(self) -> float:
        """Return how many probes the target asks for with the basis as it is."""
        value = self.drawn().quadratic.mean().item() + math.fsum(self.krylov.alpha)
        plain = expected_probes(self.spread().variance(), self.settings.rtol * abs(value))
        return self._draws.gain * plain

    def saved(self, size: int) -> float:
        """Return how many probes the vectors after the first ``size`` of the basis save."""
        squared = self.squared_norm()
        captured = self._captured(self.krylov.size) - self._captured(size)
        return self.needed() * captured / squared if squared else 0.0

    def _captured(self, size: int) -> float:
        """Return ``‖A‖_F² − ‖B‖_F²`` for the first ``size`` vectors of the basis."""
        pairs = zip(self.krylov.alpha[:size], self.krylov.beta[:size], strict=True)
        return math.fsum(alpha**2 + 2 * beta**2 for alpha, beta in pairs)
