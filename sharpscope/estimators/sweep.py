"""The traces of all diagonal blocks of one matrix from the same products."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from sharpscope.errors import MisuseError
from sharpscope.estimators.cost import Meter, Watcher
from sharpscope.estimators.growth import PILOTS, Growth
from sharpscope.estimators.krylov import Krylov
from sharpscope.estimators.probing import (
    ProbeSettings,
    all_finite,
    draw_block,
)
from sharpscope.estimators.statistics import (
    INTERVAL_PROBES,
    Mean,
    batch_halves,
    data_error_of_probes,
    expected_probes,
    mean,
    probes_needed,
    shares,
)
from sharpscope.estimators.traced import trace_result
from sharpscope.operators import SymmetricOperator
from sharpscope.results import Outcome, TraceResult


@dataclass(frozen=True, kw_only=True)
class Sweep(ProbeSettings):
    """Estimate ``tr(A_BB)`` of every block B of a partition from products with the whole A.

    With an orthonormal Q, ``A = AQQᵀ + A(I − QQᵀ)``: the first part gives each block
    ``Σ_j ⟨q_j, Aq_j⟩_B`` exactly, the second ``⟨v, A(I − QQᵀ)v⟩_B`` for random v, the inner
    products taken over the block. Unbiased for each block, and what the blocks have together is
    the estimate for the whole, to rounding. Q is a Krylov basis that grows while it saves probes
    to the block that needs most: ``M = A(I − QQᵀ)`` loses ``‖(Aq)_B‖²`` of ``‖M_B‖_F²`` a step.

    The standard error is the larger of that of the terms and the least that the images of the
    pilots leave for it. A probe of a block by itself does not see the blocks beside its own: it has
    the smaller variance, ``2‖A_BB‖_F²`` where that of a sweep has ``‖A_BC‖_F²`` more for each C. A
    sweep pays where products with the blocks one by one cost more than one with the whole.

    Args:
        rtol: Stop when each block's standard error is at most ``rtol · |estimate|``.
        probes: Draw exactly so many probes instead; at least 2.
        budget: Products with the whole matrix that may be spent; at least 2.
        max_seconds: Seconds that may be spent.
        distribution: ``rademacher`` or ``gaussian``.
        seed: Names the random streams; more probes extend the draws.

    Raises:
        MisuseError: If a setting is out of its range.

    Example:
        >>> import torch
        >>> from sharpscope.estimators import Sweep
        >>> from sharpscope.operators import DenseOperator
        >>> operator = DenseOperator(torch.diag(torch.arange(1.0, 51.0)))
        >>> first = torch.arange(50) < 20
        >>> found = Sweep(rtol=1e-3)(operator, {"a": first, "b": ~first})
        >>> {name: round(part.value) for name, part in found.items()}
        {'a': 210, 'b': 1065}
    """

    def __call__(
        self,
        operator: SymmetricOperator,
        blocks: Mapping[str, Tensor],
        *,
        watcher: Watcher | None = None,
    ) -> dict[str, TraceResult]:
        """Return the trace of each block.

        Args:
            operator: The whole matrix.
            blocks: For each name the rows of its block, a mask ``[dim]``; each row in one block.
            watcher: Told how far the measurement is.

        Raises:
            MisuseError: If a row is in no block or in several.
        """
        meter = Meter(self.budget, self.max_seconds, watcher)
        masks = torch.stack([mask.to(operator.device) for mask in blocks.values()])
        wrong = int((masks.sum(0) != 1).sum())
        if wrong:
            raise MisuseError(f"each row must be in one block; {wrong:,} are in none or in several")
        with operator.session():
            swept = _Swept(operator, self, meter, masks)
            outcome = swept.run()
            return {
                name: trace_result(
                    _Part(swept, index),
                    outcome,
                    method="hutch++",
                    deflated=swept.krylov.size,
                    report=operator.part(name, masks[index]),
                    way="one sweep",
                )
                for index, name in enumerate(blocks)
            }


class _Swept(Growth):
    """Basis and probes, and every block's part of their forms."""

    def __init__(
        self, operator: SymmetricOperator, settings: ProbeSettings, meter: Meter, masks: Tensor
    ):
        super().__init__(operator, settings, meter, Krylov(operator, settings.seed))
        self.masks = masks.to(operator.dtype)
        empty = torch.zeros(0, operator.dim, dtype=operator.dtype, device=operator.device)
        self.lefts, self.rights, self.images = empty, empty, empty
        self.forms = torch.zeros(0, len(masks), 0, dtype=torch.float64, device=operator.device)
        self.exact = torch.zeros(0, len(masks), dtype=torch.float64, device=operator.device)
        self.weights = torch.zeros(0, device=operator.device)
        self._captured = [torch.zeros(len(masks), dtype=torch.float64, device=operator.device)]

    def run(self) -> Outcome:
        """Draw pilots, grow the basis and probe until every block's error is small enough."""
        settings, meter = self.settings, self.meter
        if not self._draw(min(PILOTS, settings.probes or PILOTS, settings.budget), follow=True):
            return Outcome.NOT_FINITE
        if not self.adapt():
            return Outcome.NOT_FINITE
        goal = settings.probes or INTERVAL_PROBES
        while True:
            while (count := self.forms.shape[2]) < goal:
                if count >= 2 and (meter.late or meter.left < 1):
                    return Outcome.BUDGET_SPENT
                if not self._draw(goal - count):
                    return Outcome.NOT_FINITE
                meter.tell(meter.products + max(goal - self.forms.shape[2], 0))
            if settings.probes is not None:
                return Outcome.COMPLETED
            needed = max(
                probes_needed(found, settings.rtol * abs(found.value))
                for found in map(self.trace, range(len(self.masks)))
            )
            if needed <= count:
                return Outcome.CONVERGED
            goal = math.ceil(min(max(count + 1, needed), 2 * count))

    def terms(self, index: int) -> Tensor:
        """Return each probe's value for a block, float64 ``[probes]``."""
        return self.forms[:, index].sum(0) / self.weights.sum()

    def exact_part(self, index: int) -> float:
        """Return the basis's part of a block's trace."""
        return (self.exact[:, index].sum() / self.weights.sum()).item()

    def trace(self, index: int) -> Mean:
        """Return the estimate for a block, with the larger one of two errors.

        One is that of its terms. The other is the least that the pilots' images leave: the
        variance is at least ``‖M_B‖_F²``, less ``Σ M_ii²`` where probes are signs.
        """
        found = mean(self.terms(index))
        least = max(0.0, (self._squares()[index] - self._diagonals()[index]).item())
        error = max(found.error, math.sqrt(least / found.count))
        return Mean(found.value + self.exact_part(index), error, found.count)

    def needed(self) -> float:
        """Return how many probes the block that needs most asks for."""
        return self._worst()[1]

    def saved(self, size: int) -> float:
        """Return how many probes the vectors after the first ``size`` save that block."""
        index, needed = self._worst()
        captured = (self._captured[-1] - self._captured[size])[index].item()
        squared = self._squares()[index].item()
        return needed * captured / squared if squared else 0.0

    def grow(self) -> bool:
        """Add a vector to the basis; whether all is finite."""
        vector = self.krylov.upcoming
        lefts = (self.masks[:, None] * self.lefts).flatten(0, 1)
        products = self.krylov.step(self.meter, torch.cat([self.masks * vector, lefts]))
        if products is None:
            return False
        assert products.cross is not None
        own, pilots = products.cross[:, :, 0].split([len(self.masks), len(lefts)], dim=1)
        parts, image = self.rights @ vector, products.columns[:, 0]
        batches, blocks, count = self.forms.shape
        self.forms = self.forms - parts.double() * pilots.view(batches, blocks, count)
        self.exact = self.exact + own
        self.rights = self.rights - torch.outer(parts, vector)
        self.images = self.images - torch.outer(parts, image)
        self._captured.append(self._captured[-1] + self._within(image.double().square()))
        return True

    def _worst(self) -> tuple[int, float]:
        squares, expected = self._squares(), list[float]()
        for index in range(len(self.masks)):
            value = self.terms(index).mean().item() + self.exact_part(index)
            target = self.settings.rtol * abs(value)
            expected.append(expected_probes(2 * squares[index].item(), target))
        worst = max(range(len(expected)), key=expected.__getitem__)
        return worst, expected[worst]

    def _squares(self) -> Tensor:
        """Return an estimate of each block's ``‖M_B‖_F²``."""
        return self._within(self.images.double().square().mean(0))

    def _diagonals(self) -> Tensor:
        """Return an estimate of each block's ``Σ M_ii²`` by two halves of the pilots, of signs."""
        if not self.settings.rademacher or len(self.lefts) < 2:
            return torch.zeros(len(self.masks), dtype=torch.float64, device=self.masks.device)
        diagonals = self.lefts.double() * self.images.double()
        return self._within(diagonals[::2].mean(0) * diagonals[1::2].mean(0)).clamp(min=0)

    def _within(self, values: Tensor) -> Tensor:
        return self.masks.double() @ values

    def _draw(self, wanted: int, *, follow: bool = False) -> bool:
        """Draw up to so many probes; with ``follow`` all of them, and keep them as pilots."""
        goal = self.forms.shape[2] + wanted
        while (count := self.forms.shape[2]) < goal:
            size = self.meter.block(min(goal - count, max(1, self.meter.left)))
            probes = draw_block(self.operator, self.settings, count, size).T
            rights = probes - (probes @ self.krylov.rows.T) @ self.krylov.rows
            others = (self.masks[:, None] * probes).flatten(0, 1)
            products = self.meter.timed(self.operator, rights.T, others)
            if not all_finite(products):
                return False
            assert products.cross is not None
            batches = len(products.weights)
            cross = products.cross.view(batches, len(self.masks), size, size)
            forms = cross.diagonal(dim1=2, dim2=3)
            self.weights = products.weights
            if not count:
                self.operator.check_random(rights.T, products.columns)
                self.forms = self.forms.new_zeros(batches, len(self.masks), 0)
                self.exact = self.exact.new_zeros(batches, len(self.masks))
            self.forms = torch.cat([self.forms, forms], dim=2)
            if not follow:
                return True
            self.lefts = torch.cat([self.lefts, probes])
            self.rights = torch.cat([self.rights, rights])
            self.images = torch.cat([self.images, products.columns.T])
            if self.meter.late:
                return True
        return True


class _Part:
    """One block of a sweep as a record wants it."""

    def __init__(self, swept: _Swept, index: int):
        self.operator = swept.operator
        self.meter = swept.meter
        self.settings = swept.settings
        self.count = swept.forms.shape[2]
        self.batches = len(swept.weights)
        self._swept = swept
        self._index = index

    def trace(self) -> Mean:
        """Return the estimate with its standard error."""
        return self._swept.trace(self._index)

    def terms(self) -> Tensor:
        """Return each probe's value."""
        return self._swept.terms(self._index)

    def exact_part(self) -> float:
        """Return the basis's part."""
        return self._swept.exact_part(self._index)

    def data_error(self) -> float | None:
        """Return the standard error over batches as a sample of the data."""
        swept, index = self._swept, self._index
        return data_error_of_probes(swept.forms[:, index], swept.weights, swept.exact[:, index])

    def batch_parts(self) -> tuple[tuple[float, float], ...]:
        """Return each batch's part of the trace, by either half of the probes."""
        swept, index = self._swept, self._index
        return batch_halves(swept.forms[:, index], swept.weights, swept.exact[:, index])

    def batch_shares(self) -> tuple[float, ...]:
        """Return each batch's share of the weight."""
        return shares(self._swept.weights)
