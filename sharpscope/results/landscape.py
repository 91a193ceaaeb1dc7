"""The loss on a line, a plane or in a volume around the parameters."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import ClassVar

import numpy as np

from sharpscope.results.outcome import Outcome
from sharpscope.results.record import Result, significant


def unfinished(path: Path) -> Path:
    """Return where the points of a landscape are kept until it is saved."""
    return path.with_name(f"{path.name}.points")


@dataclass(frozen=True, kw_only=True, repr=False)
class LandscapeResult(Result):
    """The loss at the points of a grid of directions.

    ``loss_value`` is that of the unmodified model, and ``center`` that of its point: the same but
    where BatchNorm statistics were taken anew.

    Attributes:
        axes: What the directions are: ``random``, ``eigen``, ``encoders``, ``line`` or ``pca``.
        labels: Name of each axis, x first.
        x: Coordinates along the first direction.
        y: Along the second; None of a line.
        z: Along the third; None of a line or a plane.
        values: The loss: ``[x]``, ``[y, x]`` or ``[z, y, x]``; NaN and infinity as they came.
            ``loss`` in the npz.
        lengths: ``‖direction‖`` of each axis, in the unit of the parameters.
        curvatures: Second difference of the loss along each unit direction, over one step of the
            grid both ways from the center.
        evaluations: Passes over the data.
        metric: Name of the metric that was measured in the same passes, if any.
        metric_values: The metric, in the shape of the loss.
        explained: Share of the variance of the checkpoints along each axis, of ``pca``.
        runs: Names of the runs whose checkpoints lie in the picture, or are projected into it.
        path_names: Names of these checkpoints, run by run.
        path_x: Where each lies along the first direction.
        path_y: Along the second.
        path_z: Along the third.
        path_run: Number of the run of each, from 0.
        path_loss: The loss with the Selection of each, which may lie off the plane; everything
            else is the model's.
        direction_x: The first direction, flat in the order of the Selection, where it was asked
            for.
        direction_y: The second.
        direction_z: The third.
    """

    schema: ClassVar[str] = "sharpscope/landscape"
    stored: ClassVar[Mapping[str, str]] = {"values": "loss"}

    axes: str
    labels: tuple[str, ...]
    x: np.ndarray = field(compare=False)
    y: np.ndarray | None = field(default=None, compare=False)
    z: np.ndarray | None = field(default=None, compare=False)
    values: np.ndarray = field(compare=False)
    lengths: tuple[float, ...]
    curvatures: tuple[float | None, ...]
    evaluations: float
    metric: str | None = None
    metric_values: np.ndarray | None = field(default=None, compare=False)
    explained: tuple[float, ...] = ()
    runs: tuple[str, ...] = ()
    path_names: tuple[str, ...] = ()
    path_x: np.ndarray | None = field(default=None, compare=False)
    path_y: np.ndarray | None = field(default=None, compare=False)
    path_z: np.ndarray | None = field(default=None, compare=False)
    path_run: np.ndarray | None = field(default=None, compare=False)
    path_loss: np.ndarray | None = field(default=None, compare=False)
    direction_x: np.ndarray | None = field(default=None, compare=False)
    direction_y: np.ndarray | None = field(default=None, compare=False)
    direction_z: np.ndarray | None = field(default=None, compare=False)

    def save(self, path: str | Path) -> Path:
        """Write the result; where it is whole, take away the points that were kept beside it."""
        path = super().save(path)
        if self.outcome is not Outcome.BUDGET_SPENT:
            unfinished(path).unlink(missing_ok=True)
        return path

    @property
    def center(self) -> float:
        """The loss at the point of the model, where all coordinates are 0."""
        return self.at_center(self.values)

    def at_center(self, grid: np.ndarray) -> float:
        """Return the value of a grid in the shape of the loss at the point of the model."""
        axes = [axis for axis in (self.z, self.y, self.x) if axis is not None]
        return float(grid[tuple(int(np.abs(axis).argmin()) for axis in axes)])

    @property
    def axis_unit(self) -> str:
        """What the numbers along the axes count."""
        return (
            "0 is the model, 1 the other one" if self.axes == "line" else "units of the direction"
        )

    @property
    def advice(self) -> str:
        """What the outcome means and what to change."""
        if self.outcome is Outcome.NOT_FINITE:
            return "Some points are not finite: a smaller --span leaves them out."
        if self.outcome is Outcome.BUDGET_SPENT:
            return "Time ran out before all points were measured: repeat the command to go on."
        return "Every point was measured."

    def export(self, path: str | Path) -> Path:
        """Write the grid for ParaView, and return the path.

        Args:
            path: ``.vtr``, the grid itself; or ``.vts``, a plane raised by its loss.

        Raises:
            MisuseError: If it is another kind of file, or cannot be written.
        """
        # The writer knows this class, so that it is imported when it is called.
        written: Path = import_module("sharpscope.results.grids").export_grid(self, path)
        return written

    def __repr__(self) -> str:
        shape = " x ".join(str(n) for n in reversed(self.values.shape))
        finite = self.values[np.isfinite(self.values)]
        told = (
            f"loss {significant(float(finite.min()))} to {significant(float(finite.max()))}"
            if finite.size
            else "not finite"
        )
        return (
            f"LandscapeResult({shape}, {told}, center {significant(self.center)}, "
            f"{self.evaluations:g} passes, {self.seconds:.1f} s)"
        )
