"""Performance with only some modalities present: definitions, masks, replay."""

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from sharpscope.errors import MisuseError, SharpscopeError
from sharpscope.optim import MSAM, masked_performance
from sharpscope.shapley import subsets
from tests.optim.nets import Kind, Net, batches, build, closure, encoders_of

KIND = Kind(3, norm=True, dropout=True)


def inputs_of(model: Net, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: batch[name] for name in model.encoders}


def plainly(model: Net, batch: dict[str, Tensor], present: frozenset[str], mask: str) -> Tensor:
    """Return the logits of a pass over the whole batch with masks, the obvious way."""
    model.eval()
    inputs = inputs_of(model, batch)
    with torch.no_grad():
        if mask == "zero_input":
            inputs = {n: x if n in present else torch.zeros_like(x) for n, x in inputs.items()}
        features = model.features(inputs)
        for name, z in features.items():
            if name not in present and mask == "zero_feature":
                features[name] = torch.zeros_like(z)
            if name not in present and mask == "mean_feature":
                features[name] = z.mean(0, keepdim=True).expand_as(z)
        found = model.fuse(features)
    model.train()
    return found


@pytest.mark.parametrize("replay", [False, True])
@pytest.mark.parametrize("mask", ["zero_input", "zero_feature", "mean_feature"])
def test_logits_are_those_of_a_masked_pass(mask: str, replay: bool):
    model, (batch,) = build(KIND), batches(KIND, 1)
    calls: list[str] = []
    for name, encoder in model.encoders.items():
        first = next(iter(encoder.children()))
        first.register_forward_pre_hook(
            lambda _, given, name=name: calls.append(f"{name} {len(given[0])}")
        )
    performance = masked_performance(model, inputs_of(model, batch), batch["target"], mask=mask)
    performance.bind({n: [e] for n, e in model.encoders.items()}, replay=replay)
    found = {present: performance.logits(present) for present in subsets(tuple(model.encoders))}
    if replay:
        once = [f"{name} 8" for name in model.encoders]
        alone = [f"{name} 1" for name in model.encoders] if mask == "zero_input" else []
        assert calls == [*once, *alone]
    for present, logits in found.items():
        torch.testing.assert_close(
            logits, plainly(model, batch, present, mask), rtol=1e-9, atol=1e-12
        )
    assert all(module.training for module in model.modules())


@pytest.mark.parametrize("several", [False, True])
def test_each_kind_is_what_it_says(several: bool):
    torch.manual_seed(0)
    logits = torch.randn(6, 3)
    target = torch.randint(0, 2, (6, 3)).float() if several else torch.randint(0, 3, (6,))

    class Given(nn.Module):
        def forward(self, inputs: Any) -> Tensor:
            return logits + inputs["x"]

    inputs = {"x": torch.zeros(6, 1)}
    found = {
        kind: masked_performance(Given(), inputs, target, kind)(frozenset({"x"}))
        for kind in ("accuracy", "neg_loss", "true_prob")
    }
    if several:
        right = ((logits > 0).float() == target).float().mean().item()
        loss = functional.binary_cross_entropy_with_logits(logits, target).item()
        there = logits.sigmoid()
        prob = (target * there + (1 - target) * (1 - there)).mean().item()
    else:
        right = (logits.argmax(1) == target).float().mean().item()
        loss = functional.cross_entropy(logits, target).item()
        prob = torch.stack([row[k] for row, k in zip(logits.softmax(1), target, strict=True)])
        prob = prob.mean().item()
    assert found == pytest.approx({"accuracy": right, "neg_loss": -loss, "true_prob": prob})


