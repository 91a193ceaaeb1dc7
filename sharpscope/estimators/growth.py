"""How long a Krylov basis grows: while that costs fewer products in all."""

from abc import ABC, abstractmethod

from sharpscope.estimators.cost import Meter
from sharpscope.estimators.krylov import Krylov
from sharpscope.estimators.probing import ProbeSettings
from sharpscope.estimators.statistics import INTERVAL_PROBES
from sharpscope.operators import SymmetricOperator

PILOTS = 6
# Steps of the basis that do not pay are allowed up to a share of the products that are expected in
# all: Lanczos may need some before it finds what pays, and a flat spectrum shall cost little more
# than plain probes.
_PATIENCE, _LEAST = 0.08, 4


class Growth(ABC):
    """A basis that grows, and what it is known to save.

    Args:
        operator: What is measured.
        settings: Target, budget, seed and distribution of the probes.
        meter: Budget and clock.
        krylov: The basis; it may have vectors already.
    """

    def __init__(
        self, operator: SymmetricOperator, settings: ProbeSettings, meter: Meter, krylov: Krylov
    ):
        self.operator = operator
        self.settings = settings
        self.meter = meter
        self.krylov = krylov
        self._start = krylov.size

    @property
    def grown(self) -> int:
        """Number of vectors that were added here."""
        return self.krylov.size - self._start

    @abstractmethod
    def needed(self) -> float:
        """Return how many probes the target asks for with the basis as it is."""

    @abstractmethod
    def saved(self, size: int) -> float:
        """Return how many probes the vectors after the first ``size`` of the basis save."""

    @abstractmethod
    def grow(self) -> bool:
        """Add a vector to the basis; whether all is finite."""

    def adapt(self) -> bool:
        """Grow the basis while fewer products in all are the result; whether all is finite."""
        at = self.krylov.size
        while True:
            size, needed = self.krylov.size, self.needed()
            if self.saved(at) > size - at:
                at = size
            patience = max(_LEAST, _PATIENCE * (at - self._start + needed))
            # The whole space, which leaves nothing to probe, may be nearer than the last probe.
            far = self.operator.dim - size > needed
            if needed <= INTERVAL_PROBES or (size - at >= patience and far) or self._room() < 1:
                return True
            if not self.grow():
                return False
            self.meter.tell(self.grown + max(PILOTS, self.needed()))

    def _room(self) -> int:
        """Return how many products the basis may still cost: half of budget and time at most."""
        settings, rows = self.settings, self.operator.dim
        if self.krylov.size >= rows or self.meter.late:
            return 0
        if settings.max_seconds is not None and self.meter.seconds > settings.max_seconds / 2:
            return 0
        if settings.probes is not None:
            return min(settings.probes, settings.budget - settings.probes) - self.grown
        # A basis of the whole space leaves nothing to probe.
        most = settings.budget - INTERVAL_PROBES
        return (most if rows <= most else min(most, settings.budget // 2)) - self.grown
