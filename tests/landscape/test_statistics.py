"""BatchNorm statistics along a landscape: frozen, or taken anew at every point."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sharpscope.errors import SubjectError
from sharpscope.landscape import Landscape
from sharpscope.subject import Subject
from sharpscope.subject.points import Points
from tests import problems
from tests.subject.snapshot import photograph, same


def recalibrated(model: nn.Module, batches: list[Any]) -> nn.Module:
    """Return a copy with the statistics that torch's own cumulative average gives, by items."""
    found = copy.deepcopy(model).double().eval()
    norms: list[Any] = [m for m in found.modules() if isinstance(m, nn.BatchNorm2d)]
    sums = [(torch.zeros_like(m.running_mean), torch.zeros_like(m.running_var)) for m in norms]
    items = 0
    for batch in batches:
        for norm in norms:
            norm.train()
            norm.momentum = 1.0  # the statistics of this batch
        with torch.no_grad():
            found(*[part.double() for part in batch[:-1]])
        count = len(batch[-1])
        items += count
        for norm, (mean, variance) in zip(norms, sums, strict=True):
            mean += count * norm.running_mean
            variance += count * norm.running_var
    for norm, (mean, variance) in zip(norms, sums, strict=True):
        norm.running_mean, norm.running_var = mean / items, variance / items
    return found.eval()


@pytest.mark.parametrize("replay", [True, False])
def test_every_point_has_the_statistics_of_its_own_weights(replay: bool):
    model = problems.build("conv_batchnorm")
    before = photograph(model)
    subject = problems.subject_of(model, replay=replay)
    found = Landscape(shape=(5,), statistics="recalibrated", keep_directions=True, span=0.5)(
        subject, "cxr"
    )
    same(model, before)
    assert found.direction_x is not None
    names = subject.select("cxr").names
    for x, value in zip(found.x, found.values, strict=True):
        moved = copy.deepcopy(model).double()
        table: dict[str, Any] = dict(moved.named_parameters())
        sizes = [table[n].numel() for n in names]
        step = torch.from_numpy(float(x) * found.direction_x)
        with torch.no_grad():
            for n, piece in zip(names, step.split(sizes), strict=True):
                table[n] += piece.view_as(table[n])
        anew = recalibrated(moved, problems.batches())
        wanted = problems.subject_of(anew).census().loss_value
        assert value == pytest.approx(wanted, rel=1e-9)
    assert found.settings["statistics"] == "recalibrated"
    (note,) = [note for note in found.notes if note.startswith("BatchNorm statistics were taken")]
    assert "on the same 12 samples, also at the model itself, whose loss is " in note
    assert found.values[2] != found.loss_value


def test_frozen_statistics_are_the_default_around_a_model_and_not_between():
    model = problems.build("conv_batchnorm")
    other = copy.deepcopy(model)
    for p in other.parameters():
        p.data *= 1.1
    subject = problems.subject_of(model)
    assert Landscape(shape=(3,))(subject, "cxr").settings["statistics"] == "frozen"
    between = Landscape(shape=(5,), axes="line")(subject, "cxr", through=[other])
    assert between.settings["statistics"] == "recalibrated"


CALLS: list[int] = []


class Counted(nn.Linear):
    """Notes its calls where replay does not see it."""

    def forward(self, input: Tensor) -> Tensor:
        CALLS.append(1)
        return super().forward(input)


class Deep(nn.Module):
    """Two encoders with a norm each; the fused features are normalized again."""

    def __init__(self):
        super().__init__()
        self.a = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 2))
        self.b = nn.Sequential(Counted(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 2))
        self.last = nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 3))

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.last(torch.cat([self.a(a), self.b(b)], 1))


def deep(sizes: tuple[int, ...] = (5, 4, 1), **more: Any) -> Subject:
    torch.manual_seed(0)
    model = Deep().double()
    data = [
        (torch.randn(n, 3).double(), torch.randn(n, 3).double(), torch.randint(3, (n,)))
        for n in sizes
    ]
    loss = nn.functional.cross_entropy
    return Subject(model, data, loss=loss, encoders={"a": "a", "b": "b"}, **more)


def test_replay_and_recalibration_agree_and_the_other_encoder_runs_once():
    values: list[np.ndarray] = []
    counts: list[int] = []
    for replay, points in ((True, 7), (True, 11), (False, 7), (False, 11)):
        CALLS.clear()
        found = Landscape(shape=(points,), statistics="recalibrated")(deep(replay=replay), "a")
        values.append(found.values)
        counts.append(len(CALLS))
    np.testing.assert_allclose(values[0], values[2], rtol=1e-12)
    np.testing.assert_allclose(values[1], values[3], rtol=1e-12)
    assert counts[0] == counts[1]  # four more points cost it nothing
    assert counts[3] - counts[2] == 4 * 2 * 3  # a pass to calibrate and one to measure, 3 batches