def test_what_cannot_be_masked_or_scored_is_told():
    model, (batch,) = build(Kind(2)), batches(Kind(2), 1)
    inputs, target = inputs_of(model, batch), batch["target"]
    with pytest.raises(MisuseError, match="kind must be 'accuracy', 'neg_loss' or 'true_prob'"):
        masked_performance(model, inputs, target, "acc")
    with pytest.raises(MisuseError, match="mask must be 'zero_input', 'zero_feature' or 'mean_f"):
        masked_performance(model, inputs, target, mask="zeros")
    with pytest.raises(MisuseError, match=r"inputs must be a mapping from modality .*list"):
        masked_performance(model, list(inputs.values()), target)  # type: ignore[arg-type]
    with pytest.raises(MisuseError, match="a masked feature is what the encoder of 'ehr'"):
        masked_performance(model, inputs, target, mask="zero_feature")(frozenset({"cxr"}))
    with pytest.raises(MisuseError, match="needs tensors as inputs; that of 'ehr' is a list"):
        masked_performance(model, {"ehr": [1]}, target)(frozenset())
    wrong: list[tuple[Any, str]] = [
        (lambda _: {"logits": 1}, "got dict"),
        (lambda _: torch.zeros(3), r"got \(3,\)"),
    ]
    for forward, message in wrong:
        model.forward = forward  # type: ignore[method-assign]
        with pytest.raises(MisuseError, match=rf"fused logits of shape .*; {message}"):
            masked_performance(model, inputs, target)(frozenset(inputs))


class Gated(nn.Module):
    """Encoder b is gated by what encoder a returns: its features are not its own."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(3, 4), nn.Linear(3, 4)
        self.gate, self.out = nn.Linear(4, 4), nn.Linear(8, 3)
        self.inner = nn.Module()

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        a = self.a(inputs["a"])
        b = self.gate(self.b(inputs["b"]) * a)
        return self.out(torch.cat([a, b], 1))


def test_features_that_depend_on_another_encoder_are_not_played_back():
    torch.manual_seed(0)
    model = Gated().double()
    inputs = {name: torch.randn(8, 3, dtype=torch.float64) for name in "ab"}
    target = torch.randint(0, 3, (8,))
    encoders = {"a": [model.a], "b": [model.b, model.gate]}
    performance = masked_performance(model, inputs, target, "neg_loss")
    base = torch.optim.SGD(model.parameters(), lr=0.0)
    for _ in range(2):
        step = MSAM(base, encoders=encoders).step(
            lambda: functional.cross_entropy(model(inputs), target), performance=performance
        )
        plain = {p: masked_performance(model, inputs, target, "neg_loss")(p) for p in subsets("ab")}
        phi = {s: plain[frozenset(s)] for s in ("", "a", "b", "ab")}
        wanted = ((phi["ab"] - phi["b"]) + (phi["a"] - phi[""])) / 2
        assert step.values["a"] == pytest.approx(wanted)
        assert any("features were not replayed for the shares" in note for note in step.notes)


class Frames(nn.Module):
    """Encodes each frame as an item of its own, so that features have another first axis."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(3, 4), nn.LSTM(3, 4, batch_first=True)
        self.out = nn.Linear(8, 3)

    def forward(self, inputs: dict[str, Tensor]) -> tuple[Tensor, str]:
        frames = inputs["a"]
        a = self.a(frames.flatten(0, 1)).unflatten(0, frames.shape[:2]).mean(1)
        b = self.b(inputs["b"])[0].mean(1) * inputs["length"][:, None]
        return self.out(torch.cat([a, b], 1)), "more"


@pytest.mark.parametrize("mask", ["zero_input", "zero_feature"])
def test_features_of_any_form_and_inputs_that_are_no_modality(mask: str):
    torch.manual_seed(0)
    model = Frames().double()
    inputs = {name: torch.randn(5, 2, 3, dtype=torch.float64) for name in "ab"}
    inputs["length"] = torch.rand(5, dtype=torch.float64)
    target = torch.randint(0, 3, (5,))
    encoders = {"a": [model.a], "b": [model.b]}
    performance = masked_performance(model, inputs, target, "neg_loss", mask)
    base = torch.optim.SGD(model.parameters(), lr=0.0)
    step = MSAM(base, encoders=encoders).step(
        lambda: functional.cross_entropy(model(inputs)[0], target), performance=performance
    )
    plain = masked_performance(model, inputs, target, "neg_loss", mask)
    plain.bind(encoders, replay=False)
    phi = {s: plain(frozenset(s)) for s in ("", "a", "b", "ab")}
    wanted = ((phi["ab"] - phi["b"]) + (phi["a"] - phi[""])) / 2
    assert step.values["a"] == pytest.approx(wanted)
    assert phi["ab"] == pytest.approx(-functional.cross_entropy(model(inputs)[0], target).item())


