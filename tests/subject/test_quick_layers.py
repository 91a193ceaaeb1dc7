"""Transformer layers on the fast way to a landscape point."""

import pytest
import torch
from torch import Tensor, nn

from sharpscope.replay import ReplayRefused
from sharpscope.subject.losses import LossSum
from sharpscope.subject.points import Points
from tests.subject.test_quick import Net, direction, subject_of, values


class Strides(nn.Module):
    """A model that asks for the strides of torch's own layers, and has a norm to fold."""

    def __init__(self):
        super().__init__()
        self.ehr = nn.TransformerEncoderLayer(8, 2, 8)
        self.cxr = nn.Sequential(nn.Conv2d(1, 4, 6), nn.BatchNorm2d(4), nn.Flatten())
        self.head = nn.Linear(44, 3)

    def forward(self, ehr: Tensor, cxr: Tensor) -> Tensor:
        found = self.ehr(ehr.transpose(0, 1).contiguous()).view(5, -1)
        steps = found.view(5, len(cxr), 8).transpose(0, 1).flatten(1)
        return self.head(torch.cat([steps, self.cxr(cxr)], 1))


def test_where_strides_are_asked_for_layers_stay_and_the_rest_is_fast():
    model, found = Strides(), list[list[float]]()
    for replay in (True, False):
        points = Points(subject_of(model, replay=replay), "all")
        with points.session():
            found.append(values(points))
            assert points._quick.accepted == replay
            assert points._quick.folded == ({"cxr.0": "cxr.1"} if replay else {})
            assert points.evaluations == 5
            assert points.notes() == ()
    assert found[0] == pytest.approx(found[1], rel=1e-6)


def test_transformer_layers_copy_less_where_there_is_no_gradient():
    points = Points(subject_of(Net()), "ehr")
    copies: list[int] = []
    with points.session():
        values(points)
        for work in (points.value, points.slope):
            with torch.profiler.profile() as profile:
                work(direction(points))
            copies.append(sum(e.count for e in profile.key_averages() if e.key == "aten::clone"))
    assert copies[0] < copies[1]


class Adds(Net):
    """A model that changes what an encoder returned: it is recorded a visit later."""

    def forward(self, ehr: Tensor, cxr: Tensor) -> Tensor:
        found = self.cxr(cxr)
        found += 1.0
        return self.head(torch.cat([self.ehr(ehr).mean(1), found], dim=1))


def test_a_replay_that_a_fast_pass_shows_wrong_is_not_forgotten(monkeypatch: pytest.MonkeyPatch):
    played: list[bool] = []

    def differs(self: Points, number: int, batch: object, value: LossSum) -> float:
        if number > 1:  # recorded as a copy at once
            return value.total.item()
        played.append(self._quick.repeating)
        raise ReplayRefused("batch 1 has another loss")

    monkeypatch.setattr(Points, "_compared_with_plain", differs)
    points = Points(subject_of(Adds()), "ehr")
    with points.session():
        values(points)
        assert played[0]  # the first displaced pass recorded and played nothing
        assert "Nothing was replayed: batch 1 has another loss." in points.notes()
        assert points.replayed == ()
