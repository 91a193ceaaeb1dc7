"""The estimator: the loss at the points of a grid."""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sharpscope.checks import at_least, one_of, positive
from sharpscope.errors import MisuseError
from sharpscope.estimators import TopEigenvalues
from sharpscope.estimators.cost import peak_bytes
from sharpscope.landscape.directions import NORMALIZE, Drawing, part_of, random_directions
from sharpscope.landscape.grid import axis, check_shape, found_span
from sharpscope.landscape.unfinished import Unfinished
from sharpscope.operators import HessianOperator
from sharpscope.results import LandscapeResult, Outcome
from sharpscope.subject import Subject
from sharpscope.subject.batches import fingerprint
from sharpscope.subject.points import Points
from sharpscope.subject.provenance import measured_on

AXES = ("random", "eigen", "encoders")
_KEEP_SECONDS = 2.0  # between two writes of the points so far


@dataclass(frozen=True, kw_only=True)
class Landscape:
    """Measure ``f(x, y, z) = L(θ + x d_x + y d_y + z d_z)`` on a grid around the parameters.

    The model is in eval mode, its BatchNorm statistics stay as they are, and the center is the
    unmodified model.

    Args:
        shape: Points along x, y and z, each odd: one for a line, two for a plane, three for a
            volume.
        axes: ``random``: Gaussian directions. ``eigen``: the unit eigenvectors of the largest
            Hessian eigenvalues. ``encoders``: x moves the first encoder and y the second.
        normalize: Of random directions: ``filter``, ``layer`` or ``none``.
        orthogonal: Whether random directions are exactly orthogonal.
        span: How far each axis reaches both ways, in units of its direction; None finds where the
            loss has risen tenfold (and by 1 at least), one reach for all axes.
        keep_directions: Put the directions into the result.
        max_seconds: Seconds that may be spent on points.
        seed: Names the directions.

    Raises:
        MisuseError: If a setting is not allowed.

    Source: Li, Xu, Taylor, Studer and Goldstein, 2018, arXiv 1712.09913.

    Example:
        >>> import torch, sharpscope as ss
        >>> from sharpscope.landscape import Landscape
        >>> model = torch.nn.Linear(2, 1, bias=False).double()
        >>> _ = torch.nn.init.ones_(model.weight)
        >>> data = [(torch.eye(2).double(), torch.zeros(2, 1).double())]
        >>> loss = torch.nn.functional.mse_loss
        >>> subject = ss.Subject(model, data, loss=loss, encoders={"x": "weight"})
        >>> found = Landscape(shape=(5,), axes="eigen", span=2.0)(subject, "x")
        >>> found.values.round(2).tolist()[2]  # the model itself
        1.0
    """

    shape: tuple[int, ...] = (51, 51)
    axes: str = "random"
    normalize: str = "filter"
    orthogonal: bool = False
    span: float | None = 1.0
    keep_directions: bool = False
    max_seconds: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", check_shape(self.shape))
        one_of("axes", self.axes, AXES)
        one_of("normalize", self.normalize, NORMALIZE)
        at_least("seed", self.seed, 0)
        if self.span is not None:
            positive("span", self.span)
        if self.max_seconds is not None:
            positive("max_seconds", self.max_seconds)
        if self.axes == "encoders" and len(self.shape) != 2:
            raise MisuseError(
                "axes='encoders' moves one encoder along x and another along y: the shape needs "
                f"two axes; got {len(self.shape)}"
            )

    def __call__(
        self,
        subject: Subject,
        modality: str,
        *,
        loss: str = "fusion",
        out: str | Path | None = None,
        watcher: Callable[[str], None] | None = None,
    ) -> LandscapeResult:
        """Return the landscape of a subject around one Selection.

        Args:
            subject: What is under the scope.
            modality: Name of the Selection; with ``encoders`` two modalities joined by ``+``.
            loss: Name of the loss.
            out: Where the result will be written: points are kept beside it on the way, and an
                interrupted landscape goes on with them.
            watcher: Called with what is being done.

        Raises:
            MisuseError: If nothing can move, or the points beside ``out`` are of another landscape.
            SubjectError: If the subject cannot be measured.
        """
        began = time.perf_counter()
        tell = watcher or (lambda _: None)
        if self.axes == "encoders" and modality.count("+") != 1:
            raise MisuseError(
                "axes='encoders' needs two modalities joined by '+', such as 'ehr+cxr'; got "
                f"{modality!r}"
            )
        points = Points(subject, modality, loss=loss)
        tell("directions")
        directions, labels, notes = self._directions(points, modality, loss)
        with points.session():
            span = self.span
            if span is None:
                tell("how far the axes reach")
                span = found_span(_rise(points, directions), points.census.loss_value)
            grid = [axis(count, span) for count in self.shape]
            facts = self._facts(points, loss, span, directions)
            kept = Unfinished(None if out is None else Path(out), facts, self.shape[::-1])
            late = self._fill(points, directions, grid, kept, tell, began)
            result = self._result(points, directions, labels, grid, kept.values, late, span, began)
        result = replace(result, notes=(*result.notes, *notes))
        if not late:
            kept.remove()
        return result

    def _facts(
        self, points: Points, loss: str, span: float, directions: list[Tensor]
    ) -> dict[str, Any]:
        """Return what a point depends on."""
        return asdict(self) | {
            "span": span,
            "loss": loss,
            "data": points.census.fingerprint,
            "center": points.census.loss_value,
            "modality": points.selection.name,
            "weights": fingerprint(points.subject.model.state_dict()),
            "directions": [float(direction.sum()) for direction in directions],
            "max_seconds": None,
            "keep_directions": None,
        }

    def _directions(
        self, points: Points, modality: str, loss: str
    ) -> tuple[list[Tensor], tuple[str, ...], tuple[str, ...]]:
        subject, count = points.subject, len(self.shape)
        if self.axes == "eigen":
            settings = TopEigenvalues(k=min(count, points.dim), keep_vectors=True, seed=self.seed)
            found = settings(HessianOperator(subject, modality, loss=loss))
            if found.vectors is None or len(found.vectors) < count:
                raise MisuseError(
                    f"axes='eigen' needs {count} eigenvectors of {modality!r}, which has "
                    f"{points.dim} parameters"
                )
            vectors = [torch.from_numpy(v).double() for v in found.vectors[:count]]
            labels = tuple(f"eigenvector {n + 1}" for n in range(count))
            worst = max(found.residuals[:count])
            if found.outcome is Outcome.CONVERGED:
                return vectors, labels, ()
            return vectors, labels, (f"The eigenvectors have residuals up to {worst:.1e}.",)
        drawing = Drawing(normalize=self.normalize, orthogonal=self.orthogonal, seed=self.seed)
        if self.axes == "encoders":
            first, second = modality.split("+")
            direction = random_directions(subject, points.selection, 1, drawing)[0]
            parts = [
                part_of(direction, points.selection, subject.select(name).parameters)
                for name in (first, second)
            ]
            if not all(bool(part.any()) for part in parts):
                raise MisuseError(f"no weight of {first!r} or of {second!r} can move")
            return parts, (first, second), ()
        found = random_directions(subject, points.selection, count, drawing)
        return found, tuple(f"direction {n + 1}" for n in range(count)), ()

    def _fill(
        self,
        points: Points,
        directions: list[Tensor],
        grid: list[np.ndarray],
        kept: Unfinished,
        tell: Callable[[str], None],
        began: float,
    ) -> bool:
        """Measure what is missing; return whether time ran out."""
        total, written = kept.done.size, time.perf_counter()
        first, done = written, int(kept.done.sum())
        for place in np.ndindex(kept.done.shape):
            if kept.done[place]:
                continue
            if self.max_seconds is not None and time.perf_counter() - began > self.max_seconds:
                kept.keep()
                return True
            steps = [float(grid[n][where]) for n, where in enumerate(reversed(place))]
            kept.values[place] = points.value(_moved(directions, steps))
            kept.done[place] = True
            now, made = time.perf_counter(), int(kept.done.sum())
            if now - written > _KEEP_SECONDS:
                kept.keep()
                written = now
            left = (now - first) / (made - done) * (total - made)
            tell(f"{made} of {total} points, {left:.0f} s left")
        return False

    def _result(
        self,
        points: Points,
        directions: list[Tensor],
        labels: tuple[str, ...],
        grid: list[np.ndarray],
        values: np.ndarray,
        late: bool,
        span: float,
        began: float,
    ) -> LandscapeResult:
        census, subject = points.census, points.subject
        outcome = Outcome.COMPLETED if np.isfinite(values).all() else Outcome.NOT_FINITE
        lengths = tuple(float(direction.norm()) for direction in directions)
        there: dict[str, Any] = {
            name: grid[n] if n < len(grid) else None for n, name in enumerate("xyz")
        }
        shown: dict[str, Any] = {
            f"direction_{name}": directions[n].numpy()
            for n, name in enumerate("xyz"[: len(directions)])
            if self.keep_directions
        }
        return LandscapeResult(
            modality=points.selection.name,
            parameters=points.dim,
            samples=census.samples,
            loss=points.loss,
            loss_value=census.loss_value,
            outcome=Outcome.BUDGET_SPENT if late else outcome,
            method=f"loss on {self.axes} directions",
            matvecs=0.0,
            evaluations=points.evaluations,
            seconds=time.perf_counter() - began,
            peak_bytes=peak_bytes(subject.device),
            seed=self.seed,
            settings={key: v for key, v in asdict(self).items() if key != "seed"} | {"span": span},
            provenance=measured_on(subject, census, subject.device, points.dtype),
            replayed=points.replayed,
            notes=points.notes(),
            axes=self.axes,
            labels=labels,
            values=values,
            lengths=lengths,
            curvatures=tuple(
                _curvature(values, len(grid) - 1 - n, axis_[len(axis_) // 2 + 1] * lengths[n])
                for n, axis_ in enumerate(grid)
            ),
            **there,
            **shown,
        )


def _moved(directions: list[Tensor], steps: list[float]) -> Tensor | None:
    """Return the displacement of a point; None at the center, which is the model itself."""
    if not any(steps):
        return None
    total = torch.zeros_like(directions[0])
    for direction, step in zip(directions, steps, strict=True):
        total = total + step * direction
    return total


def _rise(points: Points, directions: list[Tensor]) -> Callable[[float], float]:
    def loss(distance: float) -> float:
        found = [points.value(sign * distance * d) for d in directions for sign in (1, -1)]
        return math.fsum(found) / len(found) if all(map(math.isfinite, found)) else math.inf

    return loss


def _curvature(values: np.ndarray, place: int, step: float) -> float | None:
    """Return the second difference along an axis at the center."""
    middle = [n // 2 for n in values.shape]
    around = list(middle)
    three: list[float] = []
    for shift in (-1, 0, 1):
        around[place] = middle[place] + shift
        three.append(float(values[tuple(around)]))
    found = (three[0] - 2 * three[1] + three[2]) / step**2
    return found if math.isfinite(found) else None
