"""What every optimizer here keeps: parameters, buffers, random streams, states, the contract."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.utils.checkpoint
from torch import Tensor

from sharpscope.errors import MisuseError, SharpscopeError
from sharpscope.optim import Losses
from tests.optim.members import MEMBERS, Member
from tests.optim.nets import FEW, Kind, Net, batches, build, closure, losses_of, state_of

BOTH = Kind(2, norm=True, dropout=True)


@pytest.fixture(params=sorted(MEMBERS))
def member(request: pytest.FixtureRequest) -> Member:
    return MEMBERS[request.param]


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def plain_pass(kind: Kind, batch: dict[str, Tensor]) -> tuple[dict[str, Tensor], Tensor]:
    """Return the state and the random stream after an ordinary pass with no step."""
    model = build(kind)
    torch.manual_seed(3)
    losses_of(model, batch)
    return state_of(model), torch.get_rng_state()


@pytest.mark.parametrize("kind", FEW, ids=str)
def test_at_learning_rate_0_a_step_leaves_what_one_ordinary_pass_leaves(member: Member, kind: Kind):
    (batch,) = batches(kind, 1)
    model = build(kind)
    optimizer = member.on(model, lr=0.0)
    torch.manual_seed(3)
    record = member.step(optimizer, model, batch)
    state, stream = plain_pass(kind, batch)
    assert same(state_of(model), state)
    assert torch.equal(torch.get_rng_state(), stream)
    assert all(module.training for module in model.modules())
    assert all(p.grad is None for p in model.parameters())
    assert set(record.unimodal) == set(model.encoders)
    assert record.total == pytest.approx(record.fusion + sum(record.unimodal.values()))


def test_losses_are_those_of_the_first_pass(member: Member):
    model, (batch,) = build(BOTH), batches(BOTH, 1)
    torch.manual_seed(3)
    losses = losses_of(copy.deepcopy(model), batch)
    optimizer = member.on(model)
    torch.manual_seed(3)
    record = member.step(optimizer, model, batch)
    assert record.fusion == pytest.approx(losses.fusion.item(), rel=1e-12)
    for name, loss in losses.unimodal.items():
        assert record.unimodal[name] == pytest.approx(loss.item(), rel=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("base", [torch.optim.SGD, torch.optim.AdamW])
def test_at_radius_0_it_is_the_base_optimizer(member: Member, base: Any, dtype: torch.dtype):
    if member.settings.get("other_first"):
        pytest.skip("its encoders' gradients are those at the new shared parameters")
    kind = Kind(3, norm=True, dropout=True, dtype=dtype)
    data = batches(kind, 4)
    model, plain = build(kind), build(kind)
    optimizer = member.on(model, kind=base, rho=0.0)
    torch.manual_seed(3)
    member.train(optimizer, model, data)
    torch.manual_seed(3)
    stepping = base(plain.parameters(), lr=0.1)
    for batch in data:
        stepping.zero_grad()
        losses_of(plain, batch).total(dict.fromkeys(plain.encoders, 1.0)).backward()
        stepping.step()
    found, wanted = state_of(model), state_of(plain)
    if member.exact:
        assert same(found, wanted)
    elif base is torch.optim.SGD:
        tolerance = 1e-6 if dtype == torch.float32 else 1e-12
        for name, value in wanted.items():
            torch.testing.assert_close(found[name], value, rtol=0, atol=10 * tolerance)


def test_a_small_radius_changes_little(member: Member):
    """No special case for 0: the step is continuous there."""
    kind, found = Kind(2), {}
    (batch,) = batches(kind, 1)
    for rho in (0.0, 1e-6, 2e-6):
        model = build(kind)
        member.step(member.on(model, rho=rho), model, batch)
        found[rho] = torch.cat([p.detach().reshape(-1) for p in model.parameters()])
    small, twice = ((found[rho] - found[0.0]).norm().item() for rho in (1e-6, 2e-6))
    assert 0 < small < 1e-5
    assert twice == pytest.approx(2 * small, rel=1e-2)


def test_a_linear_loss_takes_the_same_step_at_any_radius(member: Member):
    kind, found = Kind(2), []
    for rho in (0.01, 3.0):
        model, (batch,) = build(kind), batches(kind, 1)

        def linear(model: Net = model) -> Losses:
            parts = {
                name: sum((p * (1 + i)).sum() for i, p in enumerate(encoder.parameters()))
                for name, encoder in model.encoders.items()
            }
            heads = [p.sum() for p in [*model.heads.parameters(), *model.fusion.parameters()]]
            return Losses(sum(parts.values(), sum(heads)), parts)  # type: ignore[arg-type]

        optimizer = member.on(model, rho=rho)
        optimizer.step(linear, **member.extra(model, batch))
        found.append(state_of(model))
    for name, value in found[0].items():
        torch.testing.assert_close(found[1][name], value, rtol=0, atol=1e-12)


def test_a_scaled_loss_gives_a_scaled_step_from_the_same_perturbed_point(member: Member):
    if member.settings.get("other_first"):
        pytest.skip("its shared parameters have moved, further by the scale, before it perturbs")
    kind, found = Kind(2, norm=True), {}
    (batch,) = batches(kind, 1)
    for scale in (1.0, 4.0):
        model = build(kind)
        before = torch.cat([p.detach().reshape(-1) for p in model.parameters()])

        def losses(model: Net = model, scale: float = scale) -> Losses:
            one = losses_of(model, batch)
            return Losses(scale * one.fusion, {n: scale * v for n, v in one.unimodal.items()})

        record = member.on(model, rho=0.2).step(losses, **member.extra(model, batch))
        after = torch.cat([p.detach().reshape(-1) for p in model.parameters()])
        found[scale] = record.radius, after - before
    assert found[4.0][0] == pytest.approx(found[1.0][0])
    torch.testing.assert_close(found[4.0][1], 4 * found[1.0][1], rtol=1e-9, atol=1e-12)


def test_parameter_groups_do_not_matter(member: Member):
    kind, found = Kind(2), []
    data = batches(kind, 3)
    for groups in (1, 3):
        model = build(kind)
        parameters = list(model.parameters())
        base = torch.optim.SGD([{"params": parameters[i::groups]} for i in range(groups)], lr=0.1)
        member.train(member.make(model, base), model, data)
        found.append(state_of(model))
    assert all(torch.allclose(found[0][n], found[1][n], rtol=0, atol=1e-14) for n in found[0])


def test_it_goes_on_from_a_saved_state_bit_for_bit(member: Member, tmp_path: Any):
    data = batches(BOTH, 8)
    model = build(BOTH)
    optimizer = member.on(model, kind=torch.optim.AdamW, lr=0.01)
    torch.manual_seed(3)
    member.train(optimizer, model, data[:4])
    torch.save(
        {"model": model.state_dict(), "optimizer": optimizer.state_dict()}, tmp_path / "a.pt"
    )
    stream = torch.get_rng_state()
    records = member.train(optimizer, model, data[4:])
    other = build(BOTH, seed=9)
    again = member.on(other, kind=torch.optim.AdamW, lr=0.5)
    saved = torch.load(tmp_path / "a.pt", weights_only=True)
    other.load_state_dict(saved["model"])
    again.load_state_dict(saved["optimizer"])
    torch.set_rng_state(stream)
    assert member.train(again, other, data[4:]) == records
    assert same(state_of(model), state_of(other))


def test_a_state_of_the_bare_base_optimizer_can_be_taken_over(member: Member):
    model = build(Kind(2))
    base = torch.optim.AdamW(model.parameters(), lr=0.01)
    losses_of(model, batches(Kind(2), 1)[0]).fusion.backward()
    base.step()
    optimizer = member.on(model, kind=torch.optim.AdamW)
    optimizer.load_state_dict(base.state_dict())
    assert optimizer.param_groups[0]["lr"] == 0.01
    assert optimizer.steps == 0


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


@pytest.mark.parametrize("fails_at", [0, 1])
def test_an_error_in_any_pass_leaves_everything_as_it_was(member: Member, fails_at: int):
    model, data = build(BOTH), batches(BOTH, 2)
    optimizer = member.on(model, kind=torch.optim.AdamW)
    member.step(optimizer, model, data[0])
    before, moments = state_of(model), copy.deepcopy(optimizer.base.state_dict()["state"])
    calls: list[int] = []

    def failing() -> Losses:
        calls.append(1)
        found = losses_of(model, data[1])
        if len(calls) > fails_at:
            raise RuntimeError("the user's own")
        return found

    with pytest.raises(RuntimeError, match="the user's own"):
        optimizer.step(failing, **member.extra(model, data[1]))
    if fails_at and member.settings.get("other_first"):
        return  # its first step is taken by then
    parameters = dict(model.named_parameters())
    assert all(torch.equal(p, before[name]) for name, p in parameters.items())
    assert all(p.grad is None for p in parameters.values())
    after = optimizer.base.state_dict()["state"]
    assert all(
        torch.equal(after[i][key], value) for i in moments for key, value in moments[i].items()
    )
    member.step(optimizer, model, data[1])


def test_gradients_from_before_are_an_error(member: Member):
    model, (batch,) = build(Kind(2)), batches(Kind(2), 1)
    optimizer = member.on(model)
    losses_of(model, batch).fusion.backward()
    with pytest.raises(MisuseError, match="there are gradients from before the step"):
        member.step(optimizer, model, batch)
    optimizer.zero_grad()
    member.step(optimizer, model, batch)


Wrong = tuple[Callable[[Losses], Any], str]
WRONG: dict[str, Wrong] = {
    "nothing": (lambda _: None, r"return one loss tensor or Losses\(.*; got NoneType"),
    "a number": (lambda found: found.fusion.item(), "leave backward.. to the optimizer; got float"),
    "detached": (lambda found: found.fusion.detach(), "the loss 'fusion' has no gradient"),
    "a vector": (lambda found: torch.stack([found.fusion] * 2), r"one number, .* the shape \(2,\)"),
    "another name": (
        lambda found: Losses(found.fusion, {"x": found.fusion}),
        "unimodal losses are those of 'ehr' or 'cxr'; got 'x'",
    ),
    "a number inside": (
        lambda found: Losses(found.fusion, {"ehr": 1.0}),  # type: ignore[dict-item]
        "the loss 'ehr' is of type float",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_closure_that_returns_the_wrong_thing_is_told(member: Member, case: str):
    model, (batch,) = build(Kind(2)), batches(Kind(2), 1)
    optimizer, before = member.on(model), state_of(model)
    change, message = WRONG[case]
    with pytest.raises(MisuseError, match=message):
        optimizer.step(lambda: change(losses_of(model, batch)), **member.extra(model, batch))
    assert same(state_of(model), before)


@pytest.mark.parametrize("name", ["fusion", "cxr"])
def test_losses_that_are_not_finite_are_told_and_nothing_is_stepped(member: Member, name: str):
    model, (batch,) = build(Kind(2)), batches(Kind(2), 1)
    optimizer, before = member.on(model), state_of(model)

    def losses() -> Losses:
        found = losses_of(model, batch)
        factor = {name: torch.inf}
        return Losses(
            found.fusion * factor.get("fusion", 1.0),
            {n: loss * factor.get(n, 1.0) for n, loss in found.unimodal.items()},
        )

    with pytest.raises(SharpscopeError, match=f"the loss '{name}' is inf; parameters and optim"):
        optimizer.step(losses, **member.extra(model, batch))
    assert same(state_of(model), before)
    assert optimizer.steps == 0


def test_a_gradient_that_is_not_finite_is_told(member: Member):
    model, (batch,) = build(Kind(2)), batches(Kind(2), 1)
    optimizer, before = member.on(model), state_of(model)

    def losses() -> Losses:
        found = losses_of(model, batch)
        zero = torch.stack([p.sum() for p in model.encoders.parameters()]).sum() * 0.0
        return Losses(found.fusion + torch.sqrt(zero), found.unimodal)

    with pytest.raises(SharpscopeError, match="the gradient is not finite although the losses are"):
        optimizer.step(losses, **member.extra(model, batch))
    assert same(state_of(model), before)


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


def test_reentrant_checkpoints_are_refused(member: Member):
    model, (batch,) = build(Kind(2)), batches(Kind(2), 1)
    optimizer, before = member.on(model), state_of(model)

    def losses() -> Losses:
        inputs = batch["ehr"].clone().requires_grad_()
        run: Any = torch.utils.checkpoint.checkpoint(
            model.encoders["ehr"], inputs, use_reentrant=True
        )
        found = losses_of(model, batch)
        return Losses(found.fusion + run.square().mean(), found.unimodal)

    with pytest.raises(MisuseError, match="the model uses reentrant checkpointing"):
        optimizer.step(losses, **member.extra(model, batch))
    assert same(state_of(model), before)


@pytest.mark.parametrize("scaled", [False, True])
def test_a_perturbed_point_that_is_not_finite_is_told_or_skipped(member: Member, scaled: bool):
    kind = Kind(2, dtype=torch.float32)
    model, data = build(kind), batches(kind, 2)
    optimizer = member.on(model, kind=torch.optim.AdamW)
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0) if scaled else None
    member.step(optimizer, model, data[0], scaler=scaler)
    before, calls = state_of(model), list[int]()
    moments = copy.deepcopy(optimizer.base.state_dict()["state"])

    def losses() -> Losses:
        calls.append(1)
        found = losses_of(model, data[1])
        factor = torch.inf if len(calls) > 1 else 1.0
        return Losses(found.fusion * factor, found.unimodal)

    extra = member.extra(model, data[1])
    if scaled:
        assert optimizer.step(losses, **extra, scaler=scaler).skipped
    else:
        with pytest.raises(SharpscopeError, match="the gradient at the perturbed point is not fin"):
            optimizer.step(losses, **extra)
    if member.settings.get("other_first"):
        return  # its shared parameters have been stepped by then
    assert same(state_of(model), before)
    after = optimizer.base.state_dict()["state"]
    assert all(torch.equal(after[i][k], v) for i in moments for k, v in moments[i].items())


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


def test_a_state_of_another_method_is_refused(member: Member):
    model = build(Kind(2))
    optimizer = member.on(model)
    state = optimizer.state_dict()
    state["sharpscope"]["method"] = "Other"
    with pytest.raises(MisuseError, match="this state is that of Other and not of"):
        optimizer.load_state_dict(state)


def test_what_cannot_be_a_base_or_a_parameter_is_told(member: Member):
    model, (batch,) = build(Kind(2)), batches(Kind(2), 1)
    with pytest.raises(MisuseError, match="LBFGS calls its closure itself"):
        member.make(model, torch.optim.LBFGS(model.parameters()))
    number = torch.nn.Parameter(torch.zeros(1, dtype=torch.complex64))
    with pytest.raises(MisuseError, match="complex parameters are not supported"):
        member.make(model, torch.optim.SGD([*model.parameters(), number], lr=0.1))
    table = torch.nn.Embedding(4, 3, sparse=True).double()
    optimizer = member.make(model, torch.optim.SGD([*model.parameters(), *table.parameters()]))

    def losses() -> Losses:
        found = losses_of(model, batch)
        return Losses(found.fusion + table(torch.tensor([1])).sum(), found.unimodal)

    with pytest.raises(MisuseError, match="sparse gradients are not supported"):
        optimizer.step(losses, **member.extra(model, batch))


def test_hooks_of_the_base_optimizer_can_be_registered_on_it(member: Member):
    model, (batch,) = build(Kind(2)), batches(Kind(2), 1)
    optimizer, told = member.on(model), list[str]()
    optimizer.register_step_pre_hook(lambda *_: told.append("step"))
    member.step(optimizer, model, batch)
    assert told == ["step"] * (2 if member.settings.get("other_first") else 1)
