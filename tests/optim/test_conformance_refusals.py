"""What every optimizer here refuses, and leaves as it was."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.utils.checkpoint

from sharpscope.errors import MisuseError, SharpscopeError
from sharpscope.optim import Losses
from tests.optim.members import Member
from tests.optim.nets import Kind, batches, build, losses_of, same, state_of

BOTH = Kind(2, norm=True, dropout=True)

NUMBERS: Any = {"ehr": 1.0}  # where tensors belong


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
        lambda found: Losses(found.fusion, NUMBERS),
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
    assert same(state_of(model), before)
    after = optimizer.base.state_dict()["state"]
    assert all(torch.equal(after[i][k], v) for i in moments for k, v in moments[i].items())


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
