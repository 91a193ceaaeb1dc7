"""Probes drawn twice: what a matrix was before tells of what it is now."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from sharpscope.estimators.cost import Meter
from sharpscope.estimators.draws import Draws
from sharpscope.estimators.growth import PILOTS
from sharpscope.estimators.probing import ProbeSettings, Probing, draw_block
from sharpscope.estimators.statistics import INTERVAL_PROBES, Mean, Spread, correlation
from sharpscope.operators import Products, SymmetricOperator
from sharpscope.streams import stream

# Coordinates of the images that are kept: a correlation needs no more of them.
_KEPT = 65_536


@dataclass(frozen=True, eq=False)
class Seen:
    """What an estimate leaves for the next one: its probes that were new.

    Attributes:
        numbers: Names of the k probes.
        terms: Estimates of the trace by those that the next one draws again, float64 ``[a]``: by as
            many as half of all that were drawn.
        images: Their images ``(I − QQᵀ)A(I − QQᵀ)z`` at the coordinates that are kept, ``[a, c]``.
        variance: Variance of a term.
        value: The estimate.
        weight: What their mean has in it.
        apart: Variance of the rest of it.
        gain: Variance of the estimate over that of its own probes alone.
        upcoming: The first name that was not given yet.
    """

    numbers: tuple[int, ...]
    terms: Tensor
    images: Tensor
    variance: float
    value: float
    weight: float
    apart: float
    gain: float
    upcoming: int

    @property
    def again(self) -> int:
        """How many of the probes the next estimate draws again."""
        return len(self.terms)


@dataclass(frozen=True)
class Combined:
    """The best estimate from the own probes and from the last estimate.

    Attributes:
        value: The estimate.
        gain: Its variance over that of the mean of the own probes; at most 1.
        weight: What the mean of the new probes has in it.
        apart: Variance of the rest of it.
        correlation: Of a probe's term with its term in the last estimate.
    """

    value: float
    gain: float
    weight: float
    apart: float
    correlation: float


@dataclass
class Rotation(Probing):
    """Probes of which every other one was drawn for the last estimate too: rotation sampling.

    Where a matrix changes little, so does what a probe says of it. With F the mean of m probes
    that were drawn before, F′ what it was then and T′ the last estimate,
    ``F + β (T′ − F′)`` is as free of bias as F, and of less variance; with the mean U of the new
    probes it makes ``T = (1 − φ)(F + β (T′ − F′)) + φ U``. β and φ are those of the least
    variance, which is never above that of the mean of all own probes (β = 0). Each probe is drawn
    for two estimates at most, so that the variance of all is that of independent pairs: with
    σ², σ′² the variances of a probe's terms and ρ their correlation, w what the k new probes had
    in T′, and V the variance of the rest of it,

        β = ρσσ′r / m / (V + w²σ′²(k − m)/k² + r²σ′²/m),  r = 1 − wm/k.

    σ, σ′ and ρ are known from images of the probes, as ``Spread`` has it: their terms, which β and
    φ multiply, have no say in them.

    Follows Cochran, Sampling Techniques (3rd ed., 1977), 12.11. Dharangutte and Musco (2021, arXiv
    2110.13752) follow a trace as well; they multiply new probes by both matrices.

    Attributes:
        seen: What the last estimate left; None where there is none.
    """

    seen: Seen | None = None
    _images: list[Tensor] = field(default_factory=list[Tensor])
    _drawn: dict[int, Tensor] = field(default_factory=dict[int, Tensor])
    _places: Tensor | None = None

    @property
    def matched(self) -> int:
        """Number of probes drawn that were drawn for the last estimate too."""
        return 0 if self.seen is None else sum(matched(self.seen, i) for i in range(self.count))

    def begin(self, pilots: Products, spread: Spread) -> None:
        """Take the products of the first probes, and what their images say."""
        super().begin(pilots, spread)
        self._images = [self._at_places(pilots.columns)]

    def trace(self) -> Mean:
        """Return the estimate with its standard error, the larger one of two."""
        plain = super().trace()
        found = self.combined()
        if found is None or not plain.error:
            return plain
        # Fewer than the pilots know too little of the gain for an interval.
        count = int(plain.count / found.gain) if plain.count >= PILOTS else plain.count
        return Mean(found.value, plain.error * math.sqrt(found.gain), count)

    def combined(self) -> Combined | None:
        """Return the estimate that the last one has a part in; None where it has none."""
        seen, known, new = self.seen, self._chosen(before=True), self._chosen(before=False)
        if seen is None or self.complete or self.spread is None or len(known) < 2:
            return None
        m, k, variance = len(known), len(seen.numbers), self.spread.variance()
        if not variance or not seen.variance:
            return None  # nothing of it varies
        then = [position // 2 for position in known]
        images, signs = torch.cat(self._images)[known], self._signs(known)
        rho = correlation(images, seen.images[then], signs)
        covariance = rho * math.sqrt(variance * seen.variance)
        r = 1 - seen.weight * m / k
        rest = seen.apart + seen.weight**2 * seen.variance * (k - m) / k**2
        beta = r * covariance / m / (rest + r**2 * seen.variance / m)
        of_known = (variance - beta * r * covariance) / m
        of_new = variance / len(new) if new else math.inf
        phi = of_known / (of_known + of_new)
        terms = self.terms() + self.exact_part()
        value = terms[known].mean().item()
        value += beta * (seen.value - seen.terms[then].mean().item())
        fresh = terms[new].mean().item() if new else 0.0
        apart = (1 - phi) ** 2 * of_known
        total = apart + (phi**2 * of_new if new else 0.0)
        return Combined(
            value=(1 - phi) * value + phi * fresh,
            gain=min(1.0, total * self.count / variance),
            weight=phi,
            apart=apart,
            correlation=rho,
        )

    def left(self) -> Seen | None:
        """Return what is left for the next estimate; None where all is exact or nothing is new."""
        new = self._chosen(before=False)
        if self.complete or self.spread is None or not new:
            return None
        found, terms = self.combined(), self.terms() + self.exact_part()
        variance = self.spread.variance()
        share = len(new) / self.count
        value, weight, gain = terms.mean().item(), share, 1.0
        apart = (1 - share) * variance / self.count
        if found is not None:
            value, weight, apart, gain = found.value, found.weight, found.apart, found.gain
        numbers = tuple(numbered(self.seen, position) for position in new)
        again = new[: (self.count + 1) // 2]
        return Seen(
            numbers=numbers,
            terms=terms[again],
            images=torch.cat(self._images)[again],
            variance=variance,
            value=value,
            weight=weight,
            apart=apart,
            gain=gain,
            upcoming=max(numbers) + 1,
        )

    def _chosen(self, *, before: bool) -> list[int]:
        """Return the positions of the probes that were, or were not, drawn before."""
        return [i for i in range(self.count) if matched(self.seen, i) == before]

    def _needed(self, found: Mean) -> float:
        # The estimate counts as that of as many plain probes as have its variance.
        return max(INTERVAL_PROBES, super()._needed(found)) * self.count / found.count

    def _sample(self, size: int) -> Products:
        products = super()._sample(size)
        self._images.append(self._at_places(self.prepare(products.columns)))
        return products

    def _at_places(self, images: Tensor) -> Tensor:
        """Return images ``[dim, k]`` at the coordinates that are kept, ``[k, c]``."""
        if self._places is None:
            self._places = _places(self.operator.dim, self.settings.seed)
        return images[self._places.to(images.device)].T.cpu()

    def _signs(self, positions: list[int]) -> Tensor:
        """Return the probes at these positions, at the coordinates that are kept."""
        assert self._places is not None
        for position in positions:
            if position not in self._drawn:  # one of many coordinates takes its time
                drawn = draw_block(self.operator, self.settings, position, 1, number=self.number)
                self._drawn[position] = drawn[:, 0].cpu()[self._places]
        return torch.stack([self._drawn[position] for position in positions])


def matched(seen: Seen | None, position: int) -> bool:
    """Whether the probe at a position was drawn for the last estimate: every other one was."""
    return seen is not None and position % 2 == 0 and position // 2 < seen.again


def numbered(seen: Seen | None, position: int) -> int:
    """Return the name of the probe at a position."""
    if seen is None:
        return position
    if matched(seen, position):
        return seen.numbers[position // 2]
    return seen.upcoming + position - min(seen.again, (position + 1) // 2)


class Panel(Draws):
    """Probes that are new, and probes of the last estimate.

    Args:
        seen: What the last estimate left; None where there is none.

    Attributes:
        left: What this one leaves; None before it, and where it leaves nothing.
        matched: Number of probes drawn that were drawn for the last estimate too.
        correlation: Of their terms with those in the last estimate; None where there are too few.
    """

    def __init__(self, seen: Seen | None = None):
        self._seen = seen
        self.gain = 1.0 if seen is None else seen.gain
        self.left: Seen | None = None
        self.matched = 0
        self.correlation: float | None = None

    def number(self, position: int) -> int:
        """Return the name of the probe at a position."""
        return numbered(self._seen, position)

    def probing(
        self,
        operator: SymmetricOperator,
        settings: ProbeSettings,
        meter: Meter,
        prepare: Callable[[Tensor], Tensor],
        exact: Products | None,
    ) -> Rotation:
        """Return what draws them."""
        return Rotation(
            operator, settings, meter, prepare, exact, number=self.number, seen=self._seen
        )

    def planned(self, probing: Probing, expected: float) -> float:
        """Return how many probes to draw before the first look at their error.

        What the last gain made of the probes that were expected is made anew by what is known now.
        """
        assert isinstance(probing, Rotation)
        found = probing.combined()
        return max(PILOTS, expected / self.gain * (1.0 if found is None else found.gain))

    def done(self, probing: Probing) -> None:
        """Keep what the next estimate may use."""
        assert isinstance(probing, Rotation)
        self.left, self.matched, found = probing.left(), probing.matched, probing.combined()
        self.correlation = None if found is None else found.correlation


def _places(dim: int, seed: int) -> Tensor:
    if dim <= _KEPT:
        return torch.arange(dim)
    return torch.randperm(dim, generator=stream(seed, "places"))[:_KEPT].sort().values
