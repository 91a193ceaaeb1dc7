"""Landscape points the fast way: the plain numbers, or the plain way with a note."""

import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from sharpscope.landscape import Landscape, filling
from sharpscope.subject import Subject
from sharpscope.subject.points import Points
from sharpscope.subject.quick import Quick
from tests import problems
from tests.subject.snapshot import photograph, same


class Net(nn.Module):
    """An encoder of convolutions with norms, one of attention, and a head."""

    def __init__(self):
        super().__init__()
        layers = [nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(inplace=True)]
        layers += [nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4, affine=False), nn.Tanh(), nn.Flatten()]
        self.cxr = nn.Sequential(*layers, nn.Linear(16, 4), nn.BatchNorm1d(4))
        self.ehr = nn.TransformerEncoderLayer(8, 2, 8, batch_first=True)
        self.head = nn.Linear(12, 3)
        for norm in self.modules():
            if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
                assert norm.running_mean is not None
                assert norm.running_var is not None
                nn.init.normal_(norm.running_mean)
                nn.init.uniform_(norm.running_var, 0.5, 2.0)

    def forward(self, ehr: Tensor, cxr: Tensor) -> Tensor:
        return self.head(torch.cat([self.ehr(ehr).mean(1), self.cxr(cxr)], dim=1))


def batches() -> list[Any]:
    generator = torch.Generator().manual_seed(1)
    return [
        (
            torch.randn(n, 5, 8, generator=generator),
            torch.randn(n, 1, 6, 6, generator=generator),
            torch.randint(3, (n,), generator=generator),
        )
        for n in (4, 4, 3)
    ]


def subject_of(model: nn.Module, **settings: Any) -> Subject:
    settings = {"replay": True, "memory": 10**9, "loss": functional.cross_entropy} | settings
    return Subject(model, batches(), encoders={"ehr": "ehr", "cxr": "cxr"}, **settings)


def direction(points: Points) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    return 0.1 * torch.randn(points.dim, generator=generator, dtype=torch.float64)


