"""What a measurement may spend, what it has spent, and what it tells while it runs."""

import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from sharpscope.operators import Products, SymmetricOperator

try:
    import resource
except ImportError:  # Windows has no such module; there peak_bytes is None
    resource = None


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a measurement is.

    Attributes:
        products: Products spent.
        expected: Products that the target is expected to need, as far as is known.
        seconds: Seconds spent.
        seconds_left: Seconds that ``expected`` leaves at the pace so far, from two products on.
        value: Estimate so far, where there is one.
        standard_error: Its error so far, where there is one.
    """

    products: int
    expected: int
    seconds: float
    seconds_left: float | None
    value: float | None = None
    standard_error: float | None = None


Watcher = Callable[[Progress], None]
T = TypeVar("T")

# Vectors that share one visit of a batch: enough to pay for its forward pass several times over.
BLOCK = 8


class Meter:
    """Counts products against a budget and seconds against a limit."""

    def __init__(self, budget: int, max_seconds: float | None, watcher: Watcher | None = None):
        self.budget = budget
        self.max_seconds = max_seconds
        self.watcher = watcher
        self.products = 0
        self._began = time.perf_counter()
        self._working = 0.0

    @property
    def seconds(self) -> float:
        """Seconds since the measurement began."""
        return time.perf_counter() - self._began

    @property
    def left(self) -> int:
        """Products left in the budget."""
        return self.budget - self.products

    @property
    def pace(self) -> float:
        """Seconds per product so far."""
        return self._working / self.products if self.products else 0.0

    @property
    def late(self) -> bool:
        """Whether one more product is expected to end after the limit."""
        return self.max_seconds is not None and self.seconds + self.pace > self.max_seconds

    def block(self, wanted: int) -> int:
        """Return how many vectors the next pass may take: at least one, two at first.

        The first pass is short, so that the pace is known and can be told early.
        """
        most = min(wanted, BLOCK if self.products else 2)
        if self.max_seconds is not None and self.pace > 0:
            most = min(most, int((self.max_seconds - self.seconds) / self.pace))
        return max(1, most)

    def timed(
        self, operator: SymmetricOperator, vectors: Tensor, others: Tensor | None = None
    ) -> Products:
        """Return the operator's products with ``vectors`` ``[dim, k]``, counted and timed."""
        return self.counted(vectors.shape[1], lambda: operator.products(vectors, others))

    def counted(self, products: int, work: Callable[[], T]) -> T:
        """Return what ``work`` returns, its products counted and its seconds taken."""
        began = time.perf_counter()
        done = work()
        self.products += products
        self._working += time.perf_counter() - began
        return done

    def tell(
        self, expected: float, *, value: float | None = None, error: float | None = None
    ) -> None:
        """Tell the watcher, if there is one, how far the measurement is."""
        if self.watcher is None:
            return
        total = max(self.products, min(self.budget, math.ceil(min(expected, 1e12))))
        left = (total - self.products) * self.pace if self.products >= 2 else None
        if left is not None and self.max_seconds is not None:
            left = max(0.0, min(left, self.max_seconds - self.seconds))
        self.watcher(
            Progress(
                products=self.products,
                expected=total,
                seconds=self.seconds,
                seconds_left=left,
                value=value,
                standard_error=error,
            )
        )


def peak_bytes(device: torch.device) -> int | None:
    """Return the highest memory use so far: allocated on a GPU, resident in the process on CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if resource is None:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # bytes there, kibibytes elsewhere
