"""Directions: normalized filter by filter, exactly orthogonal, the same for the same names."""

import math
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sharpscope.errors import MisuseError
from sharpscope.landscape import Landscape
from sharpscope.landscape.directions import Drawing, _scaled, random_directions
from sharpscope.subject import Subject
from tests import problems


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3)
        self.layer_norm = nn.LayerNorm([3, 4])
        self.out = nn.Linear(12, 2)
        with torch.no_grad():
            self.conv.weight[1].zero_()

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.conv(x).mean((2, 3)).repeat(1, 4))


def subject_of() -> Subject:
    torch.manual_seed(0)
    data = [(torch.randn(4, 2, 5, 5), torch.randint(2, (4,)))]
    loss = nn.functional.cross_entropy
    return Subject(Net(), data, loss=loss, encoders={"x": ["conv", "norm", "layer_norm", "out"]})


def pieces(direction: Tensor, subject: Subject) -> dict[str, Tensor]:
    selection = subject.select("x")
    return dict(zip(selection.names, selection.split(direction), strict=True))


def test_filters_are_as_long_as_those_of_the_weights():
    draw = torch.tensor([[1.0, 0.0], [1.0, 1.0]])  # methods.md 6.6
    rows = torch.tensor([[3.0, 4.0], [0.0, 2.0]])
    wanted = torch.tensor([[5.0, 0.0], [2**0.5, 2**0.5]])
    torch.testing.assert_close(_scaled(draw, rows, "filter"), wanted)
    assert not _scaled(draw, torch.zeros(2, 2), "filter").any()
    subject = subject_of()
    (direction,) = random_directions(subject, subject.select("x"), 1, Drawing())
    found = pieces(direction, subject)
    for name in ("conv.weight", "out.weight"):
        weights = subject.model.get_parameter(name).detach().double().flatten(1)
        torch.testing.assert_close(found[name].flatten(1).norm(dim=1), weights.norm(dim=1))
    still = ("conv.bias", "norm.weight", "norm.bias", "layer_norm.weight", "layer_norm.bias")
    for name in (*still, "out.bias"):
        assert not found[name].any(), name
    assert not found["conv.weight"][1].any()


def test_layers_and_raw_directions():
    subject = subject_of()
    selection = subject.select("x")
    (layer,) = random_directions(subject, selection, 1, Drawing(normalize="layer"))
    weights = subject.model.get_parameter("out.weight").detach().double()
    assert pieces(layer, subject)["out.weight"].norm().item() == pytest.approx(
        weights.norm().item()
    )
    (raw,) = random_directions(subject, selection, 1, Drawing(normalize="none"))
    assert raw.std().item() == pytest.approx(1.0, abs=0.2)
    assert abs(raw.mean().item()) < 0.3
    assert pieces(raw, subject)["layer_norm.weight"].any()


@pytest.mark.parametrize("normalize", ["filter", "layer", "none"])
def test_directions_are_orthogonal_to_rounding_when_asked(normalize: str):
    subject = subject_of()
    selection = subject.select("x")
    cosine = nn.functional.cosine_similarity
    for orthogonal in (True, False):
        drawing = Drawing(normalize=normalize, orthogonal=orthogonal)
        found = random_directions(subject, selection, 3, drawing)
        for one, other in ((0, 1), (0, 2), (1, 2)):
            away = abs(cosine(found[one], found[other], 0).item())
            assert away < 1e-12 if orthogonal else away < 5 / math.sqrt(selection.dim)
        if normalize == "filter" and orthogonal:
            weights = subject.model.get_parameter("out.weight").detach().double()
            for direction in found:
                rows = pieces(direction, subject)["out.weight"].norm(dim=1)
                torch.testing.assert_close(rows, weights.norm(dim=1))


def test_names_and_seeds_make_the_draws():
    subject = subject_of()
    selection = subject.select("x")
    one = random_directions(subject, selection, 2, Drawing())
    again = random_directions(subject, selection, 1, Drawing())
    assert torch.equal(one[0], again[0])
    other = random_directions(subject, selection, 1, Drawing(seed=1))
    assert not torch.equal(one[0], other[0])
    part = subject.select("out.*")
    alone = random_directions(subject, part, 1, Drawing())[0]
    assert torch.equal(alone[:24], pieces(one[0], subject)["out.weight"].reshape(-1))


