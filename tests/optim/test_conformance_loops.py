"""Every optimizer here in the loops that people write."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from sharpscope.optim import Losses
from tests.optim.members import Member
from tests.optim.nets import Kind, Net, batches, build, closure, losses_of, same, state_of

BOTH = Kind(2, norm=True, dropout=True)


def test_a_modality_may_be_missing_from_a_pass(member: Member):
    """Modality dropout: parameters without a gradient in one pass and with one in the other."""
    model, data = build(BOTH), batches(BOTH, 6)
    optimizer = member.on(model, lr=0.0)
    before = state_of(model)
    for place, batch in enumerate(data):
        gone = list(model.encoders)[place % 2]
        calls: list[int] = []

        def losses(
            gone: str = gone, batch: Any = batch, calls: list[int] = calls, place: int = place
        ) -> Losses:
            calls.append(1)
            features = model.features(batch)
            if place < 4 or len(calls) % 2 == place % 2:
                features[gone] = torch.zeros_like(features[gone])
            logits = model.read({**features})
            fusion = torch.nn.functional.cross_entropy(model.fuse(features), batch["target"])
            unimodal = {
                name: torch.nn.functional.cross_entropy(logits[name], batch["target"])
                for name in logits
                if features[name].requires_grad
            }
            return Losses(fusion, unimodal)

        record = optimizer.step(losses, **member.extra(model, batch))
        assert record.radius >= 0
    for name, p in model.named_parameters():
        assert torch.equal(p, before[name]), name


def test_bfloat16_autocast_sees_the_perturbed_parameters(member: Member):
    """Even where the whole loop stands under autocast, whose cache would hold old copies."""
    kind = Kind(2, dtype=torch.float32)
    moves: list[Tensor] = []
    for rho in (0.0, 2.0):
        model, (batch,) = build(kind), batches(kind, 1)
        optimizer = member.on(model, rho=rho)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            member.step(optimizer, model, batch)
        assert all(p.dtype == torch.float32 for p in model.parameters())
        moves.append(torch.cat([p.detach().reshape(-1) for p in model.parameters()]))
    assert (moves[1] - moves[0]).norm() > 1e-3


def test_float16_losses_are_scaled_and_an_overflow_skips_the_step(member: Member):
    kind = Kind(2, dtype=torch.float32)
    data = batches(kind, 3)
    model, plain = build(kind), build(kind)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10, growth_interval=10**6)
    optimizer, other = member.on(model), member.on(plain)
    for batch in data[:2]:
        member.step(optimizer, model, batch, scaler=scaler)
        member.step(other, plain, batch)
    for name, value in state_of(plain).items():
        torch.testing.assert_close(state_of(model)[name], value, rtol=1e-5, atol=1e-6)
    before = state_of(model)

    def overflowing() -> Losses:
        found = losses_of(model, data[2])
        return Losses(found.fusion * 1e38, found.unimodal)

    record = optimizer.step(overflowing, **member.extra(model, data[2]), scaler=scaler)
    assert record.skipped
    assert same(state_of(model), before)
    assert scaler.get_scale() == 2.0**9
    assert not member.step(optimizer, model, data[2], scaler=scaler).skipped


def test_a_compiled_model_is_run_without_replay(member: Member):
    if member.settings.get("alignment"):
        pytest.skip("sees no features there, and takes the alignment at the parameters")
    model, data = build(BOTH), batches(BOTH, 3)
    compiled: Any = torch.compile(model, backend="eager")
    other = build(BOTH)

    def forward(net: Any, batch: Any, read: Net) -> Callable[[], Losses]:
        def losses() -> Losses:
            fused = net(batch)
            alone = {n: read.unimodal(n, batch) for n in read.encoders}
            entropy = torch.nn.functional.cross_entropy
            target = batch["target"]
            return Losses(entropy(fused, target), {n: entropy(v, target) for n, v in alone.items()})

        return losses

    found: list[dict[str, Tensor]] = []
    for net, read in ((compiled, model), (other, other)):
        optimizer = member.on(read)
        torch.manual_seed(3)
        for batch in data:
            record = optimizer.step(forward(net, batch, read), **member.extra(read, batch))
            told = any("compiled" in note for note in record.notes)
            assert told == (net is compiled and optimizer._replays)
        found.append(state_of(read))
    for name, value in found[0].items():
        torch.testing.assert_close(found[1][name], value, rtol=0, atol=1e-9)


def test_more_parameters_can_be_added_later(member: Member):
    model, (batch,) = build(Kind(2)), batches(Kind(2), 1)
    extra = torch.nn.Parameter(torch.ones(3, dtype=torch.float64))
    optimizer = member.on(model)
    optimizer.add_param_group({"params": [extra]})

    def losses() -> Losses:
        found = losses_of(model, batch)
        return Losses(found.fusion + extra.square().sum(), found.unimodal)

    optimizer.step(losses, **member.extra(model, batch))
    assert not torch.equal(extra, torch.ones(3, dtype=torch.float64))


def test_it_can_be_copied_with_its_model(member: Member):
    model, data = build(BOTH), batches(BOTH, 2)
    optimizer = member.on(model)
    member.step(optimizer, model, data[0])
    twin_model, twin = copy.deepcopy((model, optimizer))
    torch.manual_seed(1)
    member.step(optimizer, model, data[1])
    torch.manual_seed(1)
    member.step(twin, twin_model, data[1])
    assert same(state_of(model), state_of(twin_model))


def test_parameters_frozen_and_set_free_later_are_trained_while_they_are_free(member: Member):
    model, data = build(Kind(2)), batches(Kind(2), 3)
    layer = next(iter(model.encoders["cxr"].children()))
    optimizer = member.on(model)
    moved: list[bool] = []
    for free, batch in zip((True, False, True), data, strict=True):
        layer.requires_grad_(free)
        before = state_of(model)["encoders.cxr.0.weight"]
        member.step(optimizer, model, batch)
        moved.append(not torch.equal(before, state_of(model)["encoders.cxr.0.weight"]))
    assert moved == [True, False, True]


def test_modules_met_later_keep_their_statistics_too(member: Member):
    """A head that only some batches use, called apart from the model."""
    model, data = build(Kind(2)), batches(Kind(2), 3)
    late = torch.nn.BatchNorm1d(3).double()
    optimizer = member.on(model)
    for number, batch in enumerate(data):

        def apart(batch: Any = batch, number: int = number) -> Losses:
            found = losses_of(model, batch)
            if not number:
                return found
            more = late(model.encoders["ehr"](batch["ehr"])[:, :3]).square().mean()
            return Losses(found.fusion + more, found.unimodal)

        optimizer.step(apart, **member.extra(model, batch))
    assert late.num_batches_tracked == 2


def test_a_copy_beside_a_scheduler_steps_itself(member: Member):
    model, (batch,) = build(Kind(2)), batches(Kind(2), 1)
    optimizer = member.on(model)
    torch.optim.lr_scheduler.StepLR(optimizer, step_size=1)
    twin_model, twin = copy.deepcopy((model, optimizer))
    before = state_of(model)
    member.step(twin, twin_model, batch)
    assert same(state_of(model), before)
    assert not same(state_of(twin_model), before)
    assert (optimizer.steps, twin.steps) == (0, 1)


def test_hooks_of_the_base_optimizer_can_be_registered_on_it(member: Member):
    model, (batch,) = build(Kind(2)), batches(Kind(2), 1)
    optimizer, told = member.on(model), list[str]()
    optimizer.register_step_pre_hook(lambda *_: told.append("step"))
    member.step(optimizer, model, batch)
    assert told == ["step"] * (2 if member.settings.get("other_first") else 1)


def test_learning_rate_schedulers_work_on_it(member: Member):
    model, data = build(Kind(2)), batches(Kind(2), 3)
    optimizer = member.on(model, lr=1.0)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.1)
    for batch in data:
        member.step(optimizer, model, batch)
        schedule.step()
    assert optimizer.base.param_groups[0]["lr"] == pytest.approx(1e-3)


def test_the_final_gradient_is_clipped(member: Member):
    if member.settings.get("other_first"):
        pytest.skip("clips each of its two gradients")
    moves: list[Tensor] = []
    for clip in (None, 1e-3):
        model, (batch,) = build(Kind(2)), batches(Kind(2), 1)
        before = torch.cat([p.detach().reshape(-1) for p in model.parameters()])
        member.step(member.on(model, lr=1.0, clip_norm=clip), model, batch)
        moves.append(torch.cat([p.detach().reshape(-1) for p in model.parameters()]) - before)
    assert moves[1].norm() == pytest.approx(1e-3, rel=1e-2)
    torch.testing.assert_close(
        moves[1] / moves[1].norm(), moves[0] / moves[0].norm(), rtol=0, atol=1e-9
    )


def test_micro_batches_are_one_batch(member: Member):
    kind = Kind(2)
    (batch,) = batches(kind, 1)
    halves = [{k: v[:4] for k, v in batch.items()}, {k: v[4:] for k, v in batch.items()}]
    found: list[dict[str, Tensor]] = []
    for parts in ([batch], halves):
        model = build(kind)
        optimizer = member.on(model)
        for _ in range(3):
            optimizer.step([closure(model, part) for part in parts], **member.extra(model, batch))
        found.append(state_of(model))
    for name, value in found[0].items():
        torch.testing.assert_close(found[1][name], value, rtol=0, atol=1e-12)
