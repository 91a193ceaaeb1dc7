"""Whether a modality's own loss and the fusion loss pull its encoder the same way."""

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from sharpscope.errors import SubjectError
from sharpscope.subject import Selection, Subject


@dataclass(frozen=True, kw_only=True)
class Alignment:
    """``γ_m = cos(∇_{θ_m} L_m, ∇_{θ_m} L_fuse)`` of one encoder.

    Attributes:
        value: Of the gradients over the whole split; None where one of them vanishes.
        standard_error: Over batches as a sample of the data, by the jackknife; None below two.
        batch_mean: Mean of the batches' own cosines, which is what training logs.
        negative: Share of the batches whose cosine is below 0.
        fusion_norm: ``‖∇_{θ_m} L_fuse‖``.
        unimodal_norm: ``‖∇_{θ_m} L_m‖``.
    """

    value: float | None
    standard_error: float | None
    batch_mean: float | None
    negative: float
    fusion_norm: float
    unimodal_norm: float


# Below this norm a gradient has no direction (methods of MASAM).
_NOTHING = 1e-12


@dataclass
class _Pair:
    """Sums over batches of the gradients of both losses, and what each batch adds to them."""

    fusion: Tensor
    unimodal: Tensor
    terms: list[tuple[float, ...]] = field(default_factory=list[tuple[float, ...]])


def alignments(subject: Subject, names: Sequence[str]) -> dict[str, Alignment | str]:
    """Return the alignment of each encoder, or why it has none, from two passes over the data.

    The first adds the gradients up, the second compares each batch's with the sums: leaving a
    batch out then needs no more than dot products. The subject is held still by the caller.
    """
    found: dict[str, Alignment | str] = {}
    for name in names:
        try:
            found[name] = _alignment_of(subject, name)
        except SubjectError as error:
            found[name] = str(error)
    return found


def _alignment_of(subject: Subject, name: str) -> Alignment:
    selection = subject.select(name)
    with subject.studying(selection):
        zero = torch.zeros(selection.dim, dtype=torch.float64, device=subject.device)
        pair, weights = _Pair(zero, zero.clone()), [0.0, 0.0]
        for a, b, weight in _gradients(subject, selection):
            pair.fusion += a
            pair.unimodal += b
            weights = [x + w for x, w in zip(weights, weight, strict=True)]
        for a, b, _ in _gradients(subject, selection):
            pair.terms.append(_products(pair, a, b))
    return _alignment(pair, weights)


def _gradients(
    subject: Subject, selection: Selection
) -> Generator[tuple[Tensor, Tensor, list[float]]]:
    """Yield each batch's gradient sums of the fusion loss and the unimodal one, and the weights."""
    walks = [subject.visits(loss) for loss in ("fusion", selection.name)]
    for visited in zip(*walks, strict=True):
        both: list[Tensor] = []
        for loss, (number, _, value) in zip(("fusion", selection.name), visited, strict=True):
            gradient = (
                torch.autograd.grad(value.total, selection.parameters, allow_unused=True)
                if value.total.requires_grad
                else [None] * len(selection.parameters)
            )
            flat = selection.flatten(gradient).double()
            if not bool(torch.isfinite(flat).all() and torch.isfinite(value.total)):
                raise SubjectError(
                    f"batch {number}: the {loss} loss or its gradient over the encoder of "
                    f"{selection.name!r} is not finite"
                )
            both.append(flat)
        yield both[0], both[1], [value.weight for _, _, value in visited]


def _products(pair: _Pair, a: Tensor, b: Tensor) -> tuple[float, ...]:
    total, other = pair.fusion, pair.unimodal
    products = torch.stack([total @ b, a @ other, a @ b, total @ a, a @ a, other @ b, b @ b])
    return tuple(products.tolist())


def _cosine(dot: float, one: float, two: float) -> float | None:
    """Return a cosine from a dot product and two squared norms."""
    if one < _NOTHING**2 or two < _NOTHING**2:
        return None
    return max(-1.0, min(1.0, dot / math.sqrt(one * two)))


def _alignment(pair: _Pair, weights: Sequence[float]) -> Alignment:
    dot = float(pair.fusion @ pair.unimodal)
    one, two = float(pair.fusion @ pair.fusion), float(pair.unimodal @ pair.unimodal)
    norms = [math.sqrt(s) / w if w else 0.0 for s, w in zip((one, two), weights, strict=True)]
    value = _cosine(dot, norms[0] and one, norms[1] and two)
    left_out = [
        _cosine(dot - ab - ba + bb, max(0.0, one - 2 * aa + a2), max(0.0, two - 2 * ob + b2))
        for ab, ba, bb, aa, a2, ob, b2 in pair.terms
    ]
    kept = [c for c in left_out if c is not None]
    own = [_cosine(bb, a2, b2) for _, _, bb, _, a2, _, b2 in pair.terms]
    cosines = [c for c in own if c is not None]
    return Alignment(
        value=value,
        standard_error=_jackknife(kept) if len(kept) == len(left_out) else None,
        batch_mean=math.fsum(cosines) / len(cosines) if cosines else None,
        negative=sum(c < 0 for c in cosines) / len(own),
        fusion_norm=norms[0],
        unimodal_norm=norms[1],
    )


def _jackknife(values: Sequence[float]) -> float | None:
    """Return the standard error that leaving out one batch at a time gives."""
    count = len(values)
    if count < 2:
        return None
    middle = math.fsum(values) / count
    return math.sqrt((count - 1) / count * math.fsum((x - middle) ** 2 for x in values))