def values(points: Points) -> list[float]:
    d = direction(points)
    return [points.value(step * d) for step in (-2.0, -1.0, 0.5, 1.0, 2.0)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("modality", ["cxr", "ehr", "all", "cxr.1.*", "shared"])
def test_fast_points_are_the_plain_ones(modality: str, dtype: str):
    model = Net()
    before = photograph(model)
    found: list[list[float]] = []
    for replay in (True, False):
        points = Points(subject_of(model, replay=replay, dtype=dtype), modality)
        with points.session():
            found.append(values(points))
            assert points._quick.accepted == (replay and modality != "shared")
            assert points.evaluations == 5
            if replay and modality in ("cxr", "all"):
                assert points._quick.folded == {
                    "cxr.0": "cxr.1",
                    "cxr.3": "cxr.4",
                    "cxr.7": "cxr.8",
                }
            assert points.notes() == ()
    assert found[0] == pytest.approx(found[1], rel=1e-6 if dtype == "float32" else 1e-12)
    same(model, before)


def test_a_point_does_not_depend_on_those_before_it():
    points = Points(subject_of(Net()), "all")
    with points.session():
        first = values(points)
        assert values(points) == first
    with points.session():
        assert points.value(2.0 * direction(points)) == first[-1]
        assert points.value(-2.0 * direction(points)) == first[0]


def test_slopes_stay_plain():
    model = Net()
    found: list[Any] = []
    for fast in (True, False):
        points = Points(subject_of(model), "all")
        with points.session():
            if fast:
                values(points)
                assert points._quick.accepted
            found.append(points.slope(direction(points)))
    assert found[0].value == found[1].value
    assert torch.equal(found[0].gradient, found[1].gradient)


def _kernels_of(points: Points) -> tuple[set[str], set[str]]:
    """Return the operations of a point's value and of its slope."""
    found: list[set[str]] = []
    for work in (points.value, points.slope):
        with torch.profiler.profile() as profile:
            work(direction(points))
        found.append({event.key for event in profile.key_averages()})
    return found[0], found[1]


def test_attention_is_fused_and_norms_are_gone_where_there_is_no_gradient():
    points = Points(subject_of(Net()), "all")
    with points.session():
        values(points)
        fast, slow = _kernels_of(points)
        fused = {name for name in fast if "flash_attention" in name or "efficient" in name}
        assert fused
        assert not fused & slow
        assert "aten::batch_norm" not in fast
        assert "aten::batch_norm" in slow


def test_nothing_is_tried_where_there_is_nothing_to_gain():
    for name in ("layer_norm", "group_norm"):
        subject = problems.subject_of(problems.build(name), replay=True, memory=10**9)
        points = Points(subject, problems.PROBLEMS[name].modality)
        with points.session():
            values(points)
            assert not points._quick.accepted
            assert points.notes() == ()


class Scaled(nn.Module):
    """A loss that is another one where a norm is not called as it was at first."""

    def __init__(self):
        super().__init__()
        self.cxr = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
        self.ehr = nn.Linear(1, 1)


def _counting(model: Any, batch: Any) -> Tensor:
    calls = torch.zeros(())

    class Counting(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None):
            if "batch_norm" in str(func):
                calls.add_(1.0)
            return func(*args, **(kwargs or {}))

    with Counting():
        found = model.cxr(batch[1]).square().mean()
    return found * (1 + 1e-3 * calls.item())


def test_another_loss_is_refused_with_a_note():
    model, found = Scaled(), list[list[float]]()
    for replay in (True, False):
        points = Points(subject_of(model, loss=_counting, replay=replay), "cxr")
        with points.session():
            found += [values(points), values(points)]
            notes = points.notes()
        assert len(notes) == replay
        assert not notes or notes[0].startswith("Nothing was folded or fused: batch 1 has the loss")
    assert found == [found[0]] * 4


def _raising(model: Any, batch: Any) -> Tensor:
    return model.cxr(batch[1]).square().mean() + 0 * _norm_calls(model)


def _norm_calls(model: Any) -> int:
    if "forward" in vars(model.cxr[1]) and "found" in vars(model):
        raise ValueError("somebody has been here")
    return 0


def test_an_error_of_the_fast_way_is_no_error():
    model: Any = Scaled()
    plain = Points(subject_of(model, replay=False, loss=_raising), "cxr")
    with plain.session():
        wanted = values(plain)
    points = Points(subject_of(model, loss=_raising), "cxr")
    with points.session():
        first = points.value(-2.0 * direction(points))
        assert points._quick.accepted
        model.found = True  # given back by the session
        found = values(points)
        assert not points._quick.accepted
        assert points.notes() == ("Nothing was folded or fused: a pass raised ValueError.",)
    assert first == pytest.approx(wanted[0], rel=1e-6)
    assert found == wanted


def test_an_error_of_the_model_comes_once_more():
    def work() -> float:
        raise RuntimeError("out of luck")

    quick = Quick(nn.Linear(1, 1))
    for accepted in (True, False):
        quick.accepted = accepted
        with pytest.raises(RuntimeError, match="out of luck"):
            quick.run(work, displaced=True)


def test_what_is_not_finite_decides_nothing_and_is_run_plain():
    answers = iter([float("nan"), float("inf"), 3.0])
    quick = Quick(nn.Linear(1, 1))
    assert quick.run(lambda: next(answers), displaced=True) != 0
    assert not quick.accepted
    quick.accepted = True
    assert quick.run(lambda: next(answers), displaced=True) == 3.0


@pytest.mark.parametrize("name", ["conv_batchnorm", "attention"])
def test_a_resumed_landscape_takes_the_same_way(name: str, tmp_path: Any):
    model, modality = problems.build(name).float(), problems.PROBLEMS[name].modality
    settings = Landscape(shape=(5, 5), seed=3)
    settled: dict[str, Any] = {"replay": True, "memory": 10**9, "dtype": "float32"}
    whole = settings(problems.subject_of(model, **settled), modality)

    class Killed(BaseException):
        pass

    def kill(what: str) -> None:
        if what.startswith("11 of"):
            raise Killed

    out = tmp_path / "found.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(filling, "_KEEP_SECONDS", 0.0)
        with pytest.raises(Killed):
            settings(
                problems.subject_of(model, **settled),
                modality, out=out, watcher=kill,
            )  # fmt: skip
    again = settings(problems.subject_of(model, **settled), modality, out=out)
    assert again.values.tolist() == whole.values.tolist()


_FAULTS = """
import resource, torch
from sharpscope.subject.memory import keep_freed_memory
torch.set_num_threads(1)
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        a, b, c = (torch.ones(4 * 2**20) for _ in range(3))
        del a, b, c
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
first, _ = faults(), keep_freed_memory()
faults()
print(first, faults())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="page faults are counted on Linux")
def test_freed_memory_is_kept():
    done = subprocess.run(
        [sys.executable, "-c", _FAULTS], capture_output=True, text=True, check=True
    )
    before, after = map(int, done.stdout.split())
    assert after < before / 5
