"""What MASAM plays back in its perturbed pass, and what it must not."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from sharpscope.optim import MASAM, Losses
from tests.optim.nets import (
    Kind,
    Net,
    batches,
    build,
    closure,
    masam,
    state_of,
)


class Calls:
    """Counts the forward calls of each encoder."""

    def __init__(self, model: Net):
        self.counts = dict.fromkeys(model.encoders, 0)
        for name, encoder in model.encoders.items():
            first = next(iter(encoder.children()))
            first.register_forward_pre_hook(lambda *_, name=name: self._count(name))

    def _count(self, name: str) -> None:
        self.counts[name] += 1


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_only_the_dominant_encoder_runs_twice(count: int, monkeypatch: pytest.MonkeyPatch):
    """But for the steps in which a played pass is compared with one that runs everything."""
    monkeypatch.setattr(MASAM, "_due", lambda self: False)
    kind = Kind(count, norm=True, dropout=True)
    model, wanted = build(kind), dict[str, int]()
    calls, optimizer = Calls(model), masam(model)
    for batch in batches(kind, 5):
        step = optimizer.step(closure(model, batch))
        for name in model.encoders:
            wanted[name] = wanted.get(name, 0) + 1 + (name == step.dominant)
        assert set(step.replayed) == set(model.encoders) - {step.dominant}
    assert calls.counts == wanted


def test_parameters_instead_of_modules_give_the_same_step_without_replay():
    kind = Kind(2, norm=True, dropout=True)
    (batch,) = batches(kind, 1)
    found: list[dict[str, Tensor]] = []
    for as_modules in (True, False):
        model = build(kind)
        encoders = {
            name: encoder if as_modules else encoder.parameters()
            for name, encoder in model.encoders.items()
        }
        base = torch.optim.SGD(model.parameters(), lr=0.1)
        torch.manual_seed(0)
        step = MASAM(base, encoders=encoders).step(closure(model, batch))
        assert bool(step.replayed) == as_modules
        found.append(state_of(model))
    for name, value in found[0].items():
        torch.testing.assert_close(found[1][name], value, rtol=0, atol=1e-12)


class Meeting(nn.Module):
    """Encoder b reads what encoder a made, after its own loss is taken; a fusion of both."""

    def __init__(self, how: str):
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b = nn.Linear(3, 4), nn.Linear(3, 4)
        self.mix = nn.Linear(8, 4)
        self.heads = nn.ModuleDict({"a": nn.Linear(4, 2), "b": nn.Linear(4, 2)})
        self.fuse = nn.Linear(8, 2)
        self.how = how

    def forward(self, batch: dict[str, Tensor]) -> Losses:
        a, b = self.a(batch["a"]), self.b(batch["b"])
        logits = {"a": self.heads["a"](a), "b": self.heads["b"](b.clone())}
        if self.how == "mixed":
            b = self.mix(torch.cat([a, b], 1))
        elif self.how == "in place":
            b = b.mul_(2)
        fused = self.fuse(torch.cat([a, b], 1))
        entropy, target = functional.cross_entropy, batch["target"]
        return Losses(entropy(fused, target), {n: entropy(v, target) for n, v in logits.items()})


@pytest.mark.parametrize("how", ["apart", "mixed", "in place"])
def test_what_depends_on_the_dominant_encoder_or_is_changed_is_not_played_back_wrongly(how: str):
    torch.manual_seed(1)
    batch = {"a": torch.randn(6, 3) + 1, "b": torch.randn(6, 3) / 9}
    batch["target"] = (batch["a"][:, 0] > 1).long()
    found: list[dict[str, Tensor]] = []
    for as_modules in (True, False):
        model = Meeting(how)
        encoders: dict[str, Any] = {"a": [model.a], "b": [model.b, model.mix]}
        if not as_modules:
            encoders = {n: [p for m in e for p in m.parameters()] for n, e in encoders.items()}
        optimizer = MASAM(torch.optim.SGD(model.parameters(), lr=0.5), encoders=encoders, rho=0.9)
        for number in range(3):
            step = optimizer.step(lambda model=model: model(batch))
            if as_modules:
                dominant_is_a = step.dominant == "a"
                if how == "apart":
                    assert step.replayed
                if how == "mixed" and dominant_is_a:
                    assert step.replayed == ()
                if how == "in place" and dominant_is_a:
                    assert step.replayed == (() if number == 0 else ("b",))  # as a copy
        found.append({k: v.clone() for k, v in model.state_dict().items()})
    for name, value in found[0].items():
        torch.testing.assert_close(found[1][name], value, rtol=0, atol=1e-6)


def test_played_passes_are_compared_ever_more_rarely():
    kind = Kind(2)
    model, (batch,) = build(kind), batches(kind, 1)
    calls, optimizer = Calls(model), masam(model, lr=0.0)
    extra: list[int] = []
    for number in range(102):
        before = sum(calls.counts.values())
        optimizer.step(closure(model, batch))
        if sum(calls.counts.values()) - before > 3:
            extra.append(number)
    assert extra == [0, 1, 2, 4, 8, 16, 32, 64, 100]


class Told(nn.Module):
    """Encoder b is told of a on a detached tensor, or features are hooked, or come in an object."""

    def __init__(self, how: str):
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b = nn.Linear(3, 4), _Inner(how)
        self.heads = nn.ModuleDict({"a": nn.Linear(4, 2), "b": nn.Linear(4, 2)})
        self.fuse = nn.Linear(8, 2)
        self.how = how

    def forward(self, batch: dict[str, Tensor]) -> Losses:
        a = self.a(batch["a"])
        b = self.b(batch["b"], a.detach().tanh())
        if self.how == "object":
            b = b.value.mul_(2.0)
        if self.how == "hooked":
            b.register_hook(lambda g: 2 * g)
        logits = {"a": self.heads["a"](a), "b": self.heads["b"](b)}
        fused = self.fuse(torch.cat([a, b], 1))
        entropy, target = functional.cross_entropy, batch["target"]
        return Losses(entropy(fused, target), {n: entropy(v, target) for n, v in logits.items()})


class _Inner(nn.Module):
    def __init__(self, how: str):
        super().__init__()
        self.layer, self.how = nn.Linear(3, 4), how

    def forward(self, x: Tensor, gate: Tensor) -> Any:
        found = self.layer(x) * (gate if self.how == "detached" else 1.0)
        return Opaque(found) if self.how == "object" else found


class Opaque:
    """An output that no tree of tensors is seen in."""

    def __init__(self, value: Tensor):
        self.value = value


@pytest.mark.parametrize("how", ["detached", "hooked", "object"])
def test_what_no_graph_tells_of_is_not_played_back_either(how: str):
    torch.manual_seed(1)
    batch = {"a": torch.randn(6, 3) + 1, "b": torch.randn(6, 3)}
    batch["target"] = (batch["a"][:, 0] > 1).long()
    found: list[dict[str, Tensor]] = []
    for as_modules in (True, False):
        model = Told(how)
        encoders: dict[str, Any] = {"a": model.a, "b": model.b}
        if not as_modules:
            encoders = {name: list(part.parameters()) for name, part in encoders.items()}
        base = torch.optim.SGD(model.parameters(), lr=0.5)
        optimizer = MASAM(base, encoders=encoders, rho=0.9, score="given")

        def losses(model: Told = model) -> Losses:
            one = model(batch)
            return Losses(one.fusion, one.unimodal, {"a": 1.0, "b": 0.0})

        steps = [optimizer.step(losses) for _ in range(3)]
        assert {step.replayed for step in steps} == {()}
        if as_modules and how != "object":
            assert any("nothing was replayed" in note for note in steps[-1].notes)
        found.append({k: v.clone() for k, v in model.state_dict().items()})
    for name, value in found[0].items():
        torch.testing.assert_close(found[1][name], value, rtol=0, atol=1e-6)


def test_other_first_does_not_play_back_what_depends_on_the_shared_parameters():
    found: list[dict[str, Tensor]] = []
    for as_modules in (True, False):
        torch.manual_seed(0)
        trunk = nn.Linear(3, 3)
        ends = {n: nn.Linear(3, 4) for n in "ab"}
        parts = nn.ModuleDict({n: nn.Sequential(trunk, nn.Tanh(), ends[n]) for n in "ab"})
        head = nn.Linear(8, 2)
        x = {n: torch.randn(6, 3) for n in "ab"}
        target = torch.tensor([0, 1, 1, 0, 1, 0])
        own = {name: list(end.parameters()) for name, end in ends.items()}
        encoders: dict[str, Any] = ends if as_modules else own
        parameters = [*parts.parameters(), *head.parameters()]
        optimizer = MASAM(
            torch.optim.SGD(parameters, lr=0.3), encoders=encoders, rho=0.9, other_first=True
        )

        def losses(
            parts: Any = parts, x: Any = x, head: Any = head, target: Tensor = target
        ) -> Losses:
            z = {n: part(x[n]) for n, part in parts.items()}
            entropy = functional.cross_entropy
            unimodal = {n: entropy(v[:, :2], target) for n, v in z.items()}
            return Losses(entropy(head(torch.cat(list(z.values()), 1)), target), unimodal)

        for _ in range(3):
            assert optimizer.step(losses).replayed == ()
        found.append({k: v.clone() for k, v in parts.state_dict().items()})
    for name, value in found[0].items():
        torch.testing.assert_close(found[1][name], value, rtol=0, atol=1e-6)
