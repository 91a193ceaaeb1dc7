"""Calls with the same tensors are made once, and any other call again."""

from typing import Any

import torch
from torch import Tensor, nn

from sharpscope.replay.once import once


class Counted(nn.Module):
    """Counts its calls, and adds a number."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, x: Tensor, more: Any = 0) -> Tensor:
        self.calls += 1
        return x + (more if isinstance(more, int) else 1)


def calls(work: Any) -> int:
    model = Counted()
    with torch.no_grad(), once(model):
        work(model)
    assert "forward" not in vars(model)
    return model.calls


def test_the_same_tensors_are_one_call():
    x, y = torch.ones(2), torch.ones(2)
    assert calls(lambda m: (m(x), m(x), m(x, more=0), m(x, more=0))) == 2
    assert calls(lambda m: (m(x), m(y))) == 2
    assert calls(lambda m: (m(x, 1), m(x, True))) == 2  # equal and not the same


def test_what_was_written_to_is_computed_again():
    x = torch.ones(2)

    def writes_into_output(model: Counted) -> None:
        assert model(x).mul_(3).tolist() == [3.0, 3.0]
        assert model(x).tolist() == [1.0, 1.0]

    def writes_into_input(model: Counted) -> None:
        y = torch.ones(2)
        model(y)
        y.add_(1)
        assert model(y).tolist() == [2.0, 2.0]

    assert calls(writes_into_output) == 2
    assert calls(writes_into_input) == 2


def test_what_cannot_be_told_apart_is_computed_again():
    x = torch.ones(2)
    assert calls(lambda m: (m(x, object), m(x, object))) == 2
    with torch.inference_mode():
        inside = torch.ones(2)
        assert calls(lambda m: (m(inside), m(inside))) == 2
        assert calls(lambda m: (m(x), m(x))) == 2
