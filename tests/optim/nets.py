"""Small networks of one to four modalities, their batches and their losses."""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from sharpscope.models import ConcatFusion, MaxoutFusion, MultimodalModel
from sharpscope.optim import MASAM, Losses

NAMES = ("ehr", "cxr", "ecg", "text")


@dataclass(frozen=True)
class Kind:
    """What a network is made of."""

    modalities: int = 2
    early: bool = False
    norm: bool = False
    dropout: bool = False
    dtype: torch.dtype = torch.float64

    def __str__(self) -> str:
        parts = [f"{self.modalities}", "maxout" if self.early else "late"]
        parts += ["norm"] * self.norm + ["dropout"] * self.dropout
        return "-".join([*parts, str(self.dtype).removeprefix("torch.")])


KINDS = [
    Kind(*settings)
    for settings in itertools.product(
        (1, 2, 3, 4), (False, True), (False, True), (False, True), (torch.float32, torch.float64)
    )
]
FEW = [
    Kind(1),
    Kind(2, norm=True, dropout=True),
    Kind(2, early=True, dtype=torch.float32),
    Kind(3, early=True, norm=True, dropout=True),
    Kind(4, dropout=True, dtype=torch.float32),
]


class Net(MultimodalModel):
    """Encoders of different widths, each in its own scale."""

    def __init__(self, kind: Kind):
        encoders: dict[str, nn.Module] = {}
        for place in range(kind.modalities):
            layers: list[nn.Module] = [nn.Linear(3 + place, 5), nn.Tanh()]
            layers += [nn.BatchNorm1d(5)] * kind.norm
            layers += [nn.Dropout(0.4)] * kind.dropout
            encoders[NAMES[place]] = nn.Sequential(*layers, nn.Linear(5, 4))
        fusion = (
            MaxoutFusion(modalities=kind.modalities, width=4, outputs=3, hidden=6)
            if kind.early
            else ConcatFusion(modalities=kind.modalities, width=4, outputs=3)
        )
        super().__init__(encoders, fusion=fusion, width=4, outputs=3)


def build(kind: Kind, seed: int = 0) -> Net:
    """Return a network in train mode."""
    torch.manual_seed(seed)
    return Net(kind).to(kind.dtype)


def batches(kind: Kind, count: int, items: int = 8, seed: int = 5) -> list[dict[str, Tensor]]:
    """Return batches that the first modality says most about."""
    generator = torch.Generator().manual_seed(seed)
    found: list[dict[str, Tensor]] = []
    for _ in range(count):
        target = torch.randint(0, 3, (items,), generator=generator)
        batch = {"target": target}
        for place in range(kind.modalities):
            noise = torch.randn(items, 3 + place, generator=generator, dtype=torch.float64)
            shown = functional.one_hot(target, 3 + place) * (2.0 / (1 + place))
            batch[NAMES[place]] = (noise + shown).to(kind.dtype)
        found.append(batch)
    return found


def losses_of(model: Any, batch: Mapping[str, Tensor]) -> Losses:
    """Return fusion and unimodal cross entropy."""
    outputs = model.outputs(batch)
    return Losses(
        fusion=functional.cross_entropy(outputs.fusion, batch["target"]),
        unimodal={
            name: functional.cross_entropy(logits, batch["target"])
            for name, logits in outputs.unimodal.items()
        },
    )


def closure(model: MultimodalModel, batch: Mapping[str, Tensor]) -> Callable[[], Losses]:
    """Return the forward pass of one batch."""
    return lambda: losses_of(model, batch)


def encoders_of(model: MultimodalModel) -> dict[str, Any]:
    """Return the encoders as an optimizer takes them."""
    return dict(model.encoders.items())


def state_of(model: nn.Module) -> dict[str, Tensor]:
    """Return copies of parameters and buffers."""
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    """Return whether two states agree to the last bit."""
    return all(torch.equal(one[name], other[name]) for name in one)


def masam(model: Net, lr: float = 0.1, **settings: Any) -> MASAM:
    """Return MASAM around SGD."""
    return MASAM(
        torch.optim.SGD(model.parameters(), lr=lr), encoders=encoders_of(model), **settings
    )
