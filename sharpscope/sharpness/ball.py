"""Ball sharpness: how far the loss rises within a radius, at worst and on average."""

import math
import time
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from sharpscope.checks import at_least, one_of, positive
from sharpscope.errors import MisuseError
from sharpscope.estimators.statistics import mean
from sharpscope.results import Outcome, SharpnessResult
from sharpscope.sharpness.ascent import ascend
from sharpscope.sharpness.common import record
from sharpscope.streams import gaussian, stream
from sharpscope.subject import Subject
from sharpscope.subject.points import Points

CASES = ("worst", "average")
NORMS = ("l2", "linf")


@dataclass(frozen=True, kw_only=True)
class BallSharpness:
    """Find how far the loss rises in a ball around the parameters, plain or in their own scale.

    Worst case: ``S_max = mean_b max_{‖δ ⊘ c‖_p ≤ ρ} L_b(θ + δ) - L_b(θ)`` over the batches b of the
    subject, by projected ascent with momentum and shrinking steps (Auto-PGD). Average case:
    ``S_avg = E_{δ ~ N(0, ρ² diag(c²))} L(θ + δ) - L(θ)`` over draws in pairs ±δ, which cancels what
    is linear. ``c = 1``, or ``c = |θ|`` where adaptive: a parameter that is 0 then does not move.

    Args:
        rho: Radius ρ.
        case: ``worst`` or ``average``.
        norm: ``l2`` or ``linf``, of the worst case.
        adaptive: Whether c is |θ|.
        iterations: Of the ascent; 20 are published.
        draws: Pairs of the average case.
        restarts: Ascents of each batch: the first from θ itself, others from random points, which
            find their way also where the gradient at θ is 0.
        max_seconds: Seconds that may be spent; fewer batches or draws are then looked at.
        seed: Names the draws.

    Raises:
        MisuseError: If a setting is out of its range.

    Source: Andriushchenko, Croce, Müller, Hein and Flammarion, 2023, arXiv 2302.07011, who find it
    a poor predictor of generalization across set-ups; Auto-PGD of Croce and Hein, 2020, arXiv
    2003.01690.

    Example:
        >>> import torch, sharpscope as ss
        >>> from sharpscope.sharpness import BallSharpness
        >>> model = torch.nn.Linear(1, 1, bias=False).double()
        >>> _ = torch.nn.init.ones_(model.weight)
        >>> data = [(torch.ones(1, 1).double(), torch.zeros(1, 1).double())]
        >>> loss = torch.nn.functional.mse_loss
        >>> subject = ss.Subject(model, data, loss=loss, encoders={"x": "weight"})
        >>> round(BallSharpness(rho=0.1)(subject, "x").value, 4)  # 1.1² - 1
        0.21
    """

    rho: float = 0.05
    case: str = "worst"
    norm: str = "l2"
    adaptive: bool = False
    iterations: int = 20
    draws: int = 50
    restarts: int = 2
    max_seconds: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        positive("rho", self.rho)
        one_of("case", self.case, CASES)
        one_of("norm", self.norm, NORMS)
        at_least("iterations", self.iterations, 2)
        at_least("draws", self.draws, 2, "two make a standard error")
        at_least("restarts", self.restarts, 1)
        at_least("seed", self.seed, 0)
        if self.max_seconds is not None:
            positive("max_seconds", self.max_seconds)

    def __call__(
        self, subject: Subject, modality: str, *, loss: str = "fusion", watcher: Any = None
    ) -> SharpnessResult:
        """Return the sharpness of a subject on ``modality``.

        Raises:
            MisuseError: If no parameter can move.
            SubjectError: If the subject cannot be measured.
        """
        began = time.perf_counter()
        points = Points(subject, modality, loss=loss)
        with points.session():
            weights = points.selection.flatten(points.selection.parameters).double()
            scale = weights.abs() if self.adaptive else torch.ones_like(weights)
            if not scale.any():
                raise MisuseError(
                    f"every parameter of {modality!r} is 0, and adaptive sharpness moves none of "
                    "them: measure it without adaptive"
                )
            values: list[float] = []
            expected = points.census.batches if self.case == "worst" else self.draws
            for value in (self._worst if self.case == "worst" else self._average)(points, scale):
                values.append(value)
                if watcher is not None:
                    watcher(f"{len(values)} of {expected}")
                late = time.perf_counter() - began
                if self.max_seconds is not None and late > self.max_seconds and len(values) > 1:
                    break
            return self._result(points, values, expected, scale, began)

    def _result(
        self, points: Points, values: list[float], expected: int, scale: Tensor, began: float
    ) -> SharpnessResult:
        finite = all(map(math.isfinite, values))
        outcome = Outcome.COMPLETED if finite else Outcome.NOT_FINITE
        if finite and len(values) < expected:
            outcome = Outcome.BUDGET_SPENT
        found = (
            mean(torch.tensor(values, dtype=torch.float64)) if finite and len(values) > 1 else None
        )
        fields = record(points, began, asdict(self))
        still = int((scale == 0).sum())
        if still:
            fields["notes"] += (f"{still:,} parameters are 0 and do not move.",)
        if self.case == "worst":
            fields["settings"] |= {"batches": len(values)}
        kind = ("adaptive " if self.adaptive else "") + (self.norm if self.case == "worst" else "")
        return SharpnessResult(
            outcome=outcome,
            method=f"{self.case}-case {kind} sharpness, ρ = {self.rho:g}".replace("  ", " "),
            value=(found.value if found else values[0]) if finite else None,
            standard_error=found.error if found else None,
            interval=found.interval if found else None,
            spread=max(values) - min(values) if finite else None,
            values=tuple(values),
            **fields,
        )

    def _worst(self, points: Points, scale: Tensor):
        """Yield the rise of each batch at the worst point found."""
        for number, batch in enumerate(points.each()):

            def slope(u: Tensor, batch: Any = batch) -> tuple[float, Tensor]:
                found = batch.slope(scale * u)
                return found.value, scale * found.gradient

            best = -math.inf
            for restart in range(self.restarts):
                start = torch.zeros_like(scale)
                if restart:
                    start = self._inside(number, restart, scale)
                found = ascend(slope, start, self.rho, self.norm, self.iterations)
                best = max(best, found) if math.isfinite(found) else math.inf
            center = slope(torch.zeros_like(scale))[0]
            yield best - center

    def _inside(self, number: int, restart: int, scale: Tensor) -> Tensor:
        """Return a random point of the ball."""
        generator = stream(self.seed, "sharpness", "ball", number, restart)
        draw = gaussian(len(scale), generator).to(scale)
        size = draw.norm() if self.norm == "l2" else draw.abs().max()
        return self.rho * draw / size

    def _average(self, points: Points, scale: Tensor):
        """Yield the mean rise of pairs ±δ."""
        for number in range(self.draws):
            draw = gaussian(points.dim, stream(self.seed, "sharpness", "average", number))
            move = self.rho * scale * draw.to(scale)
            both = (points.value(move) + points.value(-move)) / 2
            yield both - points.census.loss_value