def test_inputs_of_other_names_and_targets_of_other_shapes_are_told():
    model, (batch,) = build(Kind(2)), batches(Kind(2), 1)
    inputs = inputs_of(model, batch)
    named = {f"x_{name}": values for name, values in inputs.items()}
    base = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(MisuseError, match="are 'x_ehr' or 'x_cxr' and the encoders 'ehr' or 'cxr'"):
        MSAM(base, encoders=encoders_of(model)).step(
            closure(model, batch), performance=masked_performance(model, named, batch["target"])
        )
    for target in (batch["target"].double(), torch.zeros(8, 2), torch.zeros(8, dtype=torch.bool)):
        with pytest.raises(MisuseError, match=r"the target must be classes \[items\], whole"):
            masked_performance(model, inputs, target)(frozenset(inputs))
    labels = torch.randint(0, 2, (8, 3))
    whole = masked_performance(model, inputs, labels)(frozenset(inputs))
    assert whole == masked_performance(model, inputs, labels.double())(frozenset(inputs)) <= 1


def test_a_performance_that_is_not_finite_is_told_and_changes_nothing():
    model, (batch,) = build(Kind(2)), batches(Kind(2), 1)
    before = [p.detach().clone() for p in model.parameters()]
    optimizer = MSAM(torch.optim.SGD(model.parameters(), lr=0.1), encoders=encoders_of(model))
    with pytest.raises(SharpscopeError, match="the performance is not finite for some set of mod"):
        optimizer.step(closure(model, batch), performance=lambda s: 1.0 if s else float("nan"))
    assert all(torch.equal(p, b) for p, b in zip(model.parameters(), before, strict=True))


def test_masked_passes_leave_the_dropout_masks_of_the_training_pass():
    found: list[Tensor] = []
    for draws in (0, 7):  # random numbers that a masked pass takes
        model, (batch,) = build(KIND), batches(KIND, 1)
        torch.manual_seed(4)
        step = MSAM(torch.optim.SGD(model.parameters(), lr=0.0), encoders=encoders_of(model)).step(
            closure(model, batch),
            performance=lambda present, draws=draws: (
                len(present) + 0 * torch.rand(draws).sum().item()
            ),
        )
        found.append(torch.tensor([step.fusion, *step.unimodal.values()]))
    model = build(KIND)
    torch.manual_seed(4)
    plain = closure(model, batches(KIND, 1)[0])()
    wanted = torch.tensor([plain.fusion.item(), *(v.item() for v in plain.unimodal.values())])
    for losses in found:
        assert torch.equal(losses, wanted)


def test_a_useless_second_modality_makes_it_exactly_sam():
    """T9: features of b are constant, so its share is 0 and a's is 1."""
    from sharpscope.optim import SAM

    kind = Kind(2)
    (batch,) = batches(kind, 1)
    states: list[dict[str, Tensor]] = []
    for which in (MSAM, SAM):
        model = build(kind)
        with torch.no_grad():
            for p in model.encoders["cxr"].parameters():
                p.zero_()
        base = torch.optim.SGD(model.parameters(), lr=0.1)
        extra: dict[str, Any] = {}
        if which is MSAM:
            inputs = inputs_of(model, batch)
            extra["performance"] = masked_performance(model, inputs, batch["target"], "true_prob")
        optimizer: Any = which(base, encoders=encoders_of(model), rho=0.3)
        step = optimizer.step(closure(model, batch), **extra)
        if which is MSAM:
            assert step.shares == {"ehr": 1.0, "cxr": 0.0}
        states.append({k: v.clone() for k, v in model.state_dict().items()})
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_every_pair_has_an_interaction_and_values_add_up():
    model, (batch,) = build(KIND), batches(KIND, 1)
    performance = masked_performance(model, inputs_of(model, batch), batch["target"], "neg_loss")
    step = MSAM(torch.optim.SGD(model.parameters(), lr=0.0), encoders=encoders_of(model)).step(
        closure(model, batch), performance=performance
    )
    assert set(step.interactions) == set(itertools.combinations(model.encoders, 2))
    everyone = frozenset(model.encoders)
    gain = performance(everyone) - performance(frozenset())
    assert sum(step.values.values()) == pytest.approx(gain)
    assert set(step.standard_error.values()) == {0.0}
