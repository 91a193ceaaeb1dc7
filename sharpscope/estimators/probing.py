"""Random probes until the standard error is small enough."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, cast

import torch
from torch import Tensor

from sharpscope.checks import at_least, one_of, positive
from sharpscope.estimators.cost import Meter
from sharpscope.estimators.statistics import (
    INTERVAL_PROBES,
    Mean,
    Spread,
    batch_halves,
    data_error_of_probes,
    data_errors_of_forms,
    mean,
    probes_needed,
    shares,
)
from sharpscope.operators import Products, SymmetricOperator
from sharpscope.results import Outcome
from sharpscope.streams import gaussian, rademacher, stream

DISTRIBUTIONS = ("rademacher", "gaussian")


@dataclass(frozen=True, kw_only=True)
class ProbeSettings:
    """When probing stops, and what it draws."""

    rtol: float = 0.02
    probes: int | None = None
    budget: int = 2000
    max_seconds: float | None = None
    distribution: Literal["rademacher", "gaussian"] = "rademacher"
    seed: int = 0

    @property
    def rademacher(self) -> bool:
        """Whether probes are signs."""
        return self.distribution == "rademacher"

    def __post_init__(self) -> None:
        positive("rtol", self.rtol)
        at_least("budget", self.budget, 2, "products; two make a standard error")
        if self.probes is not None:
            at_least("probes", self.probes, 2, "two make a standard error")
        if self.max_seconds is not None:
            positive("max_seconds", self.max_seconds)
        one_of("distribution", self.distribution, DISTRIBUTIONS)
        at_least("seed", self.seed, 0)


def probe(operator: SymmetricOperator, settings: ProbeSettings, *path: str | int) -> Tensor:
    """Return the probe that the seed and a name define, in the operator's dtype and device."""
    draw = rademacher if settings.rademacher else gaussian
    vector = draw(operator.dim, stream(settings.seed, "trace", *path))
    return vector.to(operator.device, operator.dtype)