def test_tied_weights_move_once():
    # Used twice, and one tensor: its directions are one slice, and both uses see them.
    model = problems.build("tied")
    subject = problems.subject_of(model)
    selection = subject.select("ehr")
    assert len(set(selection.names)) == len({id(p) for p in selection.parameters})
    (direction,) = random_directions(subject, selection, 1, Drawing())
    found = dict(zip(selection.names, selection.split(direction), strict=True))
    every = list(model.named_parameters(remove_duplicate=False))
    tied = next(p for _, p in every if sum(q is p for _, q in every) > 1)
    (own,) = [n for n, p in zip(selection.names, selection.parameters, strict=True) if p is tied]
    torch.testing.assert_close(found[own].norm(dim=1), tied.detach().double().norm(dim=1))


@pytest.mark.parametrize("groups", [1, 2])
def test_filters_of_transposed_convolutions_are_output_maps(groups: int):
    torch.manual_seed(0)

    class Up(nn.Module):
        def __init__(self):
            super().__init__()
            self.up = nn.ConvTranspose2d(4, 6, 3, groups=groups)
            self.norm, self.out = nn.BatchNorm2d(6, eps=1e-12), nn.Linear(6, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.out(self.norm(self.up(x)).relu().mean((2, 3)))

    data = [(torch.randn(6, 4, 5, 5).double(), torch.randint(2, (6,)))]
    model = Up().double()

    def profile(model: nn.Module) -> list[float]:
        loss = nn.functional.cross_entropy
        subject = Subject(model, data, loss=loss, encoders={"x": ["up", "norm"]})
        settings = Landscape(shape=(5,), statistics="recalibrated", keep_directions=True)
        found = settings(subject, "x")
        assert found.direction_x is not None
        parts = dict(zip(subject.select("x").names, subject.select("x").split(
            torch.from_numpy(found.direction_x)), strict=True))  # fmt: skip
        maps = parts["up.weight"].reshape(groups, 4 // groups, 6 // groups, 9)
        weights = model.get_parameter("up.weight").detach().reshape(maps.shape)
        torch.testing.assert_close(maps.norm(dim=(1, 3)), weights.norm(dim=(1, 3)))
        return found.values.tolist()

    before = profile(model)
    with torch.no_grad():  # a map before a norm may be scaled: its own group's inputs lead to it
        model.up.weight.view(groups, 4 // groups, 6 // groups, 3, 3)[:, :, 1] *= 7.0
        bias: Any = model.up.bias
        bias.view(groups, 6 // groups)[:, 1] *= 7.0
    assert profile(model) == pytest.approx(before, rel=1e-9)


def test_lengths_of_normalized_weights_and_biases_of_attention_stay():
    class Normalized(nn.Module):
        def __init__(self):
            super().__init__()
            self.new = nn.utils.parametrizations.weight_norm(nn.Linear(4, 4))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self.old = nn.utils.weight_norm(nn.Linear(4, 4))
            self.attention = nn.MultiheadAttention(4, 2, add_bias_kv=True, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            h = self.old(self.new(x))[:, None]
            return self.attention(h, h, h)[0][:, 0]

    data = [(torch.randn(3, 4), torch.randint(4, (3,)))]
    loss = nn.functional.cross_entropy
    encoders = {"x": ["new", "old", "attention"]}
    subject = Subject(Normalized(), data, loss=loss, encoders=encoders)
    (direction,) = random_directions(subject, subject.select("x"), 1, Drawing())
    found = pieces(direction, subject)
    still = {name for name, piece in found.items() if not piece.any()}
    assert {
        "new.parametrizations.weight.original0", "old.weight_g",
        "attention.bias_k", "attention.bias_v",
    } <= still  # fmt: skip
    assert not {"new.parametrizations.weight.original1", "old.weight_v"} & still


def test_nothing_that_can_move_is_told():
    subject: Any = subject_of()
    for glob in ("*.bias", "norm.*"):
        with pytest.raises(MisuseError, match=r"no weight of .* can move: biases, norms and"):
            random_directions(subject, subject.select(glob), 1, Drawing())
