"""The axes of a landscape: directions, their names, and what must be in the picture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from sharpscope.errors import MisuseError
from sharpscope.estimators import TopEigenvalues
from sharpscope.landscape.directions import Drawing, part_of, random_directions
from sharpscope.landscape.grid import axis, axis_over
from sharpscope.landscape.waypoints import Source, Waypoint, along, principal, waypoints
from sharpscope.operators import HessianOperator
from sharpscope.results import Outcome
from sharpscope.subject import Selection, Subject
from sharpscope.subject.owners import ALL

Runs: TypeAlias = Mapping[str, Sequence[Source]]

AROUND = ("random", "eigen", "encoders")
BETWEEN = ("line", "pca")

# How far axes reach where nothing is said: in units of a direction, and beyond the outermost
# checkpoint as a share of the way from one end to the other.
REACH = {"random": 1.0, "eigen": 1.0, "encoders": 1.0, "line": 0.5, "pca": 0.2}


@dataclass(frozen=True, eq=False)
class Frame:
    """The axes of a landscape.

    Attributes:
        directions: Each ``[dim]`` in float64 on the CPU.
        labels: Name of each.
        notes: Sentences for the reader.
        points: Checkpoints that lie in the picture, or are projected into it.
        coordinates: Theirs, ``[checkpoints, directions]``.
        explained: Share of the variance of the checkpoints along each direction.
        ends: Whether the model at 1 of the first axis must be a point of the grid.
    """

    directions: list[Tensor]
    labels: tuple[str, ...]
    notes: tuple[str, ...] = ()
    points: tuple[Waypoint, ...] = ()
    coordinates: Tensor = field(default_factory=lambda: torch.zeros(0, 0))
    explained: tuple[float, ...] = ()
    ends: bool = False

    def grid(self, shape: Sequence[int], reach: float) -> list[np.ndarray]:
        """Return the coordinates along each axis; the model is at 0 of all."""
        if not self.points:
            return [axis(count, reach) for count in shape]
        found: list[np.ndarray] = []
        for number, count in enumerate(shape):
            places = [0.0, *self.coordinates[:, number].tolist()]
            low, high = min(places), max(places)
            margin = reach * (high - low)
            ends = self.ends and number == 0
            found.append(axis_over(count, low - margin, high + margin, ends=ends))
        return found


def frame_of(
    subject: Subject,
    selection: Selection,
    axes: str,
    count: int,
    drawing: Drawing,
    *,
    loss: str,
    runs: Runs,
) -> Frame:
    """Return the axes of a landscape.

    Args:
        subject: The model in the middle.
        selection: What moves.
        axes: What the directions are.
        count: How many.
        drawing: How random ones are drawn; its seed is that of eigenvectors as well.
        loss: Name of the loss, for eigenvectors.
        runs: Other checkpoints by the name of their run.

    Raises:
        MisuseError: If there are no such directions.
        CheckpointError: If a checkpoint does not fit the model.
    """
    match axes:
        case "eigen":
            return _eigen(subject, selection, count, loss, drawing.seed)
        case "encoders":
            return _encoders(subject, selection, drawing)
        case "line":
            return _line(subject, selection, count, runs)
        case "pca":
            return _pca(subject, selection, count, runs)
        case _:
            return _random(subject, selection, count, drawing)


def _eigen(subject: Subject, selection: Selection, count: int, loss: str, seed: int) -> Frame:
    """Return the unit eigenvectors of the largest Hessian eigenvalues, in their own metric.

    Raises:
        MisuseError: If there are not so many.
    """
    modality, dim = selection.name, selection.dim
    settings = TopEigenvalues(k=min(count, dim), keep_vectors=True, seed=seed)
    found = settings(HessianOperator(subject, modality, loss=loss))
    if found.vectors is None or len(found.vectors) < count:
        raise MisuseError(
            f"axes='eigen' needs {count} eigenvectors of {modality!r}, which has {dim} parameters"
        )
    vectors = [torch.from_numpy(v).double() for v in found.vectors[:count]]
    labels = tuple(f"eigenvector {n + 1}" for n in range(count))
    worst = max(found.residuals[:count])
    values = ", ".join(found.shown(value) for value in found.eigenvalues[:count])
    notes = [f"The eigenvalues along the axes are {values}."]
    if found.outcome is not Outcome.CONVERGED:
        notes.append(f"The eigenvectors have residuals up to {worst:.1e}.")
    return Frame(vectors, labels, tuple(notes))


def _encoders(subject: Subject, selection: Selection, drawing: Drawing) -> Frame:
    """Return a random direction of each of two encoders.

    Raises:
        MisuseError: If one of them cannot move.
    """
    names = selection.name.split("+")
    if names[0] == names[1]:
        raise MisuseError(f"axes='encoders' needs two different modalities; got {selection.name!r}")
    direction = random_directions(subject, selection, 1, drawing)[0]
    parts = [part_of(direction, selection, subject.select(name).parameters) for name in names]
    if not all(bool(part.any()) for part in parts):
        raise MisuseError(f"no weight of {names[0]!r} or of {names[1]!r} can move")
    return Frame(parts, (names[0], names[1]))


def _random(subject: Subject, selection: Selection, count: int, drawing: Drawing) -> Frame:
    """Return Gaussian directions."""
    found = random_directions(subject, selection, count, drawing)
    return Frame(found, tuple(f"direction {n + 1}" for n in range(count)))


def _line(subject: Subject, selection: Selection, count: int, runs: Runs) -> Frame:
    """Return the line to another checkpoint, or the plane through two others.

    Raises:
        MisuseError: If there are not as many others as axes, or they do not span so much.
        CheckpointError: If one does not fit the model.
    """
    there = sum(len(sources) for sources in runs.values())
    if there != count or count > 2:
        raise MisuseError(
            "axes='line' needs one other checkpoint for a line (a shape of one axis) and two for a "
            f"plane (two axes); got {there} and {count} axes"
        )
    points = waypoints(subject, selection, runs)
    directions, coordinates = along(points, selection.name)
    name, whose = points[0].name, selection.name
    first = f"to {name}" if whose == ALL else f"to the {whose} of {name}"
    return Frame(
        directions,
        (first, "orthogonal to it")[:count],
        _alone(selection),
        points=tuple(points),
        coordinates=coordinates,
        ends=True,
    )


def _pca(subject: Subject, selection: Selection, count: int, runs: Runs) -> Frame:
    """Return the principal components of checkpoints of one or several runs.

    Raises:
        MisuseError: If they span fewer directions.
        CheckpointError: If one does not fit the model.
    """
    points = waypoints(subject, selection, runs)
    directions, coordinates, shares = principal(points, count, selection.name)
    labels = tuple(f"PCA {n + 1}" for n in range(count))
    return Frame(
        directions,
        labels,
        _alone(selection),
        points=tuple(points),
        coordinates=coordinates,
        explained=shares,
    )


def _alone(selection: Selection) -> tuple[str, ...]:
    if selection.name == ALL:
        return ()
    return (f"Only {selection.name} moves: everything else is the model's own at every point.",)
