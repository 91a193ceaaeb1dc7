"""Counted work: floating-point operations of a step against those of late fusion."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from sharpscope.models import ConcatFusion, MultimodalModel
from sharpscope.optim import MASAM, MSAM, SAM, masked_performance
from tests.optim.nets import closure, losses_of


def model_and_batch() -> tuple[MultimodalModel, dict[str, Tensor]]:
    """Return two encoders of equal cost."""
    torch.manual_seed(0)

    def encoder() -> nn.Module:
        layers: list[nn.Module] = []
        for _ in range(4):
            layers += [nn.Linear(64, 64), nn.Tanh()]
        return nn.Sequential(*layers)

    model = MultimodalModel(
        {"a": encoder(), "b": encoder()},
        fusion=ConcatFusion(modalities=2, width=64, outputs=3),
        width=64,
        outputs=3,
    )
    batch = {name: torch.randn(32, 64) for name in "ab"}
    return model, batch | {"target": torch.randint(0, 3, (32,))}


def flops(step: Any) -> float:
    step()  # the first one looks around
    with FlopCounterMode(display=False) as counter:
        step()
    return float(counter.get_total_flops())


def late() -> float:
    model, batch = model_and_batch()
    return flops(lambda: losses_of(model, batch).total({"a": 1.0, "b": 1.0}).backward())


def counted(kind: Any, **settings: Any) -> float:
    """Count a step in which what is played back is not compared with a plain pass."""
    model, batch = model_and_batch()
    base = torch.optim.SGD(model.parameters(), lr=0.01)
    optimizer = kind(base, encoders=dict(model.encoders.items()), **settings)
    optimizer._due = lambda: False
    more: dict[str, Any] = {}

    def step() -> None:
        if kind is MSAM:
            inputs = {name: batch[name] for name in "ab"}
            more["performance"] = masked_performance(model, inputs, batch["target"])
        optimizer.step(closure(model, batch), **more)

    return flops(step)


def test_sam_is_exactly_two_steps():
    assert counted(SAM) == 2 * late()


def test_masam_is_at_most_2_3_steps_and_its_light_forms_less():
    full = counted(MASAM) / late()
    feature = counted(MASAM, alignment="feature") / late()
    kept = counted(MASAM, every=10**6) / late()
    assert full <= 2.3
    assert feature <= 1.9
    assert kept <= 1.9
    # Two forwards and M + 3 backwards of everything, as the public code does.
    assert full < 0.8 * (2 + 2 * 5) / 3


def test_msam_is_two_steps_and_one_evaluation_of_the_encoders():
    model, batch = model_and_batch()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.features(batch)
    evaluation = counter.get_total_flops()
    assert counted(MSAM) <= 1.05 * (2.05 * late() + evaluation)
    assert counted(MSAM, every=10**6) == 2 * late()


def test_the_cost_of_shares_with_many_modalities_is_that_of_the_heads():
    """2^M subsets, but each encoder runs once on the batch and once on one masked item."""
    torch.manual_seed(0)
    names = [f"m{i}" for i in range(6)]
    encoders = {n: nn.Sequential(nn.Linear(64, 64), nn.Linear(64, 4)) for n in names}
    model = MultimodalModel(
        encoders, fusion=ConcatFusion(modalities=6, width=4, outputs=3), width=4, outputs=3
    )
    batch = {name: torch.randn(32, 64) for name in names}
    target = torch.randint(0, 3, (32,))
    performance = masked_performance(model, batch, target)
    performance.bind({n: [e] for n, e in encoders.items()}, replay=True)
    everyone = frozenset(names)
    with FlopCounterMode(display=False) as counter:
        performance(everyone)
        performance(everyone - {"m0"})
        performance(frozenset())
    rows = 32 + 1
    encoding = 6 * rows * 2 * (64 * 64 + 64 * 4)
    fusing = (4 * 32 + 1) * 2 * 24 * 3  # three subsets, and with both recordings
    assert counter.get_total_flops() == encoding + fusing
