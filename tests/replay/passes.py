"""Plain and taped passes over the awkward models."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from sharpscope.replay import Tape
from tests import problems
from tests.replay import awkward

DATA = problems.batches()


def loss(model: nn.Module, batch: Any) -> Tensor:
    return functional.cross_entropy(model(*batch[:2]), batch[2])


def gradients(model: nn.Module, parameters: Sequence[Tensor], tape: Tape | None) -> list[Tensor]:
    """Return the gradient of each batch, flat."""
    found: list[Tensor] = []
    for number, batch in enumerate(DATA):

        def work(batch: Any = batch) -> Tensor:
            return loss(model, batch)

        total = work() if tape is None else tape.run(number, work)
        if not total.requires_grad:  # a naive recording has cut it off
            found.append(torch.zeros(sum(p.numel() for p in parameters)))
            continue
        pieces: Any = torch.autograd.grad(total, parameters, allow_unused=True)
        flat = [
            torch.zeros_like(p) if g is None else g for g, p in zip(pieces, parameters, strict=True)
        ]
        found.append(torch.cat([g.reshape(-1) for g in flat]))
    return found


def studied(name: str) -> tuple[nn.Module, list[Tensor]]:
    """Return an awkward model in eval mode and the parameters that it is studied by."""
    model = awkward.build(name).eval()
    chosen = awkward.subject_of(model).select("ehr").parameters
    for parameter in model.parameters():
        parameter.requires_grad_(any(parameter is p for p in chosen))
    return model, list(chosen)
