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


def test_features_that_a_regression_cannot_take():
    for width, why in ((0, "its features are empty"), (20_001, "its features have more than 20,0")):

        class Wide(nn.Module):
            def __init__(self, width: int = width):
                super().__init__()
                self.a, self.out, self.width = nn.Linear(3, 4), nn.Linear(4, 3), width
                self.project = nn.Module()

            def forward(self, x: Tensor) -> Tensor:
                return self.out(self.a(x))

        model = Wide()
        model.a.forward = (  # type: ignore[method-assign]
            lambda x, width=width, weight=model.a.weight: (x @ weight.T).new_zeros(len(x), width)
        )
        model.out.forward = lambda z: z.sum(1, keepdim=True).expand(-1, 3)  # type: ignore[method-assign]
        data = [(torch.randn(6, 3), torch.randint(3, (6,)))]
        subject = Subject(model, data, loss=functional.cross_entropy, encoders={"a": "a"})
        found = ss.contribution(subject, mask="zero_feature", train=subject, val=subject)
        assert f"No probe of a: {why}" in " ".join(found.notes)
