"""Models on which a naive recording of the other encoder would be wrong, or of no use."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sharpscope.subject import Subject
from tests import problems


class Base(nn.Module):
    """Two small encoders and a head; subclasses join them."""

    def __init__(self):
        super().__init__()
        self.ehr_model = nn.Sequential(nn.Flatten(), nn.Linear(15, 4), nn.Tanh())
        self.cxr_model = nn.Sequential(nn.Flatten(), nn.Linear(36, 4), nn.Tanh())
        self.fusion = nn.Linear(8, problems.CLASSES)

    def forward(self, ehr: Tensor, cxr: Tensor) -> Tensor:
        return self.join(self.ehr_model(ehr), self.cxr_model(cxr))

    def join(self, ehr: Tensor, cxr: Tensor) -> Tensor:
        return self.fusion(torch.cat([ehr, cxr], dim=1))


class CrossAttention(Base):
    """The other encoder's features attend to those of the selected one."""

    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)

    def join(self, ehr: Tensor, cxr: Tensor) -> Tensor:
        query, memory = cxr[:, None], torch.stack([ehr, ehr.tanh()], dim=1)
        return super().join(ehr, self.attention(query, memory, memory)[0][:, 0])


class Film(Base):
    """A layer of the other encoder is scaled and shifted by the selected one."""

    def __init__(self):
        super().__init__()
        self.modulate = nn.Linear(4, 8)
        self.late = nn.Linear(4, 4)

    def forward(self, ehr: Tensor, cxr: Tensor) -> Tensor:
        features = self.ehr_model(ehr)
        scale, shift = self.modulate(features).chunk(2, dim=1)
        return self.join(features, self.late(self.cxr_model(cxr) * scale + shift))


class Gated(nn.Module):
    """An encoder that reads a gate which somebody else has set."""

    def __init__(self, inner: nn.Module):
        super().__init__()
        self.inner = inner
        self.gate: Tensor = torch.ones(())

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x) * self.gate


class HiddenGate(Base):
    """The gate does not pass through any argument: it is laid into an attribute."""

    def __init__(self):
        super().__init__()
        self.cxr_model = Gated(self.cxr_model)

    def forward(self, ehr: Tensor, cxr: Tensor) -> Tensor:
        features = self.ehr_model(ehr)
        self.cxr_model.gate = features.mean(1, keepdim=True).sigmoid()
        return self.join(features, self.cxr_model(cxr))


class Branches(Base):
    """Python asks a value of the selected encoder what the other one is to see."""

    def forward(self, ehr: Tensor, cxr: Tensor) -> Tensor:
        features = self.ehr_model(ehr)
        mirrored = features.sum().item() > 0
        return self.join(features, self.cxr_model(cxr.flip(-1) if mirrored else cxr))


class CalledTwice(Base):
    """The other encoder runs on its own input and on one that the selected one made."""

    def __init__(self):
        super().__init__()
        self.back = nn.Linear(4, 36)

    def forward(self, ehr: Tensor, cxr: Tensor) -> Tensor:
        features = self.ehr_model(ehr)
        again = self.cxr_model(self.back(features).view_as(cxr))
        return self.join(features, self.cxr_model(cxr) + again)


class CalledInside(Base):
    """One small module runs alone and inside a larger one that is played as a whole."""

    def __init__(self):
        super().__init__()
        self.small = nn.Linear(4, 4)
        self.cxr_model = nn.Sequential(*self.cxr_model, self.small, nn.Tanh())

    def join(self, ehr: Tensor, cxr: Tensor) -> Tensor:
        return super().join(self.small(ehr), cxr + self.small(cxr))


class TiedAcross(Base):
    """The other encoder uses a weight of the selected one."""

    def __init__(self):
        super().__init__()
        self.tied_one, self.tied_two = nn.Linear(4, 4), nn.Linear(4, 4)
        self.tied_two.weight = self.tied_one.weight

    def join(self, ehr: Tensor, cxr: Tensor) -> Tensor:
        return super().join(self.tied_one(ehr), self.tied_two(cxr))


class ChangedInPlace(Base):
    """What the other encoder returned is added to in place."""

    def join(self, ehr: Tensor, cxr: Tensor) -> Tensor:
        return super().join(ehr, cxr.mul_(0.5).add_(1))


class ChangesInput(Base):
    """A module changes the tensor that it is given, and others read it afterwards."""

    def __init__(self):
        super().__init__()
        self.shrink = nn.Hardtanh(-0.5, 0.5, inplace=True)

    def forward(self, ehr: Tensor, cxr: Tensor) -> Tensor:
        cxr = cxr * 2
        self.shrink(cxr)
        return super().forward(ehr, cxr)


