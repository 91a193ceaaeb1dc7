"""MASAM's own: selection, replay, variants, refusals."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from sharpscope.errors import MisuseError
from sharpscope.optim import MASAM, Losses
from sharpscope.optim.directions import direction
from tests.optim.nets import Kind, Net, batches, build, closure, encoders_of, losses_of, state_of


def masam(model: Net, lr: float = 0.1, **settings: Any) -> MASAM:
    return MASAM(
        torch.optim.SGD(model.parameters(), lr=lr), encoders=encoders_of(model), **settings
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


@pytest.mark.parametrize("compiled", [False, True])
def test_a_unimodal_loss_that_depends_on_another_encoder_is_refused(compiled: bool):
    model = build(Kind(2))
    (batch,) = batches(Kind(2), 1)
    run: Any = torch.compile(model.outputs, backend="eager") if compiled else model.outputs
    before = state_of(model)

    def losses() -> Losses:
        outputs = run(batch)
        fused = functional.cross_entropy(outputs.fusion, batch["target"])
        return Losses(fused, {"ehr": fused * 2})

    with pytest.raises(
        MisuseError, match="unimodal loss of 'ehr' depends on the encoder 'cxr': MASAM needs"
    ):
        masam(model).step(losses)
    assert all(torch.equal(value, before[name]) for name, value in state_of(model).items())


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "rho": ({"rho": -0.1}, "rho must be a finite number of at least 0; got -0.1"),
    "schedule": ({"rho": lambda step: -1.0}, "rho must be a finite number of at least 0; got -1.0"),
    "alpha": ({"alpha": 1.5}, "alpha must be a number from 0 to 1; got 1.5"),
    "beta": ({"beta": "x"}, "beta must be a number from 0 to 1; got 'x'"),
    "mode": (
        {"mode": "offical"},
        "mode must be 'paper' or 'official'; got 'offical'; did",
    ),
    "decay": ({"decay": "x"}, "decay must be 'paper' or 'trend'"),
    "direction": ({"direction": "x"}, "direction must be 'fusion', 'difference' or 'orthogonal'"),
    "negative": ({"negative": "x"}, "negative must be 'signed' or 'clamp'"),
    "score": ({"score": "ogm"}, "score must be 'aps' or 'given'"),
    "every": ({"every": 0}, r"every must be a whole number of at least 1 \(steps\); got 0"),
    "official": ({"mode": "official", "other_first": True}, "public code as it is: leave other_fi"),
    "weight": ({"unimodal_weight": 0}, "unimodal_weight of 'ehr' must be above 0: MASAM compares"),
    "weights": ({"unimodal_weight": {"ehr": 1}}, "name every encoder .ehr, cxr.; got ehr"),
    "a weight": (
        {"unimodal_weight": {"ehr": 1, "cxr": -1}},
        r"unimodal_weight\['cxr'\] must be a finite number of at least 0; got -1",
    ),
    "alignment": ({"alignment": "x"}, "alignment must be 'parameters' or 'feature'; got 'x'"),
    "light": ({"alignment": "feature", "select": False}, "alignment='feature' selects one encod"),
    "clip": ({"clip_norm": 0}, "clip_norm must be a finite number above 0; got 0"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_settings_are_told(case: str):
    settings, message = BAD[case]
    model, (batch,) = build(Kind(2)), batches(Kind(2), 1)
    with pytest.raises(MisuseError, match=message):
        masam(model, **settings).step(closure(model, batch))


def test_bad_encoders_are_told():
    model = build(Kind(2))
    base = torch.optim.SGD(model.parameters(), lr=0.1)
    ehr, cxr = model.encoders["ehr"], model.encoders["cxr"]
    cases: list[tuple[Any, str]] = [
        ({}, "encoders must map each modality to its modules, .*; got nothing"),
        ([ehr, cxr], "encoders must map each modality to its modules, .*; got list"),
        ({"ehr": ehr, "cxr": [ehr, cxr]}, r"of shape \(5, 3\) is in two encoders, 'ehr' and 'cxr'"),
        ({"ehr": nn.Linear(2, 2)}, "'ehr' has no trainable parameter in the base optimizer"),
        ({"ehr": [ehr, nn.Linear(2, 2)]}, r"encoder 'ehr', of shape \(2, 2\), is not in the base"),
        (
            {"ehr": "encoders.ehr"},
            "'ehr' must be a module, a parameter, or a list of these; got str",
        ),
        ({"ehr": []}, "'ehr' must be a module, a parameter, or a list of these; got list"),
        ({"ehr": 3}, "'ehr' must be a module, a parameter, or a list of these; got int"),
        ({"shared": ehr}, "an encoder cannot be called 'shared'"),
    ]
    for encoders, message in cases:
        with pytest.raises(MisuseError, match=message):
            MASAM(base, encoders=encoders)
    with pytest.raises(MisuseError, match=r"base must be a torch optimizer .*; got Net"):
        MASAM(model, encoders={"ehr": ehr})  # type: ignore[arg-type]
    with pytest.raises(MisuseError, match=r"step needs a closure .*; got list"):
        MASAM(base, encoders={"ehr": ehr}).step([])


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
        parts = nn.ModuleDict({n: nn.Sequential(trunk, nn.Tanh(), nn.Linear(3, 4)) for n in "ab"})
        head = nn.Linear(8, 2)
        x = {n: torch.randn(6, 3) for n in "ab"}
        target = torch.tensor([0, 1, 1, 0, 1, 0])
        own = {n: list(part[2].parameters()) for n, part in parts.items()}  # type: ignore[index]
        encoders: dict[str, Any] = {n: parts[n][2] for n in "ab"} if as_modules else own  # type: ignore[index]
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
