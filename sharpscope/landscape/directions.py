"""Directions of a landscape: random ones with filters normalized, eigenvectors, one per encoder."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import Parameter
from torch.nn.utils.parametrize import ParametrizationList

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
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_BIASES = ("bias_k", "bias_v")  # of attention, and no vectors
_WEIGHTS = ("weight", "weight_v", "parametrizations.weight.original1")


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

    A filter is a slice of a weight along its first axis, of a transposed convolution what leads to
    one output map. Biases, the parameters of norms and the lengths of normalized weights do not
    move, but with ``none``. A filter of zeros does not move. Directions are made
    orthogonal filter by filter before they are normalized, so that both
    hold; a filter of one number moves in the first direction alone. The draw of a parameter
    depends on its name, so that encoders of one architecture share directions whatever else their
    models hold.

    Raises:
        MisuseError: If nothing of the Selection can move.

    Source: Li, Xu, Taylor, Studer and Goldstein, 2018, arXiv 1712.09913, section 4.
    """
    still = _still(subject.model) if drawing.normalize != "none" else set[int]()
    transposed = _transposed(subject.model)
    directions: list[list[Tensor]] = [[] for _ in range(count)]
    for name, parameter in zip(selection.names, selection.parameters, strict=True):
        weights = parameter.detach().double().cpu()
        groups = transposed.get(id(parameter), 0)
        rows = _rows(weights, drawing.normalize, groups)
        before: list[Tensor] = []
        for number, pieces in enumerate(directions):
            if id(parameter) in still or (drawing.normalize != "none" and parameter.ndim <= 1):
                pieces.append(torch.zeros(parameter.numel(), dtype=torch.float64))
                continue
            generator = stream(drawing.seed, "landscape", name, number)
            draw = _rows(
                gaussian(parameter.numel(), generator).double().reshape(weights.shape),
                drawing.normalize,
                groups,
            )
            if drawing.orthogonal:
                draw = _orthogonal(draw, before)
            before.append(draw)
            found = _scaled(draw, rows, drawing.normalize)
            pieces.append(_unrolled(found, weights, drawing.normalize, groups).reshape(-1))
    whole = [torch.cat(pieces) for pieces in directions]
    if any(not bool(direction.any()) for direction in whole):
        raise MisuseError(
            f"no weight of {selection.name!r} can move: biases, norms and filters of zeros stay "
            "where they are; normalize='none' moves everything"
        )
    return whole


def _still(model: nn.Module) -> set[int]:
    """Return what does not move whatever its shape: parameters of norms, biases, lengths."""
    found: set[int] = set()
    for module in model.modules():
        own = dict(module.named_parameters(recurse=False))
        if isinstance(module, _NORMS):
            found |= {id(p) for p in own.values()}
        found |= {id(p) for name, p in own.items() if name in _BIASES}
        found |= {id(p) for name, p in own.items() if name[:-2] + "_v" in own and name[-2:] == "_g"}
        if isinstance(module, ParametrizationList):
            lengths = any(type(part).__name__ == "_WeightNorm" for part in module)
            found |= {id(own["original0"])} if lengths else set()
    return found


def _transposed(model: nn.Module) -> dict[int, int]:
    """Return the weights of transposed convolutions, each with its number of groups."""
    return {
        id(p): module.groups
        for module in model.modules()
        if isinstance(module, _TRANSPOSED)
        for name, p in module.named_parameters()
        if name in _WEIGHTS
    }


def _rows(weights: Tensor, normalize: str, groups: int) -> Tensor:
    """Return weights as rows that are scaled one by one: filters, or the tensor as a whole."""
    if normalize != "filter" or weights.ndim <= 1:
        return weights.reshape(1, -1)
    if not groups:
        return weights.flatten(1)
    # [groups · in, out, ...]: the map o of a group is what all its inputs lead to.
    parts = weights.reshape(groups, -1, weights.shape[1], weights[0, 0].numel())
    return parts.transpose(1, 2).reshape(groups * weights.shape[1], -1)


def _unrolled(rows: Tensor, weights: Tensor, normalize: str, groups: int) -> Tensor:
    """Return rows in the shape of the weights that they are of."""
    if normalize != "filter" or weights.ndim <= 1 or not groups:
        return rows.reshape(weights.shape)
    parts = rows.reshape(groups, weights.shape[1], -1, weights[0, 0].numel())
    return parts.transpose(1, 2).reshape(weights.shape)


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