def test_a_batch_of_one_item_is_normalized_as_by_the_model_at_every_point():
    # Whatever was measured before: a point has one value, and a batch of one item tells nothing.
    points = Points(deep(), "a", recalibrate=True)
    torch.manual_seed(1)
    step = 0.3 * torch.randn(points.dim, dtype=torch.float64)
    with points.session():
        first = points.value(step)
        assert points.value(step) == first
        points.value(-2 * step)
        assert points.value(step) == first
        points.value(float("nan") * step)
        assert points.value(step) == first
    norms: list[Tensor] = []
    for sizes in ((5, 4, 1), (5, 4)):
        points = Points(deep(sizes), "a", recalibrate=True)
        with points.session():
            points.value(step)
            model: Any = points.subject.model
            norms.append(model.a[1].running_mean.clone())
    assert torch.equal(*norms)


class Siamese(Deep):
    """Both encoders end in one trunk, whose norm sees what moves and what does not."""

    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(nn.BatchNorm1d(2), nn.Tanh(), nn.Linear(2, 2))

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.last(torch.cat([self.trunk(self.a(a)), self.trunk(self.b(b))], 1))


def test_a_norm_that_sees_both_what_moves_and_what_does_not():
    values: list[np.ndarray] = []
    for replay in (True, False):
        torch.manual_seed(0)
        model, data = Siamese().double(), list(deep().batches)
        subject = Subject(
            model, data, loss=nn.functional.cross_entropy,
            encoders={"a": "a", "b": "b"}, replay=replay,
        )  # fmt: skip
        found = Landscape(shape=(7,), statistics="recalibrated", span=2.0)(subject, "a")
        values.append(found.values)
        if replay:
            assert any(
                note.startswith("Statistics were taken without replay: trunk.0 is run both by")
                for note in found.notes
            ), found.notes
    np.testing.assert_allclose(values[0], values[1], rtol=1e-12)


def test_norms_that_are_called_otherwise_and_norms_that_cannot_be():
    class Named(nn.BatchNorm1d):
        def forward(self, input: Tensor) -> Tensor:
            return super().forward(input)

    class Strict(nn.BatchNorm1d):
        def forward(self, input: Tensor) -> Tensor:
            return nn.functional.batch_norm(
                input, self.running_mean, self.running_var, training=self.training
            )

    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("running_mean", torch.zeros(4))

        def forward(self, x: Tensor) -> Tensor:
            return x - self.get_buffer("running_mean")

    class Keyword(nn.Module):
        def __init__(self, norm: nn.Module):
            super().__init__()
            self.line, self.norm = nn.Linear(3, 4), norm

        def forward(self, x: Tensor) -> Tensor:
            h = self.line(x)
            return self.norm(h) if isinstance(self.norm, Own) else self.norm(input=h)

    def look(norm: nn.Module) -> Any:
        subject = deep()
        model: Any = subject.model
        model.a = nn.Sequential(Keyword(norm), nn.Linear(4, 2)).double()
        subject = Subject(
            model, list(subject.batches), loss=nn.functional.cross_entropy,
            encoders={"a": "a", "b": "b"},
        )  # fmt: skip
        before = photograph(model)
        try:
            return Landscape(shape=(3,), statistics="recalibrated")(subject, "a")
        finally:
            same(model, before)  # also where a norm fails in the middle of a pass

    assert np.isfinite(look(Named(4)).values).all()
    with pytest.raises(SubjectError, match=r"the statistics of a\.0\.norm cannot be taken anew, s"):
        look(Strict(4))
    notes = look(Own()).notes
    assert "The running statistics of a.0.norm were left as they are." in notes


def test_statistics_that_replay_would_get_wrong_are_taken_from_plain_passes():
    class Sly(Deep):
        last: Any

        def forward(self, a: Tensor, b: Tensor) -> Tensor:
            shift = next(self.a.parameters()).detach().numpy().sum()  # past what watches tensors
            return self.last(torch.cat([self.a(a), self.b(b + float(shift))], 1))

    subject = deep()
    subject.model.__class__ = Sly
    wanted = deep(replay=False)
    wanted.model.__class__ = Sly
    found, plain = (
        Landscape(shape=(3,), statistics="recalibrated", normalize="none", span=0.3)(one, "a")
        for one in (subject, wanted)
    )
    np.testing.assert_allclose(found.values, plain.values, rtol=1e-12)
