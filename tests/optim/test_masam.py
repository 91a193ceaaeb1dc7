"""MASAM's own: selection, alignment, variants."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from sharpscope.errors import MisuseError
from sharpscope.optim import MASAM, Losses
from sharpscope.optim.directions import direction
from tests.optim.nets import (
    Kind,
    Net,
    batches,
    build,
    closure,
    losses_of,
    masam,
    state_of,
)


@pytest.mark.parametrize(("mode", "which"), [("paper", "dominant"), ("official", "all")])
def test_which_encoders_a_radius_moves(mode: str, which: str):
    kind, found = Kind(3), {}
    (batch,) = batches(kind, 1)
    for rho in (0.0, 0.5):
        model = build(kind)
        step = masam(model, rho=rho, mode=mode).step(closure(model, batch))
        found[rho] = state_of(model)
    moved = {n.split(".")[1] for n in found[0.0] if not torch.equal(found[0.0][n], found[0.5][n])}
    assert moved == ({step.dominant} if which == "dominant" else set(model.encoders))


def test_a_schedule_of_the_radius_goes_by_steps():
    model, data = build(Kind(2)), batches(Kind(2), 3)
    optimizer = masam(model, rho=lambda step: 1 / (1 + step), scale=False)
    radii = [optimizer.step(closure(model, batch)).radius for batch in data]
    assert radii == pytest.approx([1, 1 / 2, 1 / 3])


def test_scores_that_are_given_decide():
    kind = Kind(3)
    model, data = build(kind), batches(kind, 3)
    optimizer = masam(model, score="given")
    for batch, name in zip(data, ("ecg", "ehr", "cxr"), strict=True):

        def losses(batch: Any = batch, name: str = name) -> Losses:
            found = losses_of(model, batch)
            scores = {n: float(n == name) for n in model.encoders}
            return Losses(found.fusion, found.unimodal, scores)

        step = optimizer.step(losses)
        assert step.dominant == name
        assert step.scores[name] == 1
    with pytest.raises(MisuseError, match="score='given' needs Losses"):
        optimizer.step(closure(model, data[0]))


def test_the_selection_is_kept_for_some_steps():
    kind = Kind(3)
    model, data = build(kind), batches(kind, 9)
    optimizer = masam(model, every=3)
    steps = [optimizer.step(closure(model, batch)) for batch in data]
    assert [step.selected for step in steps] == [True, False, False] * 3
    for first in (0, 3, 6):
        assert {step.dominant for step in steps[first : first + 3]} == {steps[first].dominant}
        assert set(steps[first].alignment) == set(model.encoders)
        assert set(steps[first + 1].alignment) == {steps[first].dominant}


def test_each_direction_is_what_its_name_says():
    a: list[Tensor | None] = [torch.tensor([2.0, 0.0]), torch.tensor([1.0])]
    b: list[Tensor | None] = [torch.tensor([1.0, 3.0]), torch.tensor([-2.0])]
    assert direction("fusion", a, b) is a
    one = direction("difference", a, b)
    assert [t.tolist() for t in one if t is not None] == [[1.0, -3.0], [3.0]]
    other = direction("orthogonal", a, b)  # <a, b> = 0
    assert [t.tolist() for t in other if t is not None] == [[1.0, 3.0], [-2.0]]
    leaning = direction("orthogonal", a, [torch.tensor([3.0, 3.0]), torch.tensor([-1.0])])
    assert sum(float((x * y).sum()) for x, y in zip(a, leaning, strict=True)) == pytest.approx(0)  # type: ignore[operator]


@pytest.mark.parametrize("kind", ["difference", "orthogonal"])
def test_a_variant_has_the_same_length_in_another_direction(kind: str):
    net, (batch,) = Kind(2), batches(Kind(2), 1)
    points: dict[str, Tensor] = {}
    for name in ("fusion", kind):
        model = build(net)
        seen: list[Tensor] = []

        def losses(model: Net = model, seen: list[Tensor] = seen) -> Losses:
            seen.append(torch.cat([p.detach().reshape(-1) for p in model.encoders.parameters()]))
            return losses_of(model, batch)

        step = masam(model, direction=name).step(losses)
        points[name] = seen[1] - seen[0]
        assert points[name].norm() == pytest.approx(step.radius)
        assert step.radius == pytest.approx(0.5 * abs(step.alignment[step.dominant or ""]))
    cosine = functional.cosine_similarity(points["fusion"], points[kind], dim=0).item()
    assert abs(cosine) < (1e-9 if kind == "orthogonal" else 0.99)


def test_a_negative_alignment_goes_downhill_or_is_clamped():
    theta = [nn.Parameter(torch.tensor([1.0, 0.0])), nn.Parameter(torch.zeros(1))]
    for negative, radius in (("signed", 0.3), ("clamp", 0.0)):
        target = torch.tensor([1.6, -0.8])
        optimizer = MASAM(
            torch.optim.SGD(theta, lr=0.0), encoders={"a": theta[0]}, rho=0.5, negative=negative
        )
        step = optimizer.step(
            lambda target=target: Losses(
                theta[0].square().sum() / 2, {"a": (theta[0] - target).square().sum() / 2}
            )
        )
        assert step.alignment["a"] == pytest.approx(-0.6)
        assert step.radius == pytest.approx(radius)


def test_lambda_weighs_the_unimodal_gradients_and_not_the_alignment():
    kind, found = Kind(2), {}
    (batch,) = batches(kind, 1)
    for weight in (1.0, 3.0, {"ehr": 3.0, "cxr": 3.0}):
        model = build(kind)
        step = masam(model, unimodal_weight=weight).step(closure(model, batch))
        found[str(weight)] = step, state_of(model)["heads.ehr.weight"]
    one, three, each = found.values()
    assert one[0].alignment == pytest.approx(three[0].alignment)
    assert one[0].radius == pytest.approx(three[0].radius)
    start = build(kind).state_dict()["heads.ehr.weight"]
    torch.testing.assert_close(three[1] - start, 3 * (one[1] - start))
    assert torch.equal(three[1], each[1])
    assert three[0].total == pytest.approx(three[0].fusion + 3 * sum(three[0].unimodal.values()))


def test_a_missing_modality_is_not_selected_and_keeps_its_average():
    kind = Kind(2)
    model, data = build(kind), batches(kind, 2)
    optimizer = masam(model)
    optimizer.step(closure(model, data[0]))
    average = optimizer.state_dict()["sharpscope"]["averages"]["ehr"]

    def losses() -> Losses:
        found = losses_of(model, data[1])
        return Losses(found.fusion, {"cxr": found.unimodal["cxr"]})

    step = optimizer.step(losses)
    assert step.dominant == "cxr"
    assert set(step.alignment) == set(step.unimodal) == {"cxr"}
    assert optimizer.state_dict()["sharpscope"]["averages"]["ehr"] == average
    alone = optimizer.step(lambda: losses_of(model, data[0]).fusion)
    assert alone.dominant is None
    assert alone.radius == 0


@pytest.mark.parametrize("count", [1, 2, 3])
def test_alignment_at_the_features_is_the_cosine_there(count: int):
    kind = Kind(count, norm=True, dropout=True)
    model, (batch,) = build(kind), batches(kind, 1)
    other = build(kind)
    torch.manual_seed(0)
    features = {name: encoder(batch[name]) for name, encoder in other.encoders.items()}
    fused = functional.cross_entropy(other.fuse(features), batch["target"])
    wanted: dict[str, float] = {}
    for name, logits in other.read(features).items():
        alone = functional.cross_entropy(logits, batch["target"])
        pair = [
            torch.autograd.grad(loss, features[name], retain_graph=True)[0].reshape(-1)
            for loss in (fused, alone)
        ]
        wanted[name] = functional.cosine_similarity(*pair, dim=0).item()
    torch.manual_seed(0)
    step = masam(model, alignment="feature").step(closure(model, batch))
    assert step.alignment == pytest.approx(wanted, abs=1e-12)
    assert step.dominant == max(wanted, key=lambda name: wanted[name])
    assert step.radius == pytest.approx(0.5 * abs(wanted[step.dominant or ""]))


def test_the_light_form_differs_from_the_full_one_in_the_alignment_alone():
    """At ρ = 0 there is no difference, and with the same radius none either."""
    kind = Kind(2, norm=True, dropout=True)
    data, found = batches(kind, 4), {}
    for alignment in ("parameters", "feature"):
        for settings in ({"rho": 0.0}, {"scale": False, "alpha": 1.0}):
            model = build(kind)
            optimizer = masam(model, alignment=alignment, **settings)
            torch.manual_seed(1)
            for batch in data:
                optimizer.step(closure(model, batch))
            found[alignment, str(settings)] = state_of(model)
    for settings in ({"rho": 0.0}, {"scale": False, "alpha": 1.0}):
        full, light = (found[kind, str(settings)] for kind in ("parameters", "feature"))
        for name, value in full.items():
            torch.testing.assert_close(light[name], value, rtol=0, atol=1e-12)


def test_where_features_cannot_be_seen_alignment_is_that_of_the_parameters_and_said():
    kind = Kind(2)
    (batch,) = batches(kind, 1)
    model, other = build(kind), build(kind)
    for encoder in model.encoders.values():  # called by its parts, never as a module
        encoder.forward = None  # type: ignore[assignment]

    def losses() -> Losses:
        features = {
            name: functional.linear(torch.tanh(encoder[0](batch[name])), encoder[2].weight)  # type: ignore[index]
            + encoder[2].bias  # type: ignore[index]
            for name, encoder in model.encoders.items()
        }
        entropy, target = functional.cross_entropy, batch["target"]
        unimodal = {n: entropy(v, target) for n, v in model.read(features).items()}
        return Losses(entropy(model.fuse(features), target), unimodal)

    light = masam(model, alignment="feature")
    step, full = light.step(losses), masam(other).step(closure(other, batch))
    assert step.alignment == pytest.approx(full.alignment)
    assert step.replayed == ()
    assert "alignment was taken at the parameters" in step.notes[-1]
    encoders = {name: encoder.parameters() for name, encoder in model.encoders.items()}
    with pytest.raises(MisuseError, match="alignment='feature' looks at what the encoders return"):
        MASAM(light.base, encoders=encoders, alignment="feature")


def test_a_scaler_that_grows_does_not_change_the_step_of_other_first():
    kind = Kind(2, dtype=torch.float32)
    data, found = batches(kind, 4), []
    for scaled in (False, True):
        model = build(kind)
        optimizer = masam(model, other_first=True)
        scaler = torch.amp.GradScaler("cpu", init_scale=4.0, growth_interval=1)
        for batch in data:
            optimizer.step(closure(model, batch), scaler=scaler if scaled else None)
        found.append(state_of(model))
    assert scaler.get_scale() == 4.0 * 2**4
    for name, value in found[0].items():
        torch.testing.assert_close(found[1][name], value, rtol=1e-5, atol=1e-6)


def test_an_overflow_leaves_nothing_in_the_averages():
    kind = Kind(2, dtype=torch.float32)
    model, (batch,) = build(kind), batches(kind, 1)
    for alignment in ("parameters", "feature"):
        optimizer = masam(model, alignment=alignment)
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**8)

        def losses() -> Losses:
            found = losses_of(model, batch)
            return Losses(found.fusion, {n: v * torch.inf for n, v in found.unimodal.items()})

        assert optimizer.step(losses, scaler=scaler).skipped
        assert optimizer.state_dict()["sharpscope"]["averages"] == {}
