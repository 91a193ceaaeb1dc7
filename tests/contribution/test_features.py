"""Features that no probe can be sure of."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import sharpscope as ss
from sharpscope.subject import Subject
from tests.contribution.wired import Wired


@pytest.mark.parametrize(
    ("way", "encoders", "why"),
    [
        ("twice", "a", "its encoder is not called once in a pass"),
        ("function", "a", "its encoder is not called once in a pass"),
        ("loose", ["a", "extra"], "its encoder shows no tensors"),
        ("side", ["a", "b"], "its modules stand side by side, and which features are its own can"),
    ],
)
def test_features_that_cannot_be_told_have_no_probe(way: str, encoders: Any, why: str):
    class Parted(Wired):
        def forward(self, a: Any, b: Any) -> Tensor:
            return super().forward(a["x"], b["y"])

    torch.manual_seed(0)
    model = Parted(way)
    data = [{"a": {"x": torch.randn(6, 3)}, "b": {"y": torch.randn(6, 3)},
             "y": torch.randint(3, (6,))}]  # fmt: skip
    chosen = {"a": encoders, "b": "b"} if way != "side" else {"a": encoders}
    subject = Subject(model, data, loss=functional.cross_entropy, encoders=chosen)
    found = ss.contribution(subject, train=subject, val=subject)
    assert f"No probe of a: {why}" in " ".join(found.notes)
    assert "a" not in found.probe


class Wide(nn.Module):
    """An encoder with as many features as it is told, all of them 0."""

    def __init__(self, width: int):
        super().__init__()
        self.weight, self.width = nn.Parameter(torch.ones(1)), width

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * x.new_zeros(len(x), self.width)


class Summed(nn.Module):
    """A model whose logits are one sum of the features."""

    def __init__(self, width: int):
        super().__init__()
        self.a, self.scale = Wide(width), nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * self.a(x).sum(1, keepdim=True).expand(-1, 3)


@pytest.mark.parametrize(
    ("width", "why"),
    [(0, "its features are empty"), (20_001, "its features have more than 20,000 numbers")],
)
def test_features_that_a_regression_cannot_take(width: int, why: str):
    data = [(torch.randn(6, 3), torch.randint(3, (6,)))]
    loss = functional.cross_entropy
    subject = Subject(Summed(width), data, loss=loss, encoders={"a": "a"})
    found = ss.contribution(subject, mask="zero_feature", train=subject, val=subject)
    assert f"No probe of a: {why}." in found.notes