@dataclass
class Probing:
    """Probes drawn so far, and the rule by which no more are drawn.

    Looks at the error grow with what the variance asks for, at least by one and at most by
    doubling: looking after every probe would stop on the luckiest one.

    Attributes:
        operator: What is probed.
        settings: When to stop and what to draw.
        meter: Budget and clock.
        prepare: Applied to the probes ``[dim, k]``: the projection of Hutch++.
        exact: Quadratic forms that are known without probes; None for plain probes.
        complete: Whether ``exact`` is the whole trace.
        first: Probes to draw before the first look at their error.
        number: Names the probe at each position.
        source: Draws so many probes and returns their products, for an engine that draws its own.
        drawn: Products of the blocks of probes drawn.
        spread: What the images of the probes say of the variance of their forms.
    """

    operator: SymmetricOperator
    settings: ProbeSettings
    meter: Meter
    prepare: Callable[[Tensor], Tensor] = lambda vectors: vectors
    exact: Products | None = None
    complete: bool = False
    first: int = INTERVAL_PROBES
    number: Callable[[int], int] = int
    source: Callable[[int], Products] | None = None
    drawn: list[Products] = field(default_factory=list[Products])
    spread: Spread | None = None

    def run(self) -> Outcome:
        """Draw probes until the target, the budget, the time or a number that is not finite."""
        if self.complete:
            return Outcome.CONVERGED
        goal = self.settings.probes or self.first
        while True:
            while self.count < goal:
                if self.count >= 2 and (self.meter.late or self.meter.left < 1):
                    return Outcome.BUDGET_SPENT
                if not self._draw(goal - self.count):
                    return Outcome.NOT_FINITE
            if self.settings.probes is not None:
                return Outcome.COMPLETED
            found = self.trace()
            needed = self._needed(found)
            if needed <= self.count:
                return Outcome.CONVERGED
            goal = math.ceil(min(max(self.count + 1, needed), 2 * self.count))

    def begin(self, pilots: Products, spread: Spread) -> None:
        """Take the products of the first probes, and what their images say."""
        self.drawn, self.spread = [pilots], spread

    @property
    def count(self) -> int:
        """Number of probes drawn."""
        return sum(block.forms.shape[1] for block in self.drawn)

    @property
    def weights(self) -> Tensor:
        """Weight of each batch."""
        return (self.drawn or [cast(Products, self.exact)])[0].weights

    @property
    def batches(self) -> int:
        """Number of batches."""
        return len(self.weights)

    def forms(self) -> Tensor:
        """Return each batch's form under each probe, float64 ``[batches, probes]``."""
        empty = torch.zeros(self.batches, 0, dtype=torch.float64, device=self.weights.device)
        return torch.cat([empty, *(block.forms for block in self.drawn)], dim=1)

    def terms(self) -> Tensor:
        """Return each probe's value ``vᵀAv``, float64 ``[probes]``."""
        return self.forms().sum(0) / self.weights.sum()

    def exact_part(self) -> float:
        """Return the part of the trace that carries no probe error."""
        return 0.0 if self.exact is None else self.exact.quadratic.sum().item()

    def trace(self) -> Mean:
        """Return the estimate with its standard error, the larger one of two.

        One is that of the terms, the other that of the images.
        """
        if self.complete:
            return Mean(self.exact_part(), 0.0, 0)
        found = mean(self.terms())
        error = found.error
        if self.spread is not None:
            error = max(error, math.sqrt(self.spread.variance() / found.count))
        return Mean(found.value + self.exact_part(), error, found.count)

    def data_error(self) -> float | None:
        """Return the standard error over batches as a sample of the data."""
        if self.complete:
            errors = data_errors_of_forms(self._exact_forms()[:, None], self.weights)
            return errors[0] if errors else None
        return data_error_of_probes(self.forms(), self.weights, self._exact_forms())

    def batch_parts(self) -> tuple[tuple[float, float], ...]:
        """Return each batch's part of the trace, by either half of the probes."""
        return batch_halves(self.forms(), self.weights, self._exact_forms())

    def batch_shares(self) -> tuple[float, ...]:
        """Return each batch's share of the weight."""
        return shares(self.weights)

    def _exact_forms(self) -> Tensor:
        return torch.zeros_like(self.weights) if self.exact is None else self.exact.forms.sum(1)

    def _needed(self, found: Mean) -> float:
        return probes_needed(found, self.settings.rtol * abs(found.value))

    def _draw(self, wanted: int) -> bool:
        size = self.meter.block(min(wanted, max(1, self.meter.left)))
        products = self._sample(size)
        self.drawn.append(products)
        if not all_finite(products):
            return False
        if self.count >= 2:
            found = self.trace()
            goal = self.settings.probes or max(INTERVAL_PROBES, self._needed(found))
            expected = self.meter.products + max(0.0, goal - self.count)
            self.meter.tell(expected, value=found.value, error=found.error)
        return True

    def _sample(self, size: int) -> Products:
        if self.source is not None:
            source = self.source
            return self.meter.counted(size, lambda: source(size))
        vectors = draw_block(self.operator, self.settings, self.count, size, number=self.number)
        products = self.meter.timed(self.operator, self.prepare(vectors))
        if not self.count and self.exact is None:
            self.operator.check_random(vectors, products.columns)
        self.spread = self.spread or Spread(rademacher=self.settings.rademacher)
        self.spread.add(vectors, self.prepare(products.columns))
        return products


def draw_block(
    operator: SymmetricOperator,
    settings: ProbeSettings,
    first: int,
    size: int,
    *path: str | int,
    number: Callable[[int], int] = int,
) -> Tensor:
    """Return probes ``first`` to ``first + size`` as columns ``[dim, size]``."""
    names = map(number, range(first, first + size))
    return torch.stack([probe(operator, settings, *path, i) for i in names], dim=1)


def all_finite(products: Products) -> bool:
    """Whether every product and every quadratic form is finite."""
    return bool(torch.isfinite(products.columns).all() and torch.isfinite(products.forms).all())
