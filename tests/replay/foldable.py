"""Models with norms behind layers: those that can be folded, and those that only seem so."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


class Twice(nn.Module):
    """One convolution and its norm used twice."""

    def __init__(self, norms: int = 1):
        super().__init__()
        self.conv = nn.Conv1d(2, 2, 3, padding=1)
        self.norms = nn.ModuleList(nn.BatchNorm1d(2) for _ in range(norms))

    def forward(self, x: Tensor) -> Tensor:
        first = torch.relu(self.norms[0](self.conv(x)))
        return self.norms[-1](self.conv(first))


class Reads(nn.Module):
    """A convolution whose output is read by something beside its norm."""

    def __init__(self, read: Callable[[Tensor], Tensor], *, late: bool = True):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3)
        self.read, self.late, self.kept = read, late, None

    def forward(self, x: Tensor) -> Tensor:
        found = self.conv(x)
        if self.late:
            return self.norm(found) + self.read(found)
        other = self.read(found)
        return self.norm(found) + other


class Keeps(nn.Module):
    """A module that keeps what its convolution returned."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3)
        self.kept: Any = None

    def forward(self, x: Tensor) -> Tensor:
        self.kept = [self.conv(x)]
        return self.norm(self.kept[0])


class Changes(nn.Module):
    """A module that writes into the convolution's output before its norm."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x).mul_(2))


class Derived(nn.Conv2d):
    """A convolution that is not one."""

    def forward(self, input: Tensor) -> Tensor:
        return 2 * super().forward(input)


def _doubled(module: Any, inputs: Any, output: Tensor) -> Tensor:
    return 2 * output


def _hooked(layer: int) -> nn.Module:
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3))
    model[layer].register_forward_hook(_doubled)
    return model


def _parametrized() -> nn.Module:
    conv = torch.nn.utils.parametrizations.weight_norm(nn.Conv2d(2, 3, 3))
    return nn.Sequential(conv, nn.BatchNorm2d(3))


def _awake() -> nn.Module:
    return nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3, track_running_stats=False))


class Moody(nn.Module):
    """A module that goes another way when it is told to."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2)
        self.way = "norm"

    def forward(self, x: Tensor) -> Tensor:
        found = self.conv(x)
        match self.way:
            case "nothing":
                return found
            case "conv":
                return self.norm(self.conv(found))
            case "copy":
                return self.norm(found.clone())
            case "twice":
                return self.norm(self.norm(found))
            case "alone":
                return self.norm(x)
            case _:
                return self.norm(found)


IMAGE, SERIES, TABLE, VOLUME = (5, 2, 6, 7), (5, 2, 9), (5, 4), (3, 2, 4, 4, 4)
FOLDED: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], dict[str, str]]] = {
    "conv2d": (lambda: nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3)), IMAGE, {"0": "1"}),
    "no bias, strides, groups": (
        lambda: nn.Sequential(
            nn.Conv2d(2, 4, 3, 2, 1, groups=2, bias=False), nn.BatchNorm2d(4), nn.ReLU(True)
        ),
        IMAGE,
        {"0": "1"},
    ),
    "reflected edges": (
        lambda: nn.Sequential(
            nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect"), nn.BatchNorm2d(3)
        ),
        IMAGE,
        {"0": "1"},
    ),
    "norm without affine": (
        lambda: nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3, affine=False)),
        IMAGE,
        {"0": "1"},
    ),
    "conv1d": (lambda: nn.Sequential(nn.Conv1d(2, 3, 3), nn.BatchNorm1d(3)), SERIES, {"0": "1"}),
    "conv3d": (lambda: nn.Sequential(nn.Conv3d(2, 3, 3), nn.BatchNorm3d(3)), VOLUME, {"0": "1"}),
    "linear": (lambda: nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)), TABLE, {"0": "1"}),
    "two in a row": (
        lambda: nn.Sequential(
            nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2)
        ),
        IMAGE,
        {"0": "1", "2": "3"},
    ),
    "used twice": (Twice, SERIES, {"conv": "norms.0"}),
    "its shape is read": (
        lambda: Reads(lambda x: torch.full((), float(x.shape[1]))),
        IMAGE,
        {"conv": "norm"},
    ),
}
LEFT: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "norm first": (lambda: nn.Sequential(nn.BatchNorm2d(2), nn.Conv2d(2, 3, 3)), IMAGE),
    "one layer, two norms": (lambda: Twice(2), SERIES),
    "read later": (lambda: Reads(lambda x: x.mean()), IMAGE),
    "read before": (lambda: Reads(lambda x: x.mean(), late=False), IMAGE),
    "a view read later": (lambda: Reads(lambda x: x.detach()[0].mean()), IMAGE),
    "exported": (lambda: Reads(lambda x: torch.tensor(x.numpy().mean())), IMAGE),
    "kept": (Keeps, IMAGE),
    "changed in place": (Changes, IMAGE),
    "something between": (
        lambda: nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.BatchNorm2d(3)),
        IMAGE,
    ),
    "group norm": (lambda: nn.Sequential(nn.Conv2d(2, 4, 3), nn.GroupNorm(2, 4)), IMAGE),
    "layer norm": (lambda: nn.Sequential(nn.Linear(4, 3), nn.LayerNorm(3)), TABLE),
    "instance norm": (lambda: nn.Sequential(nn.Conv2d(2, 3, 3), nn.InstanceNorm2d(3)), IMAGE),
    "statistics of the batch": (_awake, IMAGE),
    "transposed": (
        lambda: nn.Sequential(nn.ConvTranspose2d(2, 3, 3), nn.BatchNorm2d(3)),
        IMAGE,
    ),
    "derived": (lambda: nn.Sequential(Derived(2, 3, 3), nn.BatchNorm2d(3)), IMAGE),
    "hook on the layer": (lambda: _hooked(0), IMAGE),
    "hook on the norm": (lambda: _hooked(1), IMAGE),
    "parametrized": (_parametrized, IMAGE),
    "channels of another axis": (
        lambda: nn.Sequential(nn.Linear(9, 2), nn.BatchNorm1d(2)),
        (5, 2, 9),
    ),
}


def seen(build: Callable[[], nn.Module], *, training: bool = False) -> nn.Module:
    """Return a model in float64 whose norms have statistics that are not their first ones."""
    model = build().double().train(training)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
            for tensor in (module.weight, module.bias, module.running_mean):
                if tensor is not None:
                    nn.init.normal_(tensor)
            if module.running_var is not None:
                nn.init.uniform_(module.running_var, 0.5, 2.0)
    return model
