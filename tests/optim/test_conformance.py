"""What every optimizer here does to parameters, buffers, random streams and states."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor

from sharpscope.optim import Losses
from tests.optim.members import Member
from tests.optim.nets import FEW, Kind, Net, batches, build, losses_of, same, state_of

BOTH = Kind(2, norm=True, dropout=True)


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
        return
    tolerance = 1e-6 if dtype == torch.float32 else 1e-12
    if base is torch.optim.AdamW:  # divides by the gradient's own size, and rounding with it
        tolerance *= 1e4
    for name, value in wanted.items():
        torch.testing.assert_close(found[name], value, rtol=0, atol=tolerance)


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