class LeavesFeature(nn.Module):
    """An encoder that leaves a feature on itself, for others to find."""

    def __init__(self, inner: nn.Module):
        super().__init__()
        self.inner = inner
        self.feature: Any = None

    def forward(self, x: Tensor) -> Tensor:
        found = self.inner(x)
        self.feature = found * 2
        return found


class Leaves(Base):
    """The fusion finds a feature of the other encoder on its module: that of this batch."""

    def __init__(self):
        super().__init__()
        self.cxr_model = LeavesFeature(self.cxr_model)

    def join(self, ehr: Tensor, cxr: Tensor) -> Tensor:
        return super().join(ehr, cxr + self.cxr_model.feature)


class Hooked(Base):
    """A hook deep in the other encoder keeps what it sees, and the fusion uses it."""

    def __init__(self):
        super().__init__()
        self.seen: list[Tensor] = []
        self.cxr_model[1].register_forward_hook(self._see)

    def _see(self, module: nn.Module, args: Any, out: Tensor) -> None:
        self.seen[:] = [out]

    def join(self, ehr: Tensor, cxr: Tensor) -> Tensor:
        return super().join(ehr, cxr + self.seen[0])


class ReturnsObject(Base):
    """The other encoder returns an object of its own class."""

    def __init__(self):
        super().__init__()
        self.cxr_model = Boxing(self.cxr_model)

    def join(self, ehr: Tensor, cxr: Any) -> Tensor:
        return super().join(ehr, cxr.value)


@dataclass
class Box:
    """Something that no one can look into."""

    value: Tensor


class Boxing(nn.Module):
    """Wraps what another module returns."""

    def __init__(self, inner: nn.Module):
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Box:
        return Box(self.inner(x))


def compiled() -> nn.Module:
    """Return a model whose other encoder is compiled."""
    model = Base()
    model.cxr_model = torch.compile(model.cxr_model, backend="eager")  # pyright: ignore[reportAttributeAccessIssue]
    return model


@dataclass(frozen=True)
class Case:
    """An awkward model and what becomes of it when ``ehr`` is selected.

    Attributes:
        build: Makes the model.
        played: The modules that are played back.
        note: What the result says, or nothing.
        naive: The modules that a recorder would play which takes what the other encoder owns for
            what stands still; wrong for each case that has any.
    """

    build: Callable[[], nn.Module]
    played: tuple[str, ...] = ("cxr_model",)
    note: str = ""
    naive: tuple[str, ...] = ()


CASES = {
    "cross_attention": Case(CrossAttention, naive=("attention",)),
    "film": Case(Film, naive=("late",)),
    "hidden_gate": Case(HiddenGate, played=("cxr_model.inner",), naive=("cxr_model",)),
    "branches": Case(Branches, played=(), note="reached Python", naive=("cxr_model",)),
    "called_twice": Case(CalledTwice, naive=("cxr_model",)),
    "called_inside": Case(
        CalledInside, played=("cxr_model", "cxr_model.3"), naive=("cxr_model.3",)
    ),
    "tied": Case(TiedAcross, naive=("tied_two",)),
    "changed_in_place": Case(ChangedInPlace, naive=("cxr_model",)),
    "changes_input": Case(ChangesInput, naive=("shrink",)),
    "leaves_a_feature": Case(
        Leaves, played=("cxr_model.inner",), note="changes its own attributes", naive=("cxr_model",)
    ),
    "hooked": Case(
        Hooked,
        played=("cxr_model.1", "cxr_model.2"),
        note="there are hooks on cxr_model.1",
        naive=("cxr_model",),
    ),
    "returns_an_object": Case(
        ReturnsObject, played=("cxr_model.inner",), note="returns an object (Box)"
    ),
    "compiled": Case(compiled),
}


def build(name: str) -> nn.Module:
    """Return the model of a case, the same at every call."""
    torch.manual_seed(5)
    return CASES[name].build()


def subject_of(model: nn.Module, **settings: Any) -> Subject:
    """Return a float32 subject over an awkward model; what ties encoders belongs to ``ehr``."""
    settings = {"replay": True, "memory": 10**9} | settings
    own = [name for name, _ in model.named_children() if name.startswith(("ehr", "tied_one"))]
    return problems.subject_of(model, dtype=None, encoders={"ehr": own}, **settings)
