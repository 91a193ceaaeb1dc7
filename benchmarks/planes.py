"""Each library's 7 x 7 plane around one encoder, along the same two directions.

A side returns the loss of each point that it measured, with the displacement at which it really
measured it. Peers move the whole model: outside the encoder the directions are zero.
"""

import contextlib
import copy
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from sharpscope.landscape import Landscape
from sharpscope.landscape.directions import Drawing, random_directions
from sharpscope.subject import Selection, Subject
from sharpscope.subject.memory import keep_freed_memory

SIZE, SPAN = 7, 0.5
STEP = 2 * SPAN / (SIZE - 1)
HALF = SIZE // 2
Batch = dict[str, Tensor]


@dataclass(frozen=True)
class Plane:
    """What a side found.

    Attributes:
        values: The loss of each point, by its place (x, y) in the side's own array.
        displacements: Where it was measured, ``[dim]`` over the encoder.
        altered: Places whose value is not what was measured.
    """

    values: dict[tuple[int, int], float]
    displacements: dict[tuple[int, int], Tensor]
    altered: tuple[tuple[int, int], ...] = ()


def directions_of(subject: Subject, selection: Selection) -> list[Tensor]:
    """Return the two directions of all sides, filters normalized."""
    return random_directions(subject, selection, 2, Drawing())


def sharpscope(subject: Subject, modality: str, told: Callable[[], None]) -> Plane:
    """Ours, as it is."""
    settings = Landscape(shape=(SIZE, SIZE), span=SPAN)
    found = settings(subject, modality, watcher=lambda what: told() if "points" in what else None)
    places = [(x, y) for x in range(SIZE) for y in range(SIZE)]
    steps = _steps(subject, modality)
    return Plane(
        {(x, y): float(found.values[y, x]) for x, y in places},
        {(x, y): steps(x - HALF, y - HALF) for x, y in places},
    )


def plain(subject: Subject, modality: str, told: Callable[[], None]) -> Plane:
    """Ours without replay and without anything folded or fused."""
    subject.replay = False
    return sharpscope(subject, modality, told)


def loss_landscapes(subject: Subject, modality: str, told: Callable[[], None]) -> Plane:
    """The function planar_interpolation of loss-landscapes, over the same batches."""
    batches = list(subject.walk())

    def loss(model: Any) -> float:
        return _mean(model.forward, batches)

    return _planar(subject, modality, told, loss)


def loss_landscapes_single(subject: Subject, modality: str, told: Callable[[], None]) -> Plane:
    """The same with its own metric, which takes all data at once."""
    from loss_landscapes.metrics import Loss

    batches = list(subject.walk())
    batch = {name: torch.cat([part[name] for part in batches]) for name in batches[0]}
    criterion = functional.binary_cross_entropy_with_logits
    return _planar(subject, modality, told, Loss(criterion, batch, batch["target"]))


def loss_landscapes_kept(subject: Subject, modality: str, told: Callable[[], None]) -> Plane:
    """Over batches, with the setting of the C library's allocator that ours makes."""
    keep_freed_memory()
    return loss_landscapes(subject, modality, told)


