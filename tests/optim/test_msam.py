"""M-SAM's own: shares over steps, scopes, the other reading, refusals."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from sharpscope.errors import MisuseError
from sharpscope.optim import MSAM, SAM, Losses
from tests.optim.nets import Kind, Net, batches, build, closure, encoders_of, state_of


def msam(model: Net, **settings: Any) -> MSAM:
    return MSAM(
        torch.optim.SGD(model.parameters(), lr=0.1), encoders=encoders_of(model), **settings
    )


def giving(**shares: float) -> Any:
    return lambda present: sum(shares[name] for name in present)


def test_a_share_of_one_is_sam_bit_for_bit():
    kind = Kind(2, norm=True, dropout=True, dtype=torch.float32)
    data, found = batches(kind, 4), []
    for which in (MSAM, SAM):
        model = build(kind)
        base = torch.optim.AdamW(model.parameters(), lr=0.01)
        optimizer: Any = which(base, encoders=encoders_of(model), rho=0.3)
        extra = {"performance": giving(ehr=0.7, cxr=-0.2)} if which is MSAM else {}
        torch.manual_seed(0)
        for batch in data:
            optimizer.step(closure(model, batch), **extra)
        found.append(state_of(model))
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_names_do_not_matter_and_a_scope_does():
    """T7."""
    kind = Kind(2)
    (batch,) = batches(kind, 1)
    states: list[dict[str, Tensor]] = []
    for shares in ({"ehr": 0.75, "cxr": 0.25}, {"ehr": 0.25, "cxr": 0.75}):
        model = build(kind)
        msam(model, rho=0.5).step(closure(model, batch), performance=giving(**shares))
        states.append(state_of(model))
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    for scope, wanted in (
        ("all", {"ehr", "cxr", "shared"}),
        ("dominant", {"cxr"}),
        ("dominant+other", {"cxr", "shared"}),
    ):
        model = build(kind)
        seen: list[dict[str, Tensor]] = []

        def losses(model: Net = model, seen: list[dict[str, Tensor]] = seen) -> Losses:
            seen.append(state_of(model))
            return closure(model, batch)()

        step = msam(model, rho=0.5, scope=scope).step(
            losses, performance=giving(ehr=0.25, cxr=0.75)
        )
        first, second = seen
        moved = {
            name.split(".")[1] if name.startswith("encoders") else "shared"
            for name in first
            if not torch.equal(first[name], second[name])
        }
        assert moved == wanted
        gap = sum((first[n] - second[n]).square().sum() for n in first)
        assert float(gap) ** 0.5 == pytest.approx(step.radius) == pytest.approx(0.5)


def test_shares_are_kept_for_some_steps_and_smoothed():
    kind = Kind(2)
    model, data = build(kind), batches(kind, 6)
    calls: list[int] = []

    def performance(present: frozenset[str]) -> float:
        calls.append(1)
        return giving(ehr=float(len(calls) <= 4), cxr=float(len(calls) > 4))(present)

    optimizer = msam(model, every=3, ema=0.75)
    steps = [optimizer.step(closure(model, b), performance=performance) for b in data]
    assert len(calls) == 8
    assert [step.fresh for step in steps] == [True, False, False] * 2
    assert steps[2].shares == {"ehr": 1.0, "cxr": 0.0}
    assert steps[5].shares == pytest.approx({"ehr": 0.75, "cxr": 0.25})


def test_the_performance_of_nothing_can_be_taken_as_zero():
    kind = Kind(2)
    (batch,) = batches(kind, 1)
    table = {"": 0.1, "ehr": 0.6, "cxr": 0.3, "cxr ehr": 0.7}
    wanted = {"evaluate": {"ehr": 0.45, "cxr": 0.15}, "zero": {"ehr": 0.5, "cxr": 0.2}}
    for empty, values in wanted.items():
        model = build(kind)
        step = msam(model, empty=empty).step(
            closure(model, batch), performance=lambda present: table[" ".join(sorted(present))]
        )
        assert step.values == pytest.approx(values)


def present_losses(model: Net, batch: dict[str, Tensor]) -> Any:
    """Return a closure of the modalities that are present."""

    def losses(present: frozenset[str]) -> Tensor:
        features = {
            name: z if name in present else torch.zeros_like(z)
            for name, z in model.features(batch).items()
        }
        return functional.cross_entropy(model.fuse(features), batch["target"])

    return losses


def test_the_other_reading_splits_by_what_is_present():
    kind = Kind(3)
    (batch,) = batches(kind, 1)
    model, plain = build(kind), build(kind)
    shares = {"ehr": 0.2, "cxr": 0.5, "ecg": 0.3}
    step = msam(model, rho=0.4, decompose="present").step(
        present_losses(model, batch), performance=giving(**shares)
    )
    parameters, losses = list(plain.parameters()), present_losses(plain, batch)

    def gradient(name: str) -> list[Tensor]:
        found: Any = torch.autograd.grad(
            losses(frozenset({name})), parameters, materialize_grads=True, allow_unused=True
        )
        return list(found)

    rest = [0.2 * a + 0.3 * b for a, b in zip(gradient("ehr"), gradient("ecg"), strict=True)]
    along = gradient("cxr")
    size = torch.stack([g.norm() for g in along]).norm()
    with torch.no_grad():
        for p, g in zip(parameters, along, strict=True):
            p.add_(0.4 * g / size)
    there = gradient("cxr")
    with torch.no_grad():
        for p, g, h, r in zip(parameters, along, there, rest, strict=True):
            p.sub_(0.4 * g / size)
            p.sub_(0.1 * (0.5 * h + r))
    assert step.dominant == "cxr"
    assert step.radius == pytest.approx(0.4)
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], value, rtol=0, atol=1e-12)


def test_refusals():
    kind = Kind(2)
    model, (batch,) = build(kind), batches(kind, 1)
    for settings, message in (
        ({"decompose": "x"}, "decompose must be 'share' or 'present'; got 'x'"),
        ({"normalize": "x"}, "normalize must be 'clip', 'raw' or 'softmax'; got 'x'"),
        ({"scope": "x"}, r"scope must be 'all', 'dominant' or 'dominant\+other'; got 'x'"),
        ({"empty": "x"}, "empty must be 'evaluate' or 'zero'; got 'x'"),
        ({"ema": 2}, "ema must be a number from 0 to 1; got 2"),
        ({"every": 0}, "every must be a whole number of at least 1"),
        ({"rho": float("nan")}, "rho must be a finite number of at least 0; got nan"),
    ):
        with pytest.raises(MisuseError, match=message):
            msam(model, **settings)
    with pytest.raises(MisuseError, match=r"performance must be a function .*; got float"):
        msam(model).step(closure(model, batch), performance=0.5)  # type: ignore[arg-type]
    with pytest.raises(MisuseError, match="decompose='present' calls the closure with the set of"):
        msam(model, decompose="present").step(closure(model, batch), performance=giving())


def test_an_overflow_in_the_other_reading_skips_the_step():
    kind = Kind(2, dtype=torch.float32)
    model, (batch,) = build(kind), batches(kind, 1)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**8)
    before, losses = state_of(model), present_losses(model, batch)
    step = msam(model, decompose="present").step(
        lambda present: losses(present) * 1e38,
        performance=giving(ehr=1, cxr=1),
        scaler=scaler,
    )
    assert step.skipped
    assert all(torch.equal(v, before[n]) for n, v in state_of(model).items())


def masked_losses(model: Net, batch: dict[str, Tensor]) -> Any:
    """Return a closure that masks inputs."""

    def losses(present: frozenset[str]) -> Tensor:
        inputs = {n: x if n in present else torch.zeros_like(x) for n, x in batch.items()}
        return functional.cross_entropy(
            model(inputs | {"target": batch["target"]}), batch["target"]
        )

    return losses


def every_gradient(model: Net, loss: Tensor) -> list[Tensor]:
    """Return a gradient for each parameter; unimodal heads have none."""
    parameters = list(model.parameters())
    return list(torch.autograd.grad(loss, parameters, materialize_grads=True, allow_unused=True))


@pytest.mark.parametrize("modalities", [2, 3])
def test_norms_of_the_other_reading_see_real_inputs_once_a_step(modalities: int):
    kind = Kind(modalities, norm=True)
    model, plain = build(kind), build(kind)
    shares = dict(zip(model.encoders, (0.2, 0.7, 0.1), strict=False))
    shares = {name: share / sum(shares.values()) for name, share in shares.items()}
    optimizer = msam(model, rho=0.4, decompose="present")
    base = torch.optim.SGD(plain.parameters(), lr=0.1)
    for batch in batches(kind, 3):
        optimizer.step(masked_losses(model, batch), performance=giving(**shares))
        # The obvious way: a copy for each pass, absent encoders in eval mode.
        found: dict[str, list[Tensor]] = {}
        dominant = max(shares, key=lambda name: shares[name])
        for name in plain.encoders:
            copied = copy.deepcopy(plain)
            for other in plain.encoders:
                copied.encoders[other].train(other == name)
            loss = masked_losses(copied, batch)
            gradients = every_gradient(copied, loss(frozenset({name})))
            if name == dominant:
                size = torch.cat([g.flatten() for g in gradients]).norm()
                with torch.no_grad():
                    for p, g in zip(copied.parameters(), gradients, strict=True):
                        p.add_(0.4 * g / size)
                gradients = every_gradient(copied, loss(frozenset({name})))
            found[name] = [shares[name] * g for g in gradients]
        for p, *parts in zip(plain.parameters(), *found.values(), strict=True):
            p.grad = sum(parts[1:], parts[0])
        with torch.no_grad():
            plain(batch)  # statistics of real inputs, once
        base.step()
        base.zero_grad()
        for (name, one), other in zip(
            model.state_dict().items(), plain.state_dict().values(), strict=True
        ):
            torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12, msg=name)
    assert all(module.training for module in model.modules())
