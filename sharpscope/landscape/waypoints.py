"""Other checkpoints, seen from the model: where they lie, and the planes that hold them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from sharpscope.errors import MisuseError
from sharpscope.subject import Selection, Subject
from sharpscope.subject.door import original
from sharpscope.subject.matching import match_state
from sharpscope.subject.rebuild import load_model
from sharpscope.subject.states import check_ties

# A model, its state dict, a subject, a checkpoint's path or a function that returns a model, so
# that not all are in memory at once; or a pair of a name and one of these.
Source: TypeAlias = (
    nn.Module | Mapping[str, Any] | Subject | str | Path | Callable[[], nn.Module] | tuple[str, Any]
)

_BLOCK = 2**20  # parameters multiplied at once in float64
_FLAT = 1e-10  # of the largest variance: what rounding leaves of none


@dataclass(frozen=True, eq=False)
class Waypoint:
    """Another checkpoint.

    Attributes:
        name: What to call it.
        run: The run that it belongs to.
        displacement: Its Selection less that of the model, ``[dim]``.
    """

    name: str
    run: str
    displacement: Tensor


def waypoints(
    subject: Subject, selection: Selection, runs: Mapping[str, Sequence[Source]]
) -> list[Waypoint]:
    """Return where other checkpoints lie, run by run, in their order.

    Args:
        subject: The model that they are seen from.
        selection: The parameters that are looked at.
        runs: Checkpoints by the name of their run.

    Raises:
        MisuseError: If one holds weights that are not finite, or is no checkpoint at all.
        CheckpointError: If one does not fit the model.
    """
    wanted: dict[str, Any] = subject.model.state_dict(keep_vars=True)
    found: list[Waypoint] = []
    # No coarser than what is measured in: weights may be stored in half of it.
    kind = torch.promote_types(subject.dtype or selection.parameters[0].dtype, torch.float32)
    for run, sources in runs.items():
        for number, source in enumerate(sources, start=1):
            name, source = _named(source, f"{run} {number}")
            matched = match_state(wanted, _state(source, subject, name), source=name)
            check_ties(wanted, matched, name)
            theirs = {id(own): matched[key] for key, own in wanted.items() if key in matched}
            displacement = torch.cat(
                [
                    (theirs[id(p)].detach().cpu().double() - p.detach().cpu().double())
                    .to(kind)
                    .reshape(-1)
                    for p in selection.parameters
                ]
            )
            if not bool(torch.isfinite(displacement).all()):
                raise MisuseError(
                    f"{name} has NaN or infinite weights in {selection.name!r}: leave it out, or "
                    "take an earlier checkpoint"
                )
            found.append(Waypoint(name, run, displacement))
    return found


def by_run(through: Any) -> dict[str, Sequence[Source]]:
    """Return checkpoints by the name of their run, whether one was given, or several, or runs."""
    if isinstance(through, Mapping) and all(isinstance(v, list | tuple) for v in through.values()):
        return dict(through)
    single = isinstance(through, str | Path | nn.Module | Subject | Mapping)
    return {"run": [through] if single else list(through)}


def _named(source: Any, otherwise: str) -> tuple[str, Any]:
    if isinstance(source, tuple):
        if len(source) != 2 or not isinstance(source[0], str):
            raise MisuseError(
                f"{otherwise} must be one checkpoint, or a pair of its name and the checkpoint; "
                f"got a tuple of {len(source)}"
            )
        return source[0], source[1]
    return (Path(source).stem if isinstance(source, str | Path) else otherwise), source


def _state(source: Any, subject: Subject, name: str) -> Mapping[str, Any]:
    if isinstance(source, Subject):
        return source.model.state_dict()
    if isinstance(source, nn.Module):
        return original(source).state_dict()
    if isinstance(source, str | Path):
        return load_model(source, subject.provenance.get("spec")).model.state_dict()
    if isinstance(source, Mapping):
        return source
    if callable(source):
        return _state(source(), subject, name)
    raise MisuseError(
        f"{name} must be a model, its state dict, a subject or the path of a checkpoint; got "
        f"{type(source).__name__}"
    )


def along(points: Sequence[Waypoint], where: str) -> tuple[list[Tensor], Tensor]:
    """Return the directions of the line to one checkpoint or the plane through two.

    The first leads to the first checkpoint, at 1. The second is orthogonal to it and as long, so
    that distances in the plane are true; the second checkpoint lies where it falls.

    Args:
        points: One or two.
        where: Name of the Selection, for errors.

    Returns:
        Directions, and the coordinates ``[checkpoints, directions]``.

    Raises:
        MisuseError: If they do not span so much.
    """
    first = points[0].displacement.double()
    size = float(first.norm())
    if size == 0:
        raise MisuseError(
            f"{points[0].name} has the weights of the model itself in {where!r}: there is no line "
            "between them"
        )
    if len(points) == 1:
        return [first], torch.ones(1, 1, dtype=torch.float64)
    other = points[1].displacement.double()
    share = float(other @ first) / size**2
    rest = other - share * first
    rest = rest - float(rest @ first) / size**2 * first
    length = float(rest.norm())
    if length <= 1e-6 * size:
        raise MisuseError(
            f"{points[0].name} and {points[1].name} lie on one line with the model in {where!r}: "
            "there is no plane through them; take two checkpoints for a line"
        )
    there = torch.tensor([[1.0, 0.0], [share, length / size]], dtype=torch.float64)
    return [first, rest * (size / length)], there


def principal(
    points: Sequence[Waypoint], count: int, where: str
) -> tuple[list[Tensor], Tensor, tuple[float, ...]]:
    """Return the unit principal components of checkpoints, the largest first.

    The components are those of the displacements less their mean, from the Gram matrix
    ``K = C D Dᵀ C`` with the centering C: ``d_j = Dᵀ C u_j / √λ_j``. A component points to the side
    on which the first checkpoint lies.

    Args:
        points: Checkpoints of all runs.
        count: Number of components.
        where: Name of the Selection, for errors.

    Returns:
        Components, the coordinates ``[checkpoints, components]`` of the displacements, and the
        share of the variance that each component explains.

    Raises:
        MisuseError: If the checkpoints span fewer directions.

    Source: Li, Xu, Taylor, Studer and Goldstein, 2018, arXiv 1712.09913, section 7.2.
    """
    gram = torch.zeros(len(points), len(points), dtype=torch.float64)
    dim = points[0].displacement.numel() if points else 0
    for start in range(0, dim, _BLOCK):
        block = torch.stack([p.displacement[start : start + _BLOCK].double() for p in points])
        gram += block @ block.T
    center = torch.eye(len(points), dtype=torch.float64) - 1 / max(1, len(points))
    values, vectors = torch.linalg.eigh(center @ gram @ center)
    values, vectors = values.flip(0), vectors.flip(1)
    spanned = int((values > _FLAT * values[:1].clamp(min=0)).sum()) if len(points) else 0
    if len(points) < 2 or float(values[0]) <= 0:
        spanned = 0
    if spanned < count:
        raise MisuseError(
            f"axes='pca' needs checkpoints of a run that span {count} directions in {where!r}; the "
            f"{len(points)} given span {spanned}; a shape of fewer axes needs fewer"
        )
    found: list[Tensor] = []
    coordinates = torch.zeros(len(points), count, dtype=torch.float64)
    for number in range(count):
        weights = center @ vectors[:, number] / values[number].sqrt()
        there = gram @ weights
        if float(there[0]) < 0:
            weights, there = -weights, -there
        found.append(_combined(points, weights))
        coordinates[:, number] = there
    shares = values[:count] / values.clamp(min=0).sum()
    return found, coordinates, tuple(shares.tolist())


def _combined(points: Sequence[Waypoint], weights: Tensor) -> Tensor:
    total = torch.zeros(points[0].displacement.numel(), dtype=torch.float64)
    for point, weight in zip(points, weights.tolist(), strict=True):
        total.add_(point.displacement, alpha=weight)
    return total