def landscaper(subject: Subject, modality: str, told: Callable[[], None]) -> Plane:
    """The function compute_loss_landscape of Landscaper, over the same batches.

    It scales each tensor of a direction by itself, so that the plane is another one: its points are
    compared where it put them. The highest gets random noise.
    """
    from landscaper import compute

    selection = subject.select(modality)
    batches, model = list(subject.walk()), subject.model
    whole = [_spread(subject, selection, d) for d in directions_of(subject, selection)]
    own = [p.data for p in model.parameters()]
    size = float(compute.get_model_norm(own))
    length = SPAN * float(compute.get_model_norm(whole[0])) / HALF
    distance = length * (SIZE / 2) / size

    def loss(model: nn.Module, data: list[Batch]) -> float:
        found = _mean(model, data)
        told()
        return found

    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        values, _ = compute.compute_loss_landscape(
            model, batches, copy.deepcopy(whole), loss, SIZE, distance, 2, "cpu"
        )
    moved: list[Tensor] = []
    for direction in whole:
        scaled = compute.normalize_direction(copy.deepcopy(direction), own)
        compute.scale_direction(
            scaled, ((size * distance) / (SIZE / 2)) / float(compute.get_model_norm(scaled))
        )
        moved.append(_gathered(subject, selection, scaled))
    places = [(x, y) for x in range(SIZE) for y in range(SIZE)]
    highest = max(places, key=lambda place: values[place])
    return Plane(
        {place: float(values[place]) for place in places},
        {(x, y): (x - HALF) * moved[0] + (y - HALF) * moved[1] for x, y in places},
        (highest,),
    )


SIDES = {
    "sharpscope": sharpscope,
    "sharpscope, plain": plain,
    "loss-landscapes": loss_landscapes,
    "loss-landscapes, freed memory kept": loss_landscapes_kept,
    "loss-landscapes, single batch": loss_landscapes_single,
    "landscaper": landscaper,
}
# Imported before the clock starts.
LIBRARIES = {side: side.split(",")[0].replace("-", "_") for side in SIDES}
OURS = ("sharpscope", "sharpscope, plain")


def _planar(
    subject: Subject, modality: str, told: Callable[[], None], metric: Callable[[Any], float]
) -> Plane:
    """Return its plane: even columns measured from 1 to n, odd ones from 0 to n - 1.

    It starts one step below our corner, so that even columns are ours and odd ones but for their
    last point.
    """
    import loss_landscapes as library
    from loss_landscapes.metrics import Metric

    class Told(Metric):
        def __call__(self, model_wrapper: Any) -> float:
            found = metric(model_wrapper)
            told()
            return found

    selection = subject.select(modality)
    steps = _steps(subject, modality)

    def model_at(x: int, y: int) -> nn.Module:
        with selection.displaced(steps(x, y).to(torch.float32)):
            return copy.deepcopy(subject.model).eval()

    corner = (-HALF, -HALF - 1)
    ends = (corner[0] + SIZE, corner[1]), (corner[0], corner[1] + SIZE)
    models = model_at(*corner), model_at(*ends[0]), model_at(*ends[1])
    found = library.planar_interpolation(*models, Told(), steps=SIZE)
    places = [(x, y) for x in range(SIZE) for y in range(SIZE)]
    return Plane(
        {place: float(found[place]) for place in places},
        {(x, y): steps(x - HALF, y - HALF - x % 2) for x, y in places},
    )


def _steps(subject: Subject, modality: str) -> Callable[[int, int], Tensor]:
    one, other = directions_of(subject, subject.select(modality))
    return lambda x, y: STEP * (x * one + y * other)


def _mean(model: Callable[[Batch], Tensor], batches: list[Batch]) -> float:
    with torch.no_grad():
        sums = [
            functional.binary_cross_entropy_with_logits(
                model(batch), batch["target"], reduction="sum"
            ).item()
            for batch in batches
        ]
    return sum(sums) / sum(batch["target"].numel() for batch in batches)


def _spread(subject: Subject, selection: Selection, direction: Tensor) -> list[Tensor]:
    """Return a direction over all parameters of the model, zero outside of the encoder."""
    pieces = {
        id(p): piece.float()
        for p, piece in zip(selection.parameters, selection.split(direction), strict=True)
    }
    return [pieces.get(id(p), torch.zeros_like(p)).clone() for p in subject.model.parameters()]


def _gathered(subject: Subject, selection: Selection, pieces: list[Tensor]) -> Tensor:
    own = {id(p) for p in selection.parameters}
    pairs = zip(subject.model.parameters(), pieces, strict=True)
    return torch.cat([piece.reshape(-1).double() for p, piece in pairs if id(p) in own])
