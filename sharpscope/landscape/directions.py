"""Directions of a landscape: random ones with filters normalized, eigenvectors, one per encoder."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import Parameter

from sharpscope.errors import MisuseError
from sharpscope.streams import gaussian, stream
from sharpscope.subject import Selection, Subject

NORMALIZE = ("filter", "layer", "none")
_NORMS = (
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.BatchNorm3d,
    nn.SyncBatchNorm,
    nn.InstanceNorm1d,
    nn.InstanceNorm2d,
    nn.InstanceNorm3d,
    nn.LayerNorm,
    nn.GroupNorm,
    nn.RMSNorm,
)


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """How random directions are drawn.

    Args:
        normalize: ``filter``: each first-axis slice of a weight as long as that of the parameters
            (Li et al.). ``layer``: each tensor. ``none``: standard normal numbers.
        orthogonal: Whether each direction is exactly orthogonal to those before it.
        seed: Names the draws.
    """

    normalize: str = "filter"
    orthogonal: bool = False
    seed: int = 0


def random_directions(
    subject: Subject, selection: Selection, count: int, drawing: Drawing
) -> list[Tensor]:
    """Return Gaussian directions in the order of the Selection, each ``[dim]`` in float64.

    Biases and the parameters of norms do not move, but with ``none``. A filter of zeros does not
    move. Directions are made orthogonal filter by filter before they are normalized, so that both
    hold; a filter of one number moves in the first direction alone. The draw of a parameter
    depends on its name, so that encoders of one architecture share directions whatever else their
    models hold.

    Raises:
        MisuseError: If nothing of the Selection can move.

    Source: Li, Xu, Taylor, Studer and Goldstein, 2018, arXiv 1712.09913, section 4.
    """
    still = _still(subject.model) if drawing.normalize != "none" else set[int]()
    directions: list[list[Tensor]] = [[] for _ in range(count)]
    for name, parameter in zip(selection.names, selection.parameters, strict=True):
        weights = parameter.detach().double().cpu()
        rows = _rows(weights, drawing.normalize)
        before: list[Tensor] = []
        for number, pieces in enumerate(directions):
            if id(parameter) in still or (drawing.normalize != "none" and parameter.ndim <= 1):
                pieces.append(torch.zeros(parameter.numel(), dtype=torch.float64))
                continue
            generator = stream(drawing.seed, "landscape", name, number)
            draw = gaussian(parameter.numel(), generator).double().reshape(rows.shape)
            if drawing.orthogonal:
                draw = _orthogonal(draw, before)
            before.append(draw)
            pieces.append(_scaled(draw, rows, drawing.normalize).reshape(-1))
    found = [torch.cat(pieces) for pieces in directions]
    if any(not bool(direction.any()) for direction in found):
        raise MisuseError(
            f"no weight of {selection.name!r} can move: biases, norms and filters of zeros stay "
            "where they are; normalize='none' moves everything"
        )
    return found


def _still(model: nn.Module) -> set[int]:
    """Return the parameters of norms, whatever their shape."""
    return {
        id(p)
        for module in model.modules()
        if isinstance(module, _NORMS)
        for p in module.parameters(recurse=False)
    }


def _rows(weights: Tensor, normalize: str) -> Tensor:
    """Return weights as rows that are scaled one by one: filters, or the tensor as a whole."""
    if normalize == "filter" and weights.ndim > 1:
        return weights.flatten(1)
    return weights.reshape(1, -1)


def _orthogonal(draw: Tensor, before: Sequence[Tensor]) -> Tensor:
    """Return what is left of each row outside of the rows of earlier draws; twice is enough."""
    for _ in range(2):
        for other in before:
            size = other.square().sum(1, keepdim=True)
            share = (draw * other).sum(1, keepdim=True) / torch.where(size > 0, size, 1.0)
            draw = draw - share * other
    # A row with no more room than rounding leaves has nothing of its own.
    kept = draw.norm(dim=1, keepdim=True) > 1e-9 * draw.shape[1] ** 0.5
    return torch.where(kept, draw, 0.0)


def _scaled(draw: Tensor, rows: Tensor, normalize: str) -> Tensor:
    if normalize == "none":
        return draw
    size = draw.norm(dim=1, keepdim=True)
    return draw * torch.where(size > 0, rows.norm(dim=1, keepdim=True) / size, 0.0)


def part_of(direction: Tensor, selection: Selection, parameters: Sequence[Parameter]) -> Tensor:
    """Return a direction with everything but some parameters at rest."""
    own = {id(p) for p in parameters}
    pieces = [
        piece if id(p) in own else torch.zeros_like(piece)
        for p, piece in zip(
            selection.parameters, direction.split([p.numel() for p in selection.parameters]),
            strict=True,
        )
    ]  # fmt: skip
    return torch.cat(pieces)
