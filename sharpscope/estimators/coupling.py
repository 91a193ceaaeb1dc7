"""Blocks of the Hessian between encoders, by random probes."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from sharpscope.checks import at_least, positive
from sharpscope.errors import MisuseError
from sharpscope.estimators.common import record
from sharpscope.estimators.cost import Meter, Watcher
from sharpscope.estimators.statistics import INTERVAL_PROBES, mean
from sharpscope.operators import SymmetricOperator
from sharpscope.results import CouplingResult, Outcome
from sharpscope.streams import rademacher, stream


@dataclass(frozen=True, kw_only=True)
class Coupling:
    """Estimate ``‖H_ab‖_F²`` and the share ``2 ‖H_ab‖_F² / ‖H_SS‖_F²``, S = a ∪ b, of each pair.

    A probe v of signs on encoder b alone gives ``E ‖H_ab v‖² = ‖H_ab‖_F²`` for every a at once; a
    block between two encoders is the mean of both ways.

    Args:
        rtol: Stop when the standard error of every ``‖H_ab‖_F²`` and of every share is at most so
            much of it.
        budget: Products that may be spent; each probe takes one for each encoder.
        max_seconds: Seconds that may be spent.
        seed: Names the probes; more probes extend the draws.

    Raises:
        MisuseError: If a setting is out of its range.

    Example:
        >>> import torch
        >>> from sharpscope.estimators import Coupling
        >>> from sharpscope.operators import DenseOperator
        >>> h = torch.tensor([[2.0, 1.0], [1.0, 3.0]])
        >>> a = torch.tensor([True, False])
        >>> found = Coupling()(DenseOperator(h), {"a": a, "b": ~a})
        >>> found.blocks["a+b"], round(found.shares["a+b"], 4)  # 1², 2 / (4 + 9 + 2)
        (1.0, 0.1333)
    """

    rtol: float = 0.1
    budget: int = 2000
    max_seconds: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        positive("rtol", self.rtol)
        at_least("budget", self.budget, 4, "products; two probes of two encoders")
        at_least("seed", self.seed, 0)
        if self.max_seconds is not None:
            positive("max_seconds", self.max_seconds)

    def __call__(
        self,
        operator: SymmetricOperator,
        blocks: Mapping[str, Tensor],
        *,
        watcher: Watcher | None = None,
    ) -> CouplingResult:
        """Return the coupling of blocks of an operator.

        Args:
            operator: Of all blocks together.
            blocks: A mask of rows for each, ``[dim]``, none in two of them.
            watcher: Told how far the measurement is.

        Raises:
            MisuseError: If there are fewer than two blocks, or the budget has no room for them.
        """
        names = list(blocks)
        if len(names) < 2:
            raise MisuseError(
                f"coupling is between encoders: name at least two; got {', '.join(names) or 'none'}"
            )
        if self.budget < 2 * len(names):
            raise MisuseError(
                f"budget must be at least {2 * len(names)} products, two probes of each encoder; "
                f"got {self.budget}"
            )
        meter = Meter(self.budget, self.max_seconds, watcher)
        rows = [blocks[name].to(operator.device) for name in names]
        squares: list[Tensor] = []  # [blocks, blocks] a probe: of H_ab v_b
        with operator.session():
            outcome = self._draw(operator, rows, squares, meter)
            report = operator.report()
        numbers = _numbers(names, torch.stack(squares)) if squares else {}
        return CouplingResult(
            outcome=outcome,
            method="random probes of single encoders",
            probes=len(squares),
            notes=report.notes,
            **(numbers if outcome is not Outcome.NOT_FINITE else _nothing(names)),
            **record(operator, report, meter, asdict(self)),
        )

    def _draw(
        self,
        operator: SymmetricOperator,
        rows: Sequence[Tensor],
        squares: list[Tensor],
        meter: Meter,
    ) -> Outcome:
        """Draw probes until the errors are small enough, or something is spent."""
        while True:
            vectors = torch.zeros(
                operator.dim, len(rows), dtype=operator.dtype, device=operator.device
            )
            for place, chosen in enumerate(rows):
                generator = stream(self.seed, "coupling", len(squares), place)
                signs = rademacher(int(chosen.sum()), generator)
                vectors[chosen, place] = signs.to(vectors)
            products = meter.timed(operator, vectors)
            if not bool(torch.isfinite(products.columns).all()):
                return Outcome.NOT_FINITE
            images = products.columns.double()
            operator.check_random(vectors, products.columns)
            squares.append(torch.stack([images[chosen].square().sum(0) for chosen in rows]))
            count = len(squares)
            error = _largest_error(torch.stack(squares)) if count > 1 else math.inf
            needed = count * (error / self.rtol) ** 2 if math.isfinite(error) else INTERVAL_PROBES
            meter.tell(len(rows) * max(INTERVAL_PROBES, needed))
            if count >= INTERVAL_PROBES and error <= self.rtol:
                return Outcome.CONVERGED
            if meter.left < len(rows) or (meter.late and count > 1):
                return Outcome.BUDGET_SPENT


def _between(squares: Tensor) -> Tensor:
    """Return blocks between two encoders as the mean of both ways, ``[probes, blocks, blocks]``."""
    return (squares + squares.transpose(1, 2)) / 2


def _largest_error(squares: Tensor) -> float:
    """Return the largest relative error of a block between two encoders, or of a share."""
    found = _between(squares)
    middle = found.mean(0)
    shares, errors = _jackknife(found)
    off = ~torch.eye(len(middle), dtype=torch.bool, device=middle.device)
    ratios = [
        torch.where(value > 0, error / value, torch.zeros_like(error))[off]
        for value, error in ((middle, found.std(0) / math.sqrt(len(found))), (shares, errors))
    ]
    return torch.cat(ratios).max().item()


def _jackknife(found: Tensor) -> tuple[Tensor, Tensor]:
    """Return the shares and their errors, one probe left out at a time."""
    count = len(found)
    left = _shares((found.sum(0) - found) / max(1, count - 1))
    spread = (left - left.mean(0)).square().sum(0)
    return _shares(found.mean(0)), (spread * (count - 1) / count).sqrt()


def _shares(middle: Tensor) -> Tensor:
    """Return ``2 ‖H_ab‖² / ‖H_SS‖²`` of each pair from mean squares ``[..., blocks, blocks]``."""
    own = middle.diagonal(dim1=-2, dim2=-1)
    whole = own[..., :, None] + own[..., None, :] + 2 * middle
    return torch.where(whole > 0, 2 * middle / whole, torch.zeros_like(whole))


def _numbers(names: Sequence[str], squares: Tensor) -> dict[str, Any]:
    found = _between(squares).cpu()
    count = len(found)
    shares, errors = _jackknife(found)
    table: dict[str, dict[str, float | None]] = {
        key: {} for key in ("blocks", "block_error", "shares", "share_error")
    }
    for place, name in enumerate(names):
        told = mean(found[:, place, place]) if count > 1 else None
        table["blocks"][name] = found[:, place, place].mean().item()
        table["block_error"][name] = told.error if told else None
    for (a, one), (b, other) in itertools.combinations(enumerate(names), 2):
        pair = f"{one}+{other}"
        table["blocks"][pair] = found[:, a, b].mean().item()
        table["block_error"][pair] = mean(found[:, a, b]).error if count > 1 else None
        table["shares"][pair] = shares[a, b].item()
        table["share_error"][pair] = errors[a, b].item() if count > 1 else None
    return table


def _nothing(names: Sequence[str]) -> dict[str, Any]:
    pairs = ["+".join(pair) for pair in itertools.combinations(names, 2)]
    every = dict.fromkeys([*names, *pairs])
    return {
        "blocks": every,
        "block_error": every,
        "shares": dict.fromkeys(pairs),
        "share_error": dict.fromkeys(pairs),
    }
