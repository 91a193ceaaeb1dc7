"""What masks an encoder: all that its modules return, or a sentence that it cannot be."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sharpscope.errors import MisuseError
from sharpscope.optim import masked_performance


def test_features_that_cannot_be_masked_are_told():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.unused = nn.Identity(), Wrapped(), nn.Linear(3, 3)

        def forward(self, inputs: dict[str, Tensor]) -> Tensor:
            return self.a(inputs["a"]) + self.b(inputs["b"]).inside

    class Wrapped(nn.Module):
        def forward(self, x: Tensor) -> Any:
            return type("Thing", (), {"inside": x})()

    model = Odd()
    inputs, target = {name: torch.ones(4, 3) for name in "ab"}, torch.zeros(4, dtype=torch.long)
    for b, why in ((model.b, "returns an object whose tensors"), (model.unused, "is never called")):
        performance = masked_performance(model, inputs, target, mask="mean_feature")
        performance.bind({"a": [model.a], "b": [b]}, replay=True)
        with pytest.raises(MisuseError, match=f"features of 'b' cannot be masked: .*{why}"):
            performance(frozenset("a"))


def test_all_modules_of_an_encoder_are_masked():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.specific, self.common = nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 3)

        def forward(self, inputs: dict[str, Tensor]) -> Tensor:
            specific, common = self.specific(inputs["b"]), self.common(inputs["b"])
            return self.a(inputs["a"]) + specific.relu_() + common

    torch.manual_seed(0)
    model, inputs = Two(), {name: torch.randn(4, 3) for name in "ab"}
    for replay in (False, True):
        performance = masked_performance(
            model, inputs, torch.zeros(4, dtype=torch.long), mask="zero_feature"
        )
        performance.bind({"a": [model.a], "b": [model.specific, model.common]}, replay=replay)
        whole = performance.logits(frozenset("ab"))
        torch.testing.assert_close(whole, model(inputs))
        alone = performance.logits(frozenset("a"))
        torch.testing.assert_close(alone, model.a(inputs["a"]))
