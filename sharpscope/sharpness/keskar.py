"""Keskar's sharpness metric Q: how far the loss rises in a small box."""

import math
import time
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from sharpscope.checks import at_least, positive
from sharpscope.errors import MisuseError, SubjectError
from sharpscope.estimators.statistics import mean
from sharpscope.results import Outcome, SharpnessResult
from sharpscope.sharpness.common import record
from sharpscope.streams import gaussian, stream
from sharpscope.subject import Subject
from sharpscope.subject.points import Points

_ROUNDED = 100  # roundings that a box must be larger than
_START = 0.5  # of the box: a start at its middle may be a saddle, where the gradient is 0
# Slope of the objective at the start, over the size of the box: L-BFGS-B takes the slope itself as
# its first step, which then crosses the box.
_STEEP = 100.0
_STORED = 2**30  # bytes of a basis that is kept; a larger one is drawn anew each time


@dataclass(frozen=True, kw_only=True)
class KeskarSharpness:
    """Find ``Q = 100 (max_{y ∈ C} f(x + Ay) - f(x)) / (1 + f(x))``.

    The box is ``C = {y ∈ R^p : |y_i| ≤ ε (|(A⁺x)_i| + 1)}``, with A the identity (p = n, the whole
    space of the Selection) or n × p of random unit columns. The maximum is searched by L-BFGS-B
    from random interior points; the best point visited counts, so that Q ≥ 0.

    Args:
        epsilon: Size ε of the box; 1e-3 and 5e-4 are published.
        dimension: p of the random subspaces; None for the whole space. 100 is published.
        repeats: Searches from random starts, each in a subspace of its own where there is one.
        iterations: Of L-BFGS-B; 10 are published.
        max_seconds: Seconds that may be spent; fewer repeats are then made.
        seed: Names the starts and the subspaces.

    Raises:
        MisuseError: If a setting is out of its range.

    Source: Keskar, Mudigere, Nocedal, Smelyanskiy and Tang, 2017, arXiv 1609.04836, metric 2.1.

    Example:
        >>> import torch, sharpscope as ss
        >>> from sharpscope.sharpness import KeskarSharpness
        >>> model = torch.nn.Linear(1, 1, bias=False).double()
        >>> _ = torch.nn.init.ones_(model.weight)
        >>> data = [(torch.ones(1, 1).double(), torch.zeros(1, 1).double())]
        >>> loss = torch.nn.functional.mse_loss
        >>> subject = ss.Subject(model, data, loss=loss, encoders={"x": "weight"})
        >>> round(KeskarSharpness(epsilon=0.01)(subject, "x").value, 4)  # 1.02² - 1 over 2
        2.02
    """

    epsilon: float = 1e-3
    dimension: int | None = None
    repeats: int = 5
    iterations: int = 10
    max_seconds: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        positive("epsilon", self.epsilon)
        if self.dimension is not None:
            at_least("dimension", self.dimension, 1)
        at_least("repeats", self.repeats, 2, "two tell how far they agree")
        at_least("iterations", self.iterations, 1)
        at_least("seed", self.seed, 0)
        if self.max_seconds is not None:
            positive("max_seconds", self.max_seconds)

    def __call__(
        self, subject: Subject, modality: str, *, loss: str = "fusion", watcher: Any = None
    ) -> SharpnessResult:
        """Return Q of a subject on ``modality``.

        Raises:
            MisuseError: If the subspace has more dimensions than the Selection.
            SubjectError: If the subject cannot be measured.
        """
        began = time.perf_counter()
        points = Points(subject, modality, loss=loss)
        if self.dimension is not None and self.dimension > points.dim:
            raise MisuseError(
                f"dimension must be at most {points.dim:,}, the parameters of {modality!r}; got "
                f"{self.dimension}"
            )
        with points.session():
            if points.census.loss_value < 0:
                raise SubjectError(
                    "Q divides by 1 + loss, which says nothing of a loss below 0; it is "
                    f"{points.census.loss_value:.4g}: take kind 'ball'"
                )
            values: list[float] = []
            for repeat in range(self.repeats):
                values.append(self._search(points, repeat))
                late = time.perf_counter() - began
                if watcher is not None:
                    watcher(f"search {repeat + 1} of {self.repeats}")
                if self.max_seconds is not None and len(values) > 1 and late > self.max_seconds:
                    break
            finite = all(map(math.isfinite, values))
            outcome = Outcome.COMPLETED if finite else Outcome.NOT_FINITE
            if finite and len(values) < self.repeats:
                outcome = Outcome.BUDGET_SPENT
            return SharpnessResult(
                outcome=outcome,
                method=f"Keskar's Q, ε = {self.epsilon:g}, "
                + (f"{self.dimension} random directions" if self.dimension else "whole space"),
                values=tuple(values),
                **self._judged(values, finite=finite),
                **self._recorded(points, began),
            )

    def _recorded(self, points: Points, began: float) -> dict[str, Any]:
        fields = record(points, began, asdict(self))
        if self.epsilon < _ROUNDED * torch.finfo(points.dtype).eps:
            kind = str(points.dtype).removeprefix("torch.")
            fields["notes"] += (
                f"The box is about as small as the rounding of {kind} parameters, and the rise of "
                "the loss in it may be rounding: measure in float64.",
            )
        return fields

    def _judged(self, values: list[float], *, finite: bool) -> dict[str, Any]:
        """Return the value and its error: a mean over subspaces, or the best of all searches."""
        if not finite:
            return {"value": None, "standard_error": None, "interval": None, "spread": None}
        spread = max(values) - min(values)
        if self.dimension is None:
            return {
                "value": max(values),
                "standard_error": None,
                "interval": None,
                "spread": spread,
            }
        found = mean(torch.tensor(values, dtype=torch.float64))
        return {
            "value": found.value,
            "standard_error": found.error,
            "interval": found.interval,
            "spread": spread,
        }

    def _search(self, points: Points, repeat: int) -> float:
        """Return Q as far as one search finds it."""
        here = points.selection.flatten(points.selection.parameters).double().cpu()
        base: Whole | Subspace
        if self.dimension is None:
            base = Whole()
        else:
            base = Subspace(points.dim, self.dimension, self.seed, repeat)
        box = self.epsilon * (base.coordinates(here).abs() + 1).numpy()
        draw = torch.rand(len(box), generator=stream(self.seed, "sharpness", "start", repeat))
        start = _START * (2 * draw.double().numpy() - 1)
        center = points.census.loss_value
        best, scale = center, 0.0

        def down(z: np.ndarray) -> tuple[float, np.ndarray]:
            """Return the loss and its slope in units in which neither box nor slope is small."""
            nonlocal best, scale
            move = base.displacement(torch.from_numpy(np.clip(z, -1.0, 1.0) * box))
            slope = points.slope(move)
            best = max(best, slope.value) if math.isfinite(slope.value) else math.inf
            along = box * base.project(slope.gradient.cpu()).numpy()
            steepest = float(abs(along).max())
            if not scale and math.isfinite(steepest):
                scale = _STEEP / steepest if steepest else 1.0
            return -scale * slope.value, -scale * along

        with np.errstate(invalid="ignore"):  # where the loss is not finite
            minimize(
                down,
                start,
                jac=True,
                method="L-BFGS-B",
                bounds=[(-1.0, 1.0)] * len(box),
                # Its own tolerances are absolute: a flat loss would end the search at once.
                options={"maxiter": self.iterations, "ftol": 0.0, "gtol": 0.0},
            )
        return 100 * (best - center) / (1 + center)


