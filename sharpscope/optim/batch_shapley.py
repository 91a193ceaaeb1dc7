"""Shapley values of one batch, over all processes that share it."""

import math
from collections.abc import Callable, Sequence

from sharpscope.errors import SharpscopeError
from sharpscope.optim.blocks import Blocks
from sharpscope.optim.losses import floats
from sharpscope.optim.performance import MaskedPerformance
from sharpscope.shapley import EXACT, Performance, Shapley, shapley, subsets


class BatchShapley:
    """Shapley values of the performance of a batch.

    Args:
        blocks: The encoders.
        empty: Whether the performance of nothing is evaluated or ``zero``.
        summed: Sums numbers over processes.
    """

    def __init__(
        self, blocks: Blocks, *, empty: str, summed: Callable[[Sequence[float]], list[float]]
    ):
        self.blocks, self.empty, self._summed = blocks, empty, summed

    def __call__(
        self, performance: Performance, *, replay: bool, compare: bool
    ) -> tuple[Shapley, bool]:
        """Return the values, and whether features can be played back.

        Args:
            performance: ``Φ(S)`` of the batch.
            replay: Whether encoders are run once and their features played back.
            compare: Whether to compare that with plain passes.

        Raises:
            SharpscopeError: If the performance is not finite.
        """
        if isinstance(performance, MaskedPerformance):
            performance.bind(self.blocks.modules, replay=replay)
            if compare:
                everyone = frozenset(self.blocks.names)
                some = [frozenset[str](), everyone, *(everyone - {n} for n in self.blocks.names)]
                replay = all(performance.agrees(present) for present in some)
                performance.bind(self.blocks.modules, replay=replay)
        known = self._together(performance)

        def joined(present: frozenset[str]) -> float:
            if not present and self.empty == "zero":
                return 0.0
            if present in known:
                return known[present]
            if isinstance(performance, MaskedPerformance):
                total, weight = performance.sums(present)
                both = self._summed([total.item(), weight])
            else:
                both = self._summed([float(performance(present)), 1.0])
            return both[0] / both[1]

        found = shapley(joined, self.blocks.names)
        if wrong := [name for name, value in found.values.items() if not math.isfinite(value)]:
            raise SharpscopeError(
                f"the performance is not finite for some set of modalities, so that {wrong[0]!r} "
                "has no share: take contribution 'accuracy', or another mask"
            )
        return found, replay or not compare

    def _together(self, performance: Performance) -> dict[frozenset[str], float]:
        """Return the performance of all subsets, where they are few, in one transfer."""
        if not isinstance(performance, MaskedPerformance) or len(self.blocks.names) > EXACT:
            return {}
        sets = subsets(self.blocks.names)[self.empty == "zero" :]
        found = [performance.sums(present) for present in sets]
        both = self._summed([*floats([total for total, _ in found]), *(w for _, w in found)])
        sums, weights = both[: len(sets)], both[len(sets) :]
        return {s: x / w for s, x, w in zip(sets, sums, weights, strict=True)}
