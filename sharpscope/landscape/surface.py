"""The estimator: the loss at the points of a grid."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from sharpscope.checks import at_least, one_of, positive
from sharpscope.contribution.scores import METRICS
from sharpscope.errors import MisuseError
from sharpscope.landscape.crossed import Crossed
from sharpscope.landscape.directions import NORMALIZE, Drawing
from sharpscope.landscape.filling import Measured, fill
from sharpscope.landscape.frames import (
    AROUND,
    BETWEEN,
    REACH,
    Frame,
    frame_of,
)
from sharpscope.landscape.grid import check_shape, found_span
from sharpscope.landscape.places import rise_of
from sharpscope.landscape.telling import Told, result_of
from sharpscope.landscape.unfinished import Unfinished
from sharpscope.landscape.waypoints import Source, by_run
from sharpscope.lazy import imported
from sharpscope.results import LandscapeResult
from sharpscope.subject import Subject
from sharpscope.subject.batches import fingerprint
from sharpscope.subject.calibration import has_statistics
from sharpscope.subject.points import Points

AXES = (*AROUND, *BETWEEN)
STATISTICS = ("frozen", "recalibrated")
ENGINES = ("native", "loss-landscapes")
AUTO = "auto"


@dataclass(frozen=True, kw_only=True)
class Landscape:
    """Measure ``f(x, y, z) = L(θ + x d_x + y d_y + z d_z)`` on a grid around the parameters.

    The model is in eval mode, and its point is the unmodified model.

    Args:
        shape: Points along x, y and z, each odd: one for a line, two for a plane, three for a
            volume.
        axes: ``random``: Gaussian directions. ``eigen``: the unit eigenvectors of the largest
            Hessian eigenvalues. ``encoders``: x moves the first encoder and y the second.
            ``line``: to another checkpoint, or the plane through two. ``pca``: the principal
            components of the checkpoints of runs.
        normalize: Of random directions: ``filter``, ``layer`` or ``none``.
        orthogonal: Whether random directions are exactly orthogonal.
        span: How far each axis reaches both ways, in units of its direction; between checkpoints,
            how far beyond the outermost ones, as a share of the way between them. ``auto`` finds
            where the loss has risen tenfold (and by 1 at least), one reach for all axes. None is
            1; 0.5 of a line and 0.2 of principal components.
        statistics: Of BatchNorm: ``frozen``, or ``recalibrated`` at every point on the same data,
            that of the model included. None is frozen around a model and recalibrated between
            checkpoints, where those of the model fit no other.
        metric: A metric to measure in the same pass: ``accuracy``, ``macro_auprc`` or
            ``macro_auroc``.
        engine: ``loss-landscapes`` moves and measures our points by that library, for numbers that
            must be its own: slower, without a metric, and with BatchNorm statistics frozen.
        keep_directions: Put the directions into the result.
        max_seconds: Seconds that may be spent on points; one is measured in any case.
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
    span: float | str | None = None
    statistics: str | None = None
    metric: str | None = None
    engine: str = "native"
    keep_directions: bool = False
    max_seconds: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", check_shape(self.shape))
        one_of("axes", self.axes, AXES)
        one_of("normalize", self.normalize, NORMALIZE)
        at_least("seed", self.seed, 0)
        if self.metric is not None:
            one_of("metric", self.metric, METRICS)
        if self.statistics is not None:
            one_of("statistics", self.statistics, STATISTICS)
        if one_of("engine", self.engine, ENGINES) != "native":
            if self.metric is not None or self.statistics == "recalibrated":
                raise MisuseError(
                    f"engine {self.engine!r} measures losses with the statistics that are there: "
                    "leave out metric and statistics='recalibrated', or take engine='native'"
                )
            imported("sharpscope.engines.loss_landscapes.library").library()
        if isinstance(self.span, str):
            one_of("span", self.span, (AUTO,))
        elif self.span is not None:
            positive("span", self.span)
        if self.span == AUTO and self.axes in BETWEEN:
            raise MisuseError(
                f"span='auto' is for axes around a model: those of axes={self.axes!r} reach to the "
                "checkpoints; give a number, a share of the way between them"
            )
        if self.max_seconds is not None:
            positive("max_seconds", self.max_seconds)
        if self.axes == "eigen" and self.statistics == "recalibrated":
            raise MisuseError(
                "axes='eigen' has the Hessian's eigenvectors, which is that of frozen statistics: "
                "leave out statistics='recalibrated'"
            )
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
        through: Sequence[Source] | Mapping[str, Sequence[Source]] = (),
        out: str | Path | None = None,
        watcher: Callable[[str], None] | None = None,
    ) -> LandscapeResult:
        """Return the landscape of a subject around one Selection.

        Args:
            subject: What is under the scope.
            modality: Name of the Selection; with ``encoders`` two modalities joined by ``+``.
            loss: Name of the loss.
            through: Other checkpoints, for ``line`` and ``pca``: models, state dicts, subjects or
                paths in their order, each alone or as a pair of a name and one of them; or lists
                of these by the name of their run.
            out: Where the result will be written: points are kept beside it until ``save`` has
                written it there, and an interrupted landscape goes on with them.
            watcher: Called with what is being done.

        Raises:
            MisuseError: If nothing can move, or the points beside ``out`` are of another landscape.
            CheckpointError: If another checkpoint does not fit the model.
            SubjectError: If the subject cannot be measured.
        """
        began = time.perf_counter()
        tell = watcher or (lambda _: None)
        runs = by_run(through)
        self._check(modality, runs)
        points = Points(
            subject,
            modality,
            loss=loss,
            recalibrate=self._recalibrates(subject),
            predictions=self.metric is not None,
        )
        tell("directions")
        drawing = Drawing(normalize=self.normalize, orthogonal=self.orthogonal, seed=self.seed)
        axes, count = self.axes, len(self.shape)
        frame = frame_of(subject, points.selection, axes, count, drawing, loss=loss, runs=runs)
        weights = fingerprint(subject.model.state_dict())
        with points.session():
            span, reached = REACH[axes] if self.span is None else self.span, True
            if not isinstance(span, float | int):
                tell("how far the axes reach")
                span, reached = found_span(rise_of(points, frame.directions), points.value(None))
            grid = frame.grid(self.shape, span)
            kept = Unfinished(
                None if out is None else Path(out),
                self._facts(points, loss, span, frame, grid) | {"weights": weights},
                self.shape[::-1],
                scored=self.metric is not None,
            )
            late = fill(
                points,
                measured := self._measured(points, frame, grid),
                frame,
                grid,
                kept,
                metric=self.metric,
                max_seconds=self.max_seconds,
                began=began,
                tell=tell,
            )
            tell("checkpoints")
            told = Told(
                frame=frame,
                grid=grid,
                values=kept.values,
                scores=kept.scores,
                passed=[
                    float("nan") if late else points.value(point.displacement.double())
                    for point in frame.points
                ],
                late=late,
                settings=asdict(self) | {"span": span, "statistics": _statistics(points)},
                keep_directions=self.keep_directions,
                seconds=time.perf_counter() - began + kept.spent[1],
                before=kept.spent[0],
                flat=not reached,
            )
            return measured.told(result_of(points, told))

    def _check(self, modality: str, runs: Mapping[str, Sequence[Source]]) -> None:
        if self.axes == "encoders" and modality.count("+") != 1:
            raise MisuseError(
                "axes='encoders' needs two modalities joined by '+', such as 'ehr+cxr'; got "
                f"{modality!r}"
            )
        others = sum(len(sources) for sources in runs.values())
        if others and self.axes not in BETWEEN:
            raise MisuseError(
                f"other checkpoints are for axes='line' and axes='pca'; got {others} of them and "
                f"axes={self.axes!r}"
            )

    def _measured(self, points: Points, frame: Frame, grid: list[np.ndarray]) -> Measured:
        """Return what measures the points of the grid."""
        if self.engine != "native":
            engine = imported("sharpscope.engines.loss_landscapes")
            return engine.LossLandscapesPoints(points, frame.directions, grid)
        both = frame.labels if self.axes == "encoders" else ()
        return Crossed(points, frame.directions, grid, both)

    def _recalibrates(self, subject: Subject) -> bool:
        anew = self.axes in BETWEEN and self.engine == "native"
        wanted = self.statistics or ("recalibrated" if anew else "frozen")
        return wanted == "recalibrated" and has_statistics(subject.model)

    def _facts(
        self, points: Points, loss: str, span: float, frame: Frame, grid: Sequence[np.ndarray]
    ) -> dict[str, Any]:
        """Return what a point depends on."""
        return asdict(self) | {
            "span": span,
            "loss": loss,
            "data": points.census.fingerprint,
            "center": _repeatable(points.census.loss_value, points.subject.device.type),
            "modality": points.selection.name,
            "directions": fingerprint(frame.directions),
            "grid": [axis.tolist() for axis in grid],
            "device": str(points.subject.device),
            "dtype": str(points.dtype),
            "versions": [version(name) for name in ("sharpscope", "torch")],
            "statistics": _statistics(points),
            "max_seconds": None,
            "keep_directions": None,
        }


def _repeatable(loss: float, device: str) -> float:
    """Return a loss to the digits that a second run on the same device gives again."""
    return loss if device == "cpu" else float(f"{loss:.3g}")


def _statistics(points: Points) -> str:
    return "recalibrated" if points.recalibrates else "frozen"
