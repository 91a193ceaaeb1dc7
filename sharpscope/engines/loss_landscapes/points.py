"""Points of a landscape by the arithmetic and the metric of loss-landscapes."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sharpscope.engines.loss_landscapes.library import NAME, VERSION, library
from sharpscope.results import LandscapeResult
from sharpscope.subject.losses import LossSum
from sharpscope.subject.points import Points


class LossLandscapesPoints:
    """The loss at ``θ + x d_x + y d_y``, moved and measured by loss-landscapes 3.0.6.

    Its ``ModelParameters`` scale, add up and displace our directions in the model's dtype, and its
    metric ``Loss`` runs the wrapped model batch by batch. Directions and coordinates are ours: its
    own are drawn from U[0, 1), and a plane of its own slips by one step in every other column.
    Nothing is played back.

    Args:
        points: Inside a session.
        directions: The displacement at 1 along each axis, ``[dim]`` each.
        grid: Coordinates along each axis.

    Raises:
        MisuseError: If loss-landscapes 3.0.6 is not installed.

    Source: De Bernardi, loss-landscapes 3.0.6, github.com/marcellodebernardi/loss-landscapes.
    """

    def __init__(self, points: Points, directions: Sequence[Tensor], grid: Sequence[np.ndarray]):
        theirs = library()
        own: Any = theirs.model_interface.model_parameters.ModelParameters
        self._points, self._grid, self._loss = points, grid, theirs.metrics.Loss
        selection, device = points.selection, points.subject.device
        self._directions = [own(selection.split(d.to(device, points.dtype))) for d in directions]
        self._wrapper: Any = theirs.GeneralModelWrapper(
            points.subject.model, [_Parameters(selection.parameters)], self._forward
        )

    def value(self, place: Sequence[int], displacement: Tensor | None) -> float:
        """Return the loss at a place of the grid.

        Args:
            place: Numbers of the coordinates, x last.
            displacement: Looked at only for None, where the model is unmodified.
        """
        points, selection = self._points, self._points.selection
        if displacement is None:
            return points.value(None)
        points.evaluations += 1
        steps = [float(along[n]) for along, n in zip(self._grid, reversed(place), strict=True)]
        still = torch.zeros(points.dim, dtype=points.dtype, device=points.subject.device)
        with torch.no_grad(), selection.displaced(still):  # on copies: it writes in place
            start = self._wrapper.get_module_parameters()
            for step, direction in zip(steps, self._directions, strict=True):
                start.add_(direction * step)
            sums = [
                self._loss(_total, batch, None)(self._wrapper) for batch in points.subject.walk()
            ]
        # Not fsum where infinities of both signs would meet: it raises.
        total = math.fsum(sums) if all(map(math.isfinite, sums)) else sum(sums)
        return total / points.census.weight

    def told(self, result: LandscapeResult) -> LandscapeResult:
        """Return a result of these points with the engine's name on it."""
        versions = result.provenance["versions"] | {NAME: VERSION}
        note = (
            f"Points were displaced and measured by {NAME}, in the dtype of the model; directions "
            "and coordinates are those of engine 'native'."
        )
        return replace(
            result,
            method=f"{result.method}, by {NAME}",
            provenance={**result.provenance, "versions": versions},
            replayed=(),
            notes=(*result.notes, note),
        )

    def _forward(self, model: nn.Module, batch: Any) -> LossSum:
        return self._points.subject.loss(self._points.loss)(model, batch)


class _Parameters(nn.Module):
    """A module that owns the parameters under study, in the order of the Selection."""

    def __init__(self, parameters: Sequence[nn.Parameter]):
        super().__init__()
        self.own = nn.ParameterList(parameters)


def _total(value: LossSum, _target: None) -> Tensor:
    """Return a batch's loss sum, in the place of a criterion."""
    return value.total
