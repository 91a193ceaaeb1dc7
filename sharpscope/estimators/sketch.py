"""Products with a basis: the sketch of the original Hutch++, or all unit vectors."""

import torch
from torch import Tensor

from sharpscope.estimators.cost import Meter
from sharpscope.estimators.probing import (
    ProbeSettings,
    Probing,
    all_finite,
    draw_block,
)
from sharpscope.estimators.statistics import INTERVAL_PROBES
from sharpscope.estimators.traced import trace_result
from sharpscope.operators import Products, SymmetricOperator
from sharpscope.results import Outcome, TraceResult


def sketched_basis(
    operator: SymmetricOperator, settings: ProbeSettings, meter: Meter, wanted: int
) -> Tensor:
    """Return an orthonormal basis of ``AS`` ``[dim, rank]``, S random.

    It has fewer columns where the budget or the time is short: each column costs two products,
    and probes need theirs.
    """
    reserve = settings.probes or INTERVAL_PROBES
    rank = max(0, min(wanted, operator.dim, (settings.budget - reserve) // 2))
    images = torch.zeros(operator.dim, 0, dtype=operator.dtype, device=operator.device)
    while images.shape[1] < rank and not _third_spent(settings, meter):
        first = images.shape[1]
        sketch = draw_block(operator, settings, first, meter.block(rank - first), "sketch")
        found = meter.timed(operator, sketch).columns
        meter.tell(2 * rank + reserve)
        if not torch.isfinite(found).all():
            # One column is enough to carry the number that is not finite to the outcome.
            return found[:, ~torch.isfinite(found).all(0)][:, :1]
        images = torch.cat([images, found], dim=1)
    return torch.linalg.qr(images).Q


def products_with(
    operator: SymmetricOperator, meter: Meter, basis: Tensor, *, after: int
) -> Products | None:
    """Return the products with a basis, block by block; None where it is empty.

    Args:
        operator: What to multiply by.
        meter: Budget and clock.
        basis: Columns ``[dim, rank]``.
        after: Products that are expected afterwards, for the watcher.
    """
    rank = basis.shape[1]
    blocks: list[Products] = []
    while (done := sum(block.forms.shape[1] for block in blocks)) < rank:
        columns = basis[:, done : done + meter.block(rank - done)]
        blocks.append(meter.timed(operator, columns))
        meter.tell(meter.products + rank - done + after)
    if not blocks:
        return None
    forms = torch.cat([block.forms for block in blocks], dim=1)
    return Products(torch.cat([b.columns for b in blocks], dim=1), forms, blocks[0].weights)


def exact_trace(
    operator: SymmetricOperator, settings: ProbeSettings, meter: Meter, *, method: str
) -> TraceResult:
    """Return the trace by a product with each unit vector."""
    unit = torch.eye(operator.dim, dtype=operator.dtype, device=operator.device)
    products = products_with(operator, meter, unit, after=0)
    assert products is not None
    probing = Probing(operator, settings, meter, exact=products, complete=True)
    outcome = probing.run() if all_finite(products) else Outcome.NOT_FINITE
    return trace_result(probing, outcome, method=method, deflated=operator.dim)


def _third_spent(settings: ProbeSettings, meter: Meter) -> bool:
    """Whether the basis has cost a third of the time: its products and the probes need theirs."""
    return settings.max_seconds is not None and meter.seconds > settings.max_seconds / 3
