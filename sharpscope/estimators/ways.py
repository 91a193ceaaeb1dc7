"""Whether several blocks are cheaper one by one or in one sweep, by a trial on one batch."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from sharpscope.estimators.growth import PILOTS
from sharpscope.estimators.probing import ProbeSettings, draw_block
from sharpscope.estimators.statistics import expected_probes
from sharpscope.operators import SymmetricOperator


@dataclass(frozen=True)
class Costs:
    """What both ways are expected to cost.

    Attributes:
        each: Floating-point operations of the blocks one by one, to the target.
        sweep: Those of one sweep to the same target.
    """

    each: float
    sweep: float

    @property
    def ratio(self) -> float:
        """How many times cheaper the sweep is."""
        return self.each / self.sweep if self.sweep else 0.0


def costs(
    settings: ProbeSettings,
    whole: SymmetricOperator,
    blocks: Mapping[str, tuple[SymmetricOperator, Tensor]],
) -> Costs:
    """Return what both ways are expected to cost: operations a product times probes.

    Probes of the whole see what couples a block to the others: no block needs fewer of them. So
    where a product with the whole costs as much as one with each block, nothing is left to try.
    How many probes each way needs is told by six pilots, before anything is deflated: deflation
    spares both ways alike, and the decision, not the number, hangs on it.

    Args:
        settings: Target, seed and distribution.
        whole: The operator on all blocks together, best of one batch.
        blocks: For each name the operator of its block by itself, and its rows of the whole.
    """
    each, by_block = 0.0, list[float]()
    needed: dict[str, float] = {}
    squares: dict[str, float] = {}
    probes = draw_block(whole, settings, 0, PILOTS)
    for name, (operator, rows) in blocks.items():
        own = probes[rows.to(probes.device)]  # the same, so that only what couples differs
        with operator.session():
            products = operator.products(own)
            by_block.append(_operations(operator, own))
        squares[name] = products.columns.double().square().sum(0).mean().item()
        target = settings.rtol * abs(products.quadratic.mean().item())
        needed[name] = expected_probes(2 * squares[name], target)
        each += by_block[-1] * needed[name]
    with whole.session():
        images = whole.products(probes).columns.double()
        together = _operations(whole, probes)
    if together >= sum(by_block):
        return Costs(each, max(each, together * max(needed.values())))
    most = 0.0
    for name, (_, rows) in blocks.items():
        rows = rows.to(images.device)
        value = (probes.double() * images)[rows].sum(0).mean().item()
        coupled = max(0.0, images[rows].square().sum(0).mean().item() - squares[name])
        target = settings.rtol * abs(value)
        most = max(most, expected_probes(2 * squares[name] + coupled, target))
    return Costs(each, together * most)


def _operations(operator: SymmetricOperator, probes: Tensor) -> float:
    """Return the floating-point operations of a product when everything is warm."""
    with FlopCounterMode(display=False) as counter:
        operator.products(torch.narrow(probes, 1, 0, 1))
    return float(counter.get_total_flops())
