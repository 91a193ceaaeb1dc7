"""The threshold of stability, against gradient descent on a quadratic."""

from typing import Any

import pytest
import torch
from torch import nn

from sharpscope.monitor.stability import threshold
from sharpscope.optim import SAM


def stays(curvature: float, **settings: Any) -> bool:
    """Whether SGD on ½ c w² stays bounded."""
    w = nn.Parameter(torch.ones(1, dtype=torch.float64))
    optimizer = torch.optim.SGD([w], **settings)
    for _ in range(4000):
        optimizer.zero_grad()
        (curvature * w.square() / 2).sum().backward()
        optimizer.step()
        if not abs(w.item()) < 1e6:
            return False
    return True


@pytest.mark.parametrize(
    "settings",
    [
        {"lr": 0.1},
        {"lr": 0.05, "momentum": 0.9},
        {"lr": 0.1, "momentum": 0.5, "dampening": 0.3},
        {"lr": 0.1, "momentum": 0.8, "nesterov": True},
        {"lr": 0.1, "weight_decay": 1.0},
        {"lr": 0.1, "momentum": 0.5, "weight_decay": 2.0},
    ],
)
def test_it_is_where_gradient_descent_diverges(settings: dict[str, Any]):
    w = nn.Parameter(torch.zeros(1))
    edge = threshold(torch.optim.SGD([w], **settings), [w])
    assert isinstance(edge, float)
    assert stays(0.99 * edge, **settings)
    assert not stays(1.01 * edge, **settings)


def test_where_there_is_none_it_is_said():
    a, b = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))
    assert threshold(None, [a]) == "no optimizer was given"
    adam = threshold(torch.optim.AdamW([a]), [a])
    assert adam == "AdamW has no threshold in terms of the Hessian alone"
    sam = threshold(SAM(torch.optim.SGD([a], lr=0.1)), [a])
    assert sam == "SAM has no threshold in terms of the Hessian alone"
    sgd = torch.optim.SGD([{"params": [a]}, {"params": [b], "lr": 0.2}], lr=0.1)
    assert threshold(sgd, [a]) == 20.0
    assert threshold(sgd, [a, b]) == "its parameters have different learning rates or weight decays"
    other = nn.Parameter(torch.zeros(1))
    told = "the optimizer does not step all of its parameters"
    assert threshold(sgd, [other]) == told
    assert threshold(sgd, [a, other]) == told
    sgd.param_groups[0]["lr"] = 0.0
    assert threshold(sgd, [a]) == "its learning rate is 0"


def test_of_several_optimizers_the_one_that_steps_it_tells():
    a, b, c = (nn.Parameter(torch.zeros(1)) for _ in range(3))
    several: Any = [torch.optim.SGD([a, c], lr=0.1), torch.optim.AdamW([b]), object()]
    for many in (several, tuple(several)):
        assert threshold(many, [a]) == 20.0
        assert threshold(many, [b]) == "AdamW has no threshold in terms of the Hessian alone"
        assert threshold(many, [a, b]) == "several optimizers step its parameters"
    other = nn.Parameter(torch.zeros(1))
    assert threshold(several, [other]) == "none of the optimizers steps its parameters"
    assert threshold(several, [a, other]) == "the optimizer does not step all of its parameters"
    assert threshold([], [a]) == "no optimizer was given"
    assert threshold(several[:1], [a]) == 20.0


def test_wrappers_of_frameworks_are_looked_into():
    a = nn.Parameter(torch.zeros(1))
    wrapped: Any = type("Wrapped", (), {})()
    wrapped.optimizer = torch.optim.SGD([a], lr=0.1)
    assert threshold(wrapped, [a]) == 20.0
    assert threshold(object(), [a]) == "object has no threshold in terms of the Hessian alone"