class Whole:
    """The whole space: A is the identity."""

    def coordinates(self, x: Tensor) -> Tensor:
        """Return ``A⁺x``."""
        return x

    def displacement(self, y: Tensor) -> Tensor:
        """Return ``Ay``."""
        return y

    def project(self, gradient: Tensor) -> Tensor:
        """Return ``Aᵀg``."""
        return gradient


class Subspace:
    """Random unit columns, kept where there is room for them and drawn anew where not.

    Args:
        dim: Rows.
        columns: Columns.
        seed: Of the draws.
        repeat: Which subspace it is.
    """

    def __init__(self, dim: int, columns: int, seed: int, repeat: int):
        self._dim, self._columns, self._path = dim, columns, (seed, repeat)
        kept = 4 * dim * columns <= _STORED
        self._kept = [self._draw(column) for column in range(columns)] if kept else None
        gram = torch.empty(columns, columns, dtype=torch.float64)
        for row in range(columns):
            one = self._column(row)
            for column in range(row, columns):
                gram[row, column] = gram[column, row] = torch.dot(one, self._column(column))
        self._gram = gram

    def coordinates(self, x: Tensor) -> Tensor:
        """Return ``A⁺x = (AᵀA)⁻¹Aᵀx``."""
        return torch.linalg.solve(self._gram, self.project(x))

    def displacement(self, y: Tensor) -> Tensor:
        """Return ``Ay``."""
        total = torch.zeros(self._dim, dtype=torch.float64)
        for place, weight in enumerate(y.tolist()):
            total.add_(self._column(place), alpha=weight)
        return total

    def project(self, gradient: Tensor) -> Tensor:
        """Return ``Aᵀg``."""
        found = [torch.dot(self._column(c), gradient.double()) for c in range(self._columns)]
        return torch.stack(found)

    def _column(self, place: int) -> Tensor:
        column = self._draw(place) if self._kept is None else self._kept[place]
        return column.double()

    def _draw(self, place: int) -> Tensor:
        seed, repeat = self._path
        column = gaussian(self._dim, stream(seed, "sharpness", "subspace", repeat, place))
        return column / column.norm()
