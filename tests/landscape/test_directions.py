"""Directions: normalized filter by filter, exactly orthogonal, the same for the same names."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sharpscope.errors import MisuseError
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
    subject = problems.subject_of(problems.build("tied"))
    selection = subject.select("ehr")
    (direction,) = random_directions(subject, selection, 1, Drawing())
    assert (
        len(direction)
        == selection.dim
        == len({id(p) for p in selection.parameters}) * 0
        + (sum(p.numel() for p in selection.parameters))
    )


def test_nothing_that_can_move_is_told():
    subject: Any = subject_of()
    for glob in ("*.bias", "norm.*"):
        with pytest.raises(MisuseError, match=r"no weight of .* can move: biases, norms and"):
            random_directions(subject, subject.select(glob), 1, Drawing())
