"""Calls with the same tensors are made once, and any other call again."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sharpscope.replay.once import once

CALLS: list[int] = []


class Counted(nn.Module):
    """Notes its calls outside of itself, and adds a number."""

    def __init__(self):
        super().__init__()
        self.shift = 0.0
        self.weight = nn.Parameter(torch.zeros(2))

    def forward(self, x: Tensor, more: Any = 0) -> Tensor:
        CALLS.append(1)
        return x + self.shift + self.weight + (more if isinstance(more, int) else 1)


def calls(work: Any, model: Any = None) -> int:
    model = model or Counted()
    CALLS.clear()
    with torch.no_grad(), once(model):
        work(model)
    assert "forward" not in vars(model)
    return len(CALLS)


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


def test_a_module_in_another_state_is_computed_again():
    x = torch.ones(2)

    def moves(model: Counted) -> None:
        for shift in (0.5, 0.7, 0.9):
            model.shift = shift
            assert model(x).tolist() == pytest.approx([1 + shift] * 2)

    def other_weights(model: Counted) -> None:
        assert model(x).tolist() == [1.0, 1.0]
        weights = {"weight": torch.ones(2)}
        assert torch.func.functional_call(model, weights, (x,)).tolist() == [2.0, 2.0]
        assert model(x).tolist() == [1.0, 1.0]

    assert calls(moves) == 3
    assert calls(other_weights) == 2


class Router(nn.Module):
    """Calls one part with one tensor in several states."""

    def __init__(self):
        super().__init__()
        self.part = Counted()

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        for n in range(3):
            self.part.shift = float(n)
            found[str(n)] = self.part(x)
        self.part.shift = 0.0
        return found


def test_what_is_inside_a_call_is_left_alone_and_containers_come_back_fresh():
    x = torch.ones(2)

    def work(model: Router) -> None:
        first = model(x)
        assert [float(v[0]) for v in first.values()] == [1.0, 2.0, 3.0]
        first["0"] = torch.zeros(2)
        assert [float(v[0]) for v in model(x).values()] == [1.0, 2.0, 3.0]

    assert calls(work, Router()) == 3


def test_an_output_that_cannot_be_looked_into_is_computed_again():
    class Odd(Counted):
        def forward(self, x: Tensor, more: Any = 0) -> Any:
            return SimpleNamespace(logits=super().forward(x, more))

    x = torch.ones(2)

    def work(model: Odd) -> None:
        model(x).logits.neg_()
        assert model(x).logits.tolist() == [1.0, 1.0]

    assert calls(work, Odd()) == 2
