"""Which inputs are masked, and encoders that see what others return."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import sharpscope as ss
from sharpscope.subject import Subject
from tests.contribution.naive import CLASSES


class Gated(nn.Module):
    """Encoder ``b`` sees what encoder ``a`` returns."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.out = nn.Linear(3, 4), nn.Bilinear(3, 4, 4), nn.Linear(8, CLASSES)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        z = self.a(a)
        return self.out(torch.cat([z, self.b(b, z)], 1))


def test_encoders_that_see_each_other_see_what_is_masked():
    torch.manual_seed(0)
    model = Gated().double()
    a, b = torch.randn(9, 3).double(), torch.randn(9, 3).double()
    target = torch.randint(CLASSES, (9,))
    subject = Subject(
        model,
        [(a, b, target)],
        loss=functional.cross_entropy,
        encoders={"a": "a", "b": "b"},
    )
    found = ss.contribution(subject, mask="zero_feature", kind="neg_loss")
    zero = torch.zeros(9, 4, dtype=torch.float64)
    without_a = model.out(torch.cat([zero, model.b(b, zero)], 1))
    wanted = -functional.cross_entropy(without_a, target).item()
    assert found.performance["b"] == pytest.approx(wanted)
    # Both encoders see the input of a; b sees one more, which is its own.
    found = ss.contribution(subject, kind="neg_loss")
    for name, inputs in (("a", (torch.zeros_like(a), b)), ("b", (a, torch.zeros_like(b)))):
        wanted = -functional.cross_entropy(model(*inputs), target).item()
        other = {"a": "b", "b": "a"}[name]
        assert found.performance[other] == pytest.approx(wanted)


class Many(nn.Module):
    """Five encoders, the first of which the last one sees, where a switch is on."""

    def __init__(self, crossed: bool):
        super().__init__()
        self.crossed = crossed
        self.encoders = nn.ModuleDict({n: nn.Sequential(nn.Linear(3, 4)) for n in "abcde"})
        self.out = nn.Linear(20, CLASSES)

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        z = {name: self.encoders[name](inputs[name]) for name in "abcd"}
        # Only where the item is not zero: the first batch does not show it.
        seen = inputs["e"] * (1 + z["a"][:, :3]) if self.crossed else inputs["e"]
        z["e"] = self.encoders["e"](seen)
        return self.out(torch.cat(list(z.values()), 1).tanh())


@pytest.mark.parametrize("crossed", [False, True])
def test_many_encoders_are_played_back_where_that_is_right(crossed: bool):
    torch.manual_seed(0)
    model = Many(crossed).double()
    batches: list[Any] = []
    for number in range(3):
        batch: dict[str, Tensor] = {n: torch.randn(6, 3).double() for n in "abcde"}
        if number == 0:
            batch["e"].zero_()
        batches.append(batch | {"target": torch.randint(CLASSES, (6,))})

    def subject(**more: Any) -> Subject:
        return Subject(
            model,
            batches,
            loss=functional.cross_entropy,
            encoders={name: f"encoders.{name}" for name in "abcde"},
            call="whole",
            **more,
        )

    calls: list[int] = []
    inner = model.encoders["b"].get_submodule("0")  # does not run where its parent is played
    handle = inner.register_forward_hook(lambda *_: calls.append(1))
    found = ss.contribution(subject(), kind="neg_loss")
    handle.remove()
    plain = ss.contribution(subject(replay=False), kind="neg_loss")
    assert found.performance == pytest.approx(plain.performance, abs=1e-12)
    assert any(n.startswith("Features were not played back") for n in found.notes) == crossed
    if not crossed:
        assert len(calls) < 3 * 32 / 2


def test_a_mapping_batch_by_modality_is_masked_at_the_batch():
    class Mapped(nn.Module):
        def __init__(self):
            super().__init__()
            self.ehr, self.cxr = nn.Linear(3, CLASSES), nn.Linear(4, CLASSES)

        def forward(self, ehr: Tensor, cxr: Tensor) -> Tensor:
            return self.ehr(ehr + 1) + self.cxr(cxr)  # not zero any more at the encoder

    torch.manual_seed(0)
    model = Mapped()
    batch = {"ehr": torch.randn(6, 3), "cxr": torch.randn(6, 4), "y": torch.randint(CLASSES, (6,))}
    subject = Subject(
        model, [batch], loss=functional.cross_entropy, encoders={"ehr": "ehr", "cxr": "cxr"}
    )
    found = ss.contribution(subject, kind="neg_loss")
    without = model(torch.zeros(6, 3), batch["cxr"])
    wanted = -functional.cross_entropy(without, batch["y"]).item()
    assert found.performance["cxr"] == pytest.approx(wanted, rel=1e-5)
