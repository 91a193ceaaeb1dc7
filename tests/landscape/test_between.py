"""Lines, planes and principal components of checkpoints, where the truth is known."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sharpscope.errors import CheckpointError, MisuseError
from sharpscope.landscape import Landscape
from sharpscope.landscape.grid import axis_over
from sharpscope.landscape.waypoints import waypoints
from sharpscope.subject import Subject
from tests import problems


class Bowl(nn.Module):
    """A weight of three numbers, whose loss is half its squared length in a known metric."""

    def __init__(self, weight: list[float]):
        super().__init__()
        self.a = nn.Linear(3, 1, bias=False).double()
        self.a.weight.data = torch.tensor([weight], dtype=torch.float64)


METRIC = torch.tensor([4.0, 1.0, 9.0], dtype=torch.float64)


def loss_at(weight: Any) -> float:
    return 0.5 * float((METRIC * torch.as_tensor(weight, dtype=torch.float64) ** 2).sum())


def bowl(*weight: float) -> Subject:
    def loss(model: Any, batch: Tensor) -> Tensor:
        return 0.5 * (METRIC * model.a.weight[0] ** 2).sum() + 0 * batch.sum()

    return Subject(Bowl(list(weight)), [torch.zeros(2, 1)], loss=loss, encoders={"a": "a"})


def state(*weight: float) -> dict[str, Tensor]:
    return {"a.weight": torch.tensor([weight], dtype=torch.float64)}


def test_a_line_holds_both_models_exactly():
    here, there = (1.0, 0.0, 0.5), (0.0, 2.0, -0.5)
    found = Landscape(shape=(9,), axes="line")(bowl(*here), "a", through=[state(*there)])
    assert found.x.tolist() == [-0.5, -0.25, 0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5]
    for x, value in zip(found.x, found.values, strict=True):
        point = [(1 - x) * h + x * t for h, t in zip(here, there, strict=True)]
        assert value == pytest.approx(loss_at(point), rel=1e-14)
    assert found.path_x is not None
    assert found.path_loss is not None
    assert (found.path_x.tolist(), found.path_loss.tolist()) == ([1.0], [found.values[6]])
    assert (found.labels, found.path_names, found.runs) == (
        ("to the a of run 1",),
        ("run 1",),
        ("run",),
    )
    assert found.settings["statistics"] == "frozen"  # there are none


def test_a_plane_through_three_models_keeps_their_distances():
    here, first, second = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 3.0)
    found = Landscape(shape=(21, 21), axes="line", keep_directions=True)(
        bowl(*here), "a", through=[("first", state(*first)), ("second", state(*second))]
    )
    assert found.lengths == pytest.approx((2**0.5, 2**0.5))
    assert found.direction_x is not None
    assert found.direction_y is not None
    assert float(found.direction_x @ found.direction_y) == pytest.approx(0, abs=1e-15)
    assert found.path_x is not None
    assert found.path_y is not None
    assert found.path_loss is not None
    # In units of the way to the first: |second - here|² = 10, |second - first|² = 10.
    distances = [np.hypot(x, y) * 2**0.5 for x, y in zip(found.path_x, found.path_y, strict=True)]
    assert distances == pytest.approx([2**0.5, 10**0.5])
    between = np.hypot(*(np.diff(p)[0] for p in (found.path_x, found.path_y))) * 2**0.5
    assert between == pytest.approx(10**0.5)
    assert found.path_loss.tolist() == pytest.approx([loss_at(first), loss_at(second)])
    row = int(np.flatnonzero(found.y == 0)[0])  # pyright: ignore[reportArgumentType]
    one = int(np.flatnonzero(found.x == 1)[0])
    assert found.values[row, one] == pytest.approx(loss_at(first), rel=1e-14)
    assert found.x[0] <= -0.5 < found.path_x.max() + 0.5 <= found.x[-1] + 0.5
    assert found.y is not None
    assert found.y[-1] >= found.path_y[1] >= found.y[0]
    assert found.labels == ("to the a of first", "orthogonal to it")


def spiral() -> list[dict[str, Tensor]]:
    """Return checkpoints in the plane of the first and last weight, most of them along the last."""
    steps = np.linspace(0, 1, 6)
    return [state(1 + 0.3 * np.sin(3 * t), 0.7, 5.0 * (1 - t)) for t in steps]


def test_principal_components_are_those_of_the_svd():
    run = spiral()
    subject = bowl(*run[-1]["a.weight"][0].tolist())
    found = Landscape(shape=(5, 7), axes="pca", keep_directions=True)(subject, "a", through=run)
    every = np.array([s["a.weight"][0].numpy() for s in run])
    away = every - every[-1]
    _, sizes, components = np.linalg.svd(every - every.mean(0))
    shares = sizes**2 / (sizes**2).sum()
    assert found.explained == pytest.approx(shares[:2], rel=1e-9)
    assert sum(found.explained) == pytest.approx(1.0)
    kept = np.array([found.direction_x, found.direction_y])
    np.testing.assert_allclose(np.abs(kept @ components[:2].T), np.eye(2), atol=1e-7)
    there = np.array([found.path_x, found.path_y])
    np.testing.assert_allclose(there, kept @ away.T, atol=1e-9)
    assert there[:, 0].min() > 0  # towards the first checkpoint
    assert found.path_loss is not None
    assert found.path_loss == pytest.approx([loss_at(w) for w in every])
    low, high = there.min(1), there.max(1)
    assert found.y is not None
    for axis, least, most in ((found.x, low[0], high[0]), (found.y, low[1], high[1])):
        assert 0.0 in axis.tolist()
        assert axis[0] <= least - 0.2 * (most - least) + 1e-12
        assert axis[-1] >= most + 0.2 * (most - least) - 1e-12
    assert found.labels == ("PCA 1", "PCA 2")
    assert found.loss_value == found.values[found.y == 0, :][0, found.x == 0][0]


def test_two_runs_share_a_plane():
    one, other = spiral(), [state(1.0, 0.7 + t, 5.0) for t in (0.0, 0.5, 1.0)]
    subject = bowl(*one[-1]["a.weight"][0].tolist())
    found = Landscape(shape=(3, 3), axes="pca")(subject, "a", through={"sam": one, "late": other})
    assert found.runs == ("sam", "late")
    assert found.path_run is not None
    assert found.path_run.tolist() == [0.0] * 6 + [1.0] * 3
    assert found.path_names[:2] == ("sam 1", "sam 2")
    assert sum(found.explained) < 1


def test_models_and_subjects_and_functions_are_checkpoints_alike():
    subject, other = bowl(1.0, 0.0, 0.0), bowl(0.0, 1.0, 2.0)
    there = state(0.0, 1.0, 2.0)
    wanted = waypoints(subject, subject.select("a"), {"run": [there]})
    for source in (other, other.model, nn.DataParallel(other.model), lambda: other.model):
        found = waypoints(subject, subject.select("a"), {"run": [source]})
        assert torch.equal(found[0].displacement, wanted[0].displacement)
    # One alone, in a list, under a name, or as a run.
    given: Any
    for given in (there, other, [there], {"run": [there]}, [("run 1", there)]):
        found = Landscape(shape=(5,), axes="line")(subject, "a", through=given)
        assert found.path_names == ("run 1",)
    with pytest.raises(MisuseError, match="run 1 must be a model, its state dict, a subject or "):
        waypoints(subject, subject.select("a"), {"run": [3]})  # pyright: ignore[reportArgumentType]


def test_what_cannot_be_between():
    here = (1.0, 0.0, 0.0)
    subject = bowl(*here)

    def look(axes: str, through: Any, shape: tuple[int, ...] = (5,), **more: Any) -> None:
        Landscape(shape=shape, axes=axes, **more)(subject, "a", through=through)

    same = state(*here)
    for axes, through, shape, message in (
        ("line", [same], (5,), "run 1 has the weights of the model itself in 'a': there is no li"),
        ("line", [], (5,), "axes='line' needs one other checkpoint for a line .*; got 0 and 1 ax"),
        ("line", [same] * 2, (5,), "two for a plane .two axes.; got 2 and 1 axes"),
        (
            "line",
            [state(2.0, 0.0, 0.0), state(3.0, 0.0, 0.0)],
            (5, 5),
            "run 1 and run 2 lie on one line with the model in 'a'",
        ),
        ("pca", [same], (5,), "axes='pca' needs checkpoints of a run that span 1 directions in 'a'"
         "; the 1 given span 0; a shape of fewer axes needs fewer"),
        ("pca", [same, state(2.0, 0.0, 0.0)], (5, 5), "span 2 directions in 'a'; the 2 given spa"),
        ("random", [same], (5,), "other checkpoints are for axes='line' and axes='pca'; got 1 of"),
        ("line", [state(float("nan"), 0.0, 0.0)], (5,), "run 1 has NaN or infinite weights in 'a'"),
        ("line", [("x", 1, 2)], (5,), "run 1 must be one checkpoint, or a pair of its name and "),
        ("line", [state(3.0, 0.0, 1.0)], (3,), "an axis from -0.5 to 1.5 with both models on it"),
    ):  # fmt: skip
        with pytest.raises(MisuseError, match=message):
            look(axes, through, shape)
    with pytest.raises(CheckpointError, match="run 1 does not fit the model: "):
        look("line", [{"a.weight": torch.ones(1, 4)}])
    with pytest.raises(MisuseError, match="span='auto' is for axes around a model: those of axes="):
        look("line", [state(2.0, 0.0, 0.0)], span="auto")


@pytest.mark.parametrize("count", [5, 7, 21, 51])
@pytest.mark.parametrize(("low", "high"), [(-0.5, 1.5), (-2.0, 0.0), (0.0, 3.0), (-1e-3, 7.7)])
def test_axes_reach_both_ends_with_the_model_on_them(count: int, low: float, high: float):
    axis = axis_over(count, low, high)
    assert len(axis) == count
    assert axis[0] <= low + 1e-12
    assert axis[-1] >= high - 1e-12
    assert 0.0 in axis.tolist()
    np.testing.assert_allclose(np.diff(axis), axis[1] - axis[0], rtol=1e-9)
    # No wider than one more step at either end would make it.
    assert axis[-1] - axis[0] <= (high - low) * (count - 1) / (count - 3) + 1e-9


def test_an_axis_with_both_models_says_how_many_points_it_needs():
    for low, high in ((-0.5, 1.5), (-0.2, 3.4), (0.0, 1.0)):
        with pytest.raises(MisuseError, match="with both models on it needs") as caught:
            axis_over(1, low, high, ends=True)
        needed = int(str(caught.value).split("needs ")[1].split()[0])
        assert needed % 2 == 1
        assert {0.0, 1.0} <= set(axis_over(needed, low, high, ends=True).tolist())


def test_a_line_between_networks_ends_at_the_other_loss():
    model, other = problems.build("layer_norm"), problems.build("layer_norm")
    torch.manual_seed(3)
    for p in other.parameters():
        p.data += 0.1 * torch.randn_like(p)
    found = Landscape(shape=(5,), axes="line", span=0.4)(
        problems.subject_of(model), "all", through=[other]
    )
    theirs = problems.subject_of(copy.deepcopy(other)).census().loss_value
    place = int(np.flatnonzero(found.x == 1)[0])
    assert found.values[place] == pytest.approx(theirs, rel=1e-7)


def test_points_of_a_plane_to_another_checkpoint_are_refused(tmp_path: Path):
    # The directions of both planes are equal bit for bit, and their coordinates are not.
    subject, out = bowl(0.0, 0.0, 0.0), tmp_path / "a.json"
    near, far = ([state(1.0, 0.0, 0.0), state(0.0, length, 0.0)] for length in (1.0, 2.0))
    settings = Landscape(shape=(9, 9), axes="line", max_seconds=1e-9)
    settings(subject, "a", through=near, out=out)
    with pytest.raises(MisuseError, match="holds points of another landscape"):
        settings(subject, "a", through=far, out=out)


def test_a_line_of_weights_in_half_precision_ends_at_the_other_model():
    model, other = problems.build("layer_norm"), problems.build("layer_norm")
    torch.manual_seed(3)
    for p in other.parameters():
        p.data += 0.1 * torch.randn_like(p)
    model, other = model.bfloat16(), other.bfloat16()
    data = [tuple(part.bfloat16() if part.is_floating_point() else part for part in batch)
            for batch in problems.batches()]  # fmt: skip

    def subject(one: nn.Module) -> Subject:
        loss = nn.functional.cross_entropy
        return Subject(one, data, loss=loss, encoders={"ehr": "ehr_model", "cxr": "cxr_model"})

    found = Landscape(shape=(5,), axes="line")(subject(model), "all", through=[other])
    theirs = subject(copy.deepcopy(other)).census().loss_value
    assert found.path_loss is not None
    assert found.path_loss[0] == pytest.approx(theirs, rel=1e-6)


def test_two_tensors_for_a_tied_one_are_refused():
    model = problems.build("tied")
    states = {name: value.clone() for name, value in model.state_dict().items()}
    tied = [name for name in states if name.startswith("ehr_model.")]
    first = next(a for a in tied for b in tied if a != b and torch.equal(states[a], states[b]))
    states[first] += 1
    with pytest.raises(CheckpointError, match=r"run 1 does not fit the model: .* are one tenso"):
        Landscape(shape=(5,), axes="line")(problems.subject_of(model), "ehr", through=[states])


def test_what_stays_where_it_is_is_told():
    here = bowl(1.0, 0.0, 0.0)
    line = Landscape(shape=(5,), axes="line")
    (note,) = line(here, "a", through=[state(0.0, 1.0, 0.0)]).notes
    assert note == "Only a moves: everything else is the model's own at every point."
    assert line(here, "all", through=[state(0.0, 1.0, 0.0)]).notes == ()
