"""Planes of two encoders: the numbers of the plain grid, for one pass per coordinate."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from sharpscope.landscape import Landscape, crossed, filling
from sharpscope.results import LandscapeResult
from sharpscope.subject import Subject
from tests import problems
from tests.subject.snapshot import photograph, same

SHAPE = (7, 5)


class Two(nn.Module):
    """Encoders, a third one that stands still, and a way to bring them together."""

    def __init__(self, fuse: Callable[["Two", Tensor, Tensor, Tensor], Tensor]):
        super().__init__()
        self.a = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 4))
        self.b = nn.Sequential(nn.Linear(2, 4), nn.LayerNorm(4), nn.ReLU())
        self.c = nn.Linear(2, 4)
        self.head = nn.Linear(4, 3)
        self.fuse = fuse
        for name in "abc":
            layers: Any = getattr(self, name)
            first: Any = layers[0] if name != "c" else layers
            run = first.forward
            first.forward = self._counted(name, run)

    def _counted(self, name: str, run: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        def forward(x: Tensor) -> Tensor:
            CALLS[name] += 1
            return run(x)

        return forward

    def forward(self, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
        return self.head(self.fuse(self, a, b, c))


CALLS: Counter[str] = Counter()


def added(model: Two, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    return torch.tanh(model.a(a) * model.b(b) + model.c(c))


def written(model: Two, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """Change the first encoder's output in place."""
    return model.a(a).add_(model.b(b)).mul_(model.c(c))


def chained(model: Two, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """Let one encoder read the other."""
    return model.a(model.b(b)[:, :3]) + model.c(c)


def entangled(model: Any, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """Let no module be run with the weights of one encoder alone."""
    return functional.linear(a, model.a[0].weight + model.b[0].weight.sum())


def subject_of(fuse: Any = added, **settings: Any) -> Subject:
    torch.manual_seed(0)
    model = Two(fuse)
    data = [
        (torch.randn(n, 3), torch.randn(n, 2), torch.randn(n, 2), torch.randint(3, (n,)))
        for n in (4, 3)
    ]
    encoders = {"a": "a", "b": "b", "c": "c"}
    settings = {"loss": functional.cross_entropy, "memory": 10**9} | settings
    return Subject(model, data, encoders=encoders, **settings)


def plane(subject: Subject, modality: str = "a+b", **more: Any) -> LandscapeResult:
    return Landscape(shape=SHAPE, axes="encoders", span=0.7, **more)(subject, modality)


@pytest.mark.parametrize("fuse", [added, written, chained])
@pytest.mark.parametrize("modality", ["a+b", "b+a"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_point_is_that_of_the_plain_grid_bit_for_bit(fuse: Any, modality: str, dtype: str):
    subject = subject_of(fuse, replay=True, dtype=dtype)
    before = photograph(subject.model)
    found = plane(subject, modality)
    same(subject.model, before)
    wanted = plane(subject_of(fuse, replay=False, dtype=dtype), modality)
    assert found.values.tolist() == wanted.values.tolist()
    assert found.notes == ()
    assert found.evaluations == wanted.evaluations
    assert (set(found.replayed) >= {"a", "b", "c"}) == (fuse is not chained)


def test_each_encoder_is_run_once_for_each_coordinate():
    subject = subject_of(replay=True)
    CALLS.clear()
    plane(subject)
    # Per batch: two passes of the proof; the diagonal, a survey of the first batch for each axis
    # and its batch, and the plain pass that is compared.
    diagonal, batches = max(SHAPE), 2
    most = (diagonal + 1 + 2) * batches + 3
    assert CALLS["a"] <= most
    assert CALLS["b"] <= most
    CALLS.clear()
    plane(subject_of(replay=False))
    assert CALLS["a"] >= SHAPE[0] * SHAPE[1] * batches


def test_a_chain_runs_the_one_that_reads_the_other_everywhere():
    CALLS.clear()
    plane(subject_of(chained, replay=True))
    assert CALLS["a"] >= SHAPE[0] * SHAPE[1] * 2
    assert CALLS["b"] <= (max(SHAPE) + 3) * 2 + 4


def test_entangled_encoders_are_told():
    found = plane(subject_of(entangled, replay=True))
    wanted = plane(subject_of(entangled, replay=False))
    np.testing.assert_allclose(found.values, wanted.values, rtol=1e-6)
    assert found.notes == (
        "Both encoders were run at every point: nothing in them stands still while the other one "
        "moves.",
    )


def test_a_metric_comes_along():
    subjects = [subject_of(replay=replay) for replay in (True, False)]
    found, wanted = (plane(subject, metric="accuracy") for subject in subjects)
    assert found.metric_values is not None
    assert wanted.metric_values is not None
    assert found.metric_values.tolist() == wanted.metric_values.tolist()
    assert found.values.tolist() == wanted.values.tolist()
    assert "a" in found.replayed


def test_a_point_that_differs_from_a_plain_one_is_refused(monkeypatch: pytest.MonkeyPatch):
    sums = crossed.Crossed._sums

    def wrong(self: Any, x: int, y: int, tapes: Any) -> list[float]:
        found = sums(self, x, y, tapes)
        return [1.001 * value for value in found] if len(tapes) == 2 else found

    monkeypatch.setattr(crossed.Crossed, "_sums", wrong)
    found = plane(subject_of(replay=True))
    np.testing.assert_allclose(found.values, plane(subject_of(replay=False)).values, rtol=1e-6)
    (note,) = found.notes
    assert note.startswith("Both encoders were run at every point: batch 1 has the loss ")


def test_outputs_that_are_changed_again_and_again_are_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sharpscope.replay.tape.Tape.knows", lambda self, number: False)
    found = plane(subject_of(replay=True))
    assert found.values.tolist() == plane(subject_of(replay=False)).values.tolist()
    assert found.notes == (
        "Both encoders were run at every point: outputs are changed after they were recorded.",
    )


def test_little_memory_makes_it_slow_and_no_other():
    found = plane(subject_of(replay=True, memory=0))
    np.testing.assert_allclose(found.values, plane(subject_of(replay=False)).values, rtol=1e-6)


def test_statistics_taken_anew_are_not_crossed():
    model = problems.build("conv_batchnorm")
    settings = Landscape(shape=(3, 3), axes="encoders", statistics="recalibrated")
    found = [
        settings(problems.subject_of(model, replay=replay), "ehr+cxr").values
        for replay in (True, False)
    ]
    np.testing.assert_allclose(found[0], found[1], rtol=1e-9)


def test_an_interrupted_plane_goes_on_bit_for_bit(tmp_path: Path):
    whole = plane(subject_of(replay=True))
    settings = Landscape(shape=SHAPE, axes="encoders", span=0.7)

    class Killed(BaseException):
        pass

    def kill(what: str) -> None:
        if what.startswith("11 of"):
            raise Killed

    out = tmp_path / "ab.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(filling, "_KEEP_SECONDS", 0.0)
        with pytest.raises(Killed):
            settings(subject_of(replay=True), "a+b", out=out, watcher=kill)
    again = settings(subject_of(replay=True), "a+b", out=out)
    assert again.values.tolist() == whole.values.tolist()
