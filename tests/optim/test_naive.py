"""The optimizers against the methods written down plainly, with everything computed again."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch

from sharpscope.optim import MASAM, MSAM, SAM
from tests.optim.naive import Naive, NaiveMASAM, NaiveMSAM, NaiveSAM
from tests.optim.nets import FEW, KINDS, Kind, batches, build, closure, encoders_of, losses_of

METHODS: dict[str, tuple[Any, type[Naive], float]] = {
    "SAM": (SAM, NaiveSAM, 0.2),
    "MSAM": (MSAM, NaiveMSAM, 0.2),
    "MASAM": (MASAM, NaiveMASAM, 0.5),
}


def run(kind: Kind, method: str, steps: int) -> None:
    fast, naive, rho = METHODS[method]
    one, other = build(kind), build(kind)
    settings: dict[str, Any] = {"lr": 0.05, "momentum": 0.9, "weight_decay": 1e-3}
    optimizer = fast(
        torch.optim.SGD(one.parameters(), **settings), encoders=encoders_of(one), rho=rho
    )
    plain = naive(other, torch.optim.SGD(other.parameters(), **settings), rho)
    names = list(one.encoders)
    for number, batch in enumerate(batches(kind, steps)):
        more: dict[str, Any] = {}
        shares: Mapping[str, float] = {}
        if method == "MSAM":
            weights = {name: 1 + (place + number) % 3 for place, name in enumerate(names)}
            total = sum(weights.values())
            shares = {name: weight / total for name, weight in weights.items()}
            more["performance"] = lambda present, shares=shares: sum(shares[n] for n in present)
        torch.manual_seed(number)
        step = optimizer.step(closure(one, batch), **more)
        stream = torch.get_rng_state()
        torch.manual_seed(number)
        told = plain.step(lambda model, batch=batch: losses_of(model, batch), shares=shares)
        if method == "MASAM":
            assert step.dominant == told
        assert torch.equal(stream, torch.get_rng_state())
    tolerance = 1e-6 if kind.dtype == torch.float64 else 2e-5
    mine, theirs = one.state_dict(), other.state_dict()
    for name, value in theirs.items():
        torch.testing.assert_close(mine[name], value, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", FEW, ids=str)
def test_twenty_steps_equal_a_naive_implementation(kind: Kind, method: str):
    run(kind, method, 20)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", [k for k in KINDS if k not in FEW], ids=str)
def test_three_steps_on_every_kind_of_network(kind: Kind, method: str):
    run(kind, method, 3)
