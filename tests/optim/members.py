"""The optimizers of the conformance suite: a new one is one line in ``MEMBERS``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from sharpscope.optim import ASAM, MASAM, MSAM, SAM, masked_performance
from sharpscope.optim.wrapper import Wrapper
from tests.optim.nets import Net, closure, encoders_of


@dataclass(frozen=True)
class Member:
    """One optimizer, by its class and settings.

    Args:
        kind: The class.
        settings: Beyond base and encoders.
        exact: Whether ρ = 0 gives the base optimizer's step bit for bit.
    """

    kind: type[Wrapper[Any]]
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    exact: bool = True

    def make(self, model: Any, base: torch.optim.Optimizer, **settings: Any) -> Any:
        """Return the optimizer on a network."""
        given: dict[str, Any] = {"rho": 0.2, **self.settings, **settings}
        return self.kind(base, encoders=encoders_of(model), **given)

    def on(
        self,
        model: Net,
        lr: float = 0.1,
        kind: type[torch.optim.Optimizer] = torch.optim.SGD,
        **more: Any,
    ) -> Any:
        """Return the optimizer on a network, around SGD or another base."""
        base: Any = kind
        return self.make(model, base(model.parameters(), lr=lr), **more)

    def extra(self, model: Net, batch: Mapping[str, Tensor]) -> dict[str, Any]:
        """Return what ``step`` needs beside the closure."""
        if self.kind is not MSAM:
            return {}
        inputs = {name: batch[name] for name in model.encoders}
        performance = masked_performance(model, inputs, batch["target"], "true_prob")
        return {"performance": performance}

    def step(self, optimizer: Any, model: Net, batch: Mapping[str, Tensor], **more: Any) -> Any:
        """Take one step on a batch."""
        return optimizer.step(closure(model, batch), **self.extra(model, batch), **more)

    def train(self, optimizer: Any, model: Net, data: Sequence[Mapping[str, Tensor]]) -> list[Any]:
        """Take a step on each batch."""
        return [self.step(optimizer, model, batch) for batch in data]


MEMBERS: dict[str, Member] = {
    "SAM": Member(SAM),
    "ASAM": Member(ASAM),
    "MSAM": Member(MSAM),
    "MSAM, dominant scope": Member(MSAM, {"scope": "dominant+other"}),
    "MASAM": Member(MASAM, exact=False),
    "MASAM, other first": Member(MASAM, {"other_first": True}, exact=False),
    "MASAM, all encoders": Member(MASAM, {"select": False, "scale": False}, exact=False),
    "MASAM, official": Member(MASAM, {"mode": "official"}, exact=False),
    "MASAM, every 3": Member(MASAM, {"every": 3}, exact=False),
    "MASAM, light": Member(MASAM, {"alignment": "feature"}, exact=False),
}
