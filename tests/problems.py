"""Small two-encoder problems, one for each thing that breaks Hessians elsewhere."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from sharpscope.subject import Subject
from tests.oracles import Oracle

# Uneven on purpose: a mean of batch means would be wrong.
SIZES = (4, 4, 3, 1)
CLASSES = 3


class TwoEncoders(nn.Module):
    """Encoders for ``ehr`` and ``cxr``, and a fusion of their features."""

    def __init__(self, ehr: nn.Module, cxr: nn.Module, fusion: nn.Module):
        super().__init__()
        self.ehr_model = ehr
        self.cxr_model = cxr
        self.fusion = fusion

    def forward(self, ehr: Tensor, cxr: Tensor) -> Tensor:
        return self.fusion(torch.cat([self.ehr_model(ehr), self.cxr_model(cxr)], dim=1))


class Recurrent(nn.Module):
    """The last state of an LSTM or a GRU."""

    def __init__(self, kind: type[nn.LSTM] | type[nn.GRU]):
        super().__init__()
        self.layer = kind(3, 4, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)[0][:, -1]


class Attention(nn.Module):
    """A stock transformer layer, pooled."""

    def __init__(self):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.2, batch_first=True)
        self.project = nn.Linear(3, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(self.project(x)).mean(1)


class Tied(nn.Module):
    """One weight used twice, forward and transposed."""

    def __init__(self):
        super().__init__()
        self.down = nn.Linear(15, 4, bias=False)
        self.again = nn.Linear(15, 4, bias=False)
        self.again.weight = self.down.weight

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(1)
        return torch.tanh(self.down(flat)) @ self.again.weight @ self.down.weight.T


class WithUnusedBranch(nn.Module):
    """Half of the parameters never run."""

    def __init__(self):
        super().__init__()
        self.used = nn.Linear(15, 4)
        self.unused = nn.Linear(15, 4)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.used(x.flatten(1)))


class MaxOut(nn.Module):
    """Early fusion: the largest of several linear maps of all features."""

    def __init__(self, width: int):
        super().__init__()
        self.maps = nn.Linear(width, 3 * 5)
        self.out = nn.Linear(5, CLASSES)

    def forward(self, z: Tensor) -> Tensor:
        return self.out(self.maps(z).unflatten(1, (3, 5)).amax(1))


def _flat_mlp(*middle: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(15, 6), *middle, nn.Linear(6, 4))


def _conv(norm: nn.Module) -> nn.Module:
    layers = (nn.Conv2d(1, 4, 3), norm, nn.ReLU(), nn.Conv2d(4, 2, 3), nn.Flatten())
    return nn.Sequential(*layers, nn.Linear(8, 4))


def _trained_statistics(model: nn.Module) -> nn.Module:
    """Give BatchNorm running statistics that are not their initial ones."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2.0)
    return model


def _with(ehr: Callable[[], nn.Module], cxr: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    return lambda: TwoEncoders(ehr(), cxr(), nn.Linear(8, CLASSES))


def _frozen() -> nn.Module:
    model = TwoEncoders(_flat_mlp(nn.Tanh()), _conv(nn.Identity()), nn.Linear(8, CLASSES))
    for p in model.cxr_model.parameters():
        p.requires_grad_(False)
    return model


def _plain_ehr() -> nn.Module:
    return _flat_mlp(nn.Tanh())


def _plain_cxr() -> nn.Module:
    return _conv(nn.Identity())


@dataclass(frozen=True)
class Problem:
    """A model and the encoder of it that is worth measuring."""

    build: Callable[[], nn.Module]
    modality: str


PROBLEMS = {
    "conv_batchnorm": Problem(_with(_plain_ehr, lambda: _conv(nn.BatchNorm2d(4))), "cxr"),
    "group_norm": Problem(_with(_plain_ehr, lambda: _conv(nn.GroupNorm(2, 4))), "cxr"),
    "layer_norm": Problem(_with(lambda: _flat_mlp(nn.LayerNorm(6), nn.ReLU()), _plain_cxr), "ehr"),
    "attention": Problem(_with(Attention, _plain_cxr), "ehr"),
    "attention_not_selected": Problem(_with(Attention, _plain_cxr), "cxr"),
    "lstm": Problem(_with(lambda: Recurrent(nn.LSTM), _plain_cxr), "ehr"),
    "gru": Problem(_with(lambda: Recurrent(nn.GRU), _plain_cxr), "ehr"),
    "tied": Problem(_with(Tied, _plain_cxr), "ehr"),
    "dropout": Problem(_with(lambda: _flat_mlp(nn.Dropout(0.5), nn.ReLU()), _plain_cxr), "ehr"),
    "unused_branch": Problem(_with(WithUnusedBranch, _plain_cxr), "ehr"),
    "frozen": Problem(_frozen, "cxr"),
    "maxout": Problem(lambda: TwoEncoders(_plain_ehr(), _plain_cxr(), MaxOut(8)), "cxr"),
    "maxout_shared": Problem(lambda: TwoEncoders(_plain_ehr(), _plain_cxr(), MaxOut(8)), "shared"),
    "whole_model": Problem(_with(lambda: _flat_mlp(nn.LayerNorm(6)), _plain_cxr), "all"),
}


def batches(sizes: tuple[int, ...] = SIZES) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Return batches of (ehr, cxr, target), the same numbers at every call and on every device."""
    generator, place = torch.Generator().manual_seed(1), torch.zeros(())

    def normal(*shape: int) -> Tensor:
        found = torch.randn(*shape, generator=generator, dtype=torch.float32, device="cpu")
        return found.to(place)

    def label(n: int) -> Tensor:
        return torch.randint(0, CLASSES, (n,), generator=generator, device="cpu").to(place.device)

    return [(normal(n, 5, 3), normal(n, 1, 6, 6), label(n)) for n in sizes]


def build(name: str) -> nn.Module:
    """Return the problem's model, the same at every call, in training mode."""
    torch.manual_seed(3)
    with torch.device("cpu"):  # the same weights on every device
        model = _trained_statistics(PROBLEMS[name].build()).train()
    return model.to(torch.zeros(()).device)


def subject_of(model: nn.Module, *, dtype: Any = "float64", **settings: Any) -> Subject:
    """Return a subject over the model with the uneven batches."""
    defaults: dict[str, Any] = {
        "loss": functional.cross_entropy,
        "encoders": {"ehr": "ehr_model", "cxr": "cxr_model"},
    }
    data = settings.pop("data", batches())
    return Subject(model, data, dtype=dtype, **(defaults | settings))


def whole_loss(model: nn.Module) -> Tensor:
    """Return the mean loss of all items in one batch: no batches, no weights."""
    ehr, cxr, target = (torch.cat(part) for part in zip(*batches(), strict=True))
    return functional.cross_entropy(model(ehr.double(), cxr.double()), target)


def oracle_of(model: nn.Module, names: tuple[str, ...]) -> Oracle:
    """Return the dense float64 oracle on the parameters named."""
    return Oracle(model, names, whole_loss)
