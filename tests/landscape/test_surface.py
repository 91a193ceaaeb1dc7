"""Landscapes of losses that are known functions of two parameters."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from sharpscope.errors import MisuseError
from sharpscope.landscape import Landscape, frames
from sharpscope.results import LandscapeResult, Outcome, load
from sharpscope.subject import Subject
from tests import problems
from tests.landscape.known import known, signs
from tests.subject.snapshot import photograph, same


def test_every_point_of_a_rectangular_grid_is_where_it_says():
    subject = known(lambda a, b: a + 10 * b)
    found = Landscape(shape=(7, 3), axes="encoders", span=0.6)(subject, "a+b")
    dx, dy = signs(subject, "a+b")
    assert found.values.shape == (3, 7)
    for row, y in enumerate([-0.6, 0.0, 0.6]):
        for column, x in enumerate([-0.6, -0.4, -0.2, 0.0, 0.2, 0.4, 0.6]):
            wanted = 1 + x * dx + 10 * (1 + y * dy)
            assert found.values[row, column] == pytest.approx(wanted, rel=1e-12)
    assert found.labels == ("a", "b")
    assert found.y is not None
    assert (found.x[3], found.y[1]) == (0.0, 0.0)


def test_the_center_is_the_plain_loss_bit_for_bit():
    for name in ("layer_norm", "conv_batchnorm", "attention"):
        model = problems.build(name)
        subject = problems.subject_of(model)
        before = photograph(model)
        found = Landscape(shape=(3, 5))(subject, "ehr")
        same(model, before)
        assert found.values[2, 1] == found.loss_value == subject.census().loss_value


@pytest.mark.parametrize("name", ["layer_norm", "conv_batchnorm", "tied"])
def test_points_are_those_of_a_moved_copy_and_replay_does_not_matter(name: str):
    model = problems.build(name)
    found = [
        Landscape(shape=(3, 3), seed=2, keep_directions=True)(
            problems.subject_of(model, replay=replay), "cxr"
        )
        for replay in (True, False)
    ]
    np.testing.assert_allclose(found[0].values, found[1].values, rtol=1e-9)
    assert found[0].direction_x is not None
    assert found[0].direction_y is not None
    subject = problems.subject_of(model)
    moved = problems.build(name).double()
    moved.load_state_dict(model.state_dict())
    names = subject.select("cxr").names
    step = torch.from_numpy(-found[0].direction_x + found[0].direction_y)
    table = dict(moved.named_parameters())
    with torch.no_grad():
        sizes = [table[n].numel() for n in names]
        for n, piece in zip(names, step.split(sizes), strict=True):
            table[n].add_(piece.view_as(table[n]))
    other = problems.subject_of(moved)
    assert found[0].values[2, 0] == pytest.approx(other.census().loss_value, rel=1e-9)


def test_lines_and_volumes():
    subject = known(lambda a, b: a**2 + 0 * b)
    line = Landscape(shape=(5,), span=1.0)(subject, "a")
    d = signs(subject, "a")[0]
    np.testing.assert_allclose(line.values, [(1 + x * d) ** 2 for x in line.x])
    assert (line.y, line.z, line.values.shape) == (None, None, (5,))
    assert line.curvatures == pytest.approx((2.0,))
    volume = Landscape(shape=(3, 5, 7), normalize="none", span=0.1)(subject, "a+b")
    assert volume.values.shape == (7, 5, 3)
    assert volume.values[3, 2, 1] == 1.0


def test_eigenvectors_have_the_curvature_of_their_eigenvalues():
    subject = known(lambda a, b: 3 * a**2 + 0.5 * b**2)
    found = Landscape(shape=(5, 5), axes="eigen", span=0.5)(subject, "a+b")
    assert found.curvatures == pytest.approx((6.0, 1.0), rel=1e-6)
    assert found.lengths == pytest.approx((1.0, 1.0))
    assert found.labels == ("eigenvector 1", "eigenvector 2")
    assert any(note.startswith("The eigenvalues along the axes are ") for note in found.notes)
    with pytest.raises(MisuseError, match="axes='eigen' needs 2 eigenvectors of 'a', which has 1"):
        Landscape(shape=(5, 5), axes="eigen")(subject, "a")


def test_eigenvectors_that_did_not_converge_are_told(monkeypatch: pytest.MonkeyPatch):
    found = frames.TopEigenvalues

    def few(**settings: Any) -> Any:
        return found(**settings, budget=8)

    monkeypatch.setattr(frames, "TopEigenvalues", few)
    subject = problems.subject_of(problems.build("layer_norm"))
    notes = Landscape(shape=(3, 3), axes="eigen", span=0.1)(subject, "ehr").notes
    assert any(note.startswith("The eigenvectors have residuals up to ") for note in notes)


def test_the_reach_is_found_where_the_loss_has_risen():
    # From 2 to 20 with both ways the same: 2 + k x² with k = 18 / 9 reaches it at 3.
    subject = known(lambda a, b: 2 + 2 * (a - 1) ** 2 + 0 * b)
    found = Landscape(shape=(3,), span="auto")(subject, "a")
    assert found.x[-1] == pytest.approx(3.0, rel=0.1)
    assert not found.notes
    flat = Landscape(shape=(3,), span="auto")(known(lambda a, b: 0 * a + 0 * b), "a")
    assert flat.notes == (
        f"The loss did not rise tenfold (nor by 1) within {flat.x[-1]:g} units of the directions, "
        "where the search ended.",
    )
    pole = Landscape(shape=(3,), span="auto")(known(lambda a, b: -torch.log(a) + 0 * b), "a")
    assert pole.x[-1] < 1.01


def test_encoders_do_not_see_each_other_where_the_loss_is_a_sum():
    subject = known(lambda a, b: a**2 + b**4)
    found = Landscape(shape=(5, 5), axes="encoders")(subject, "a+b")
    apart = found.values - found.values[2:3] - found.values[:, 2:3] + found.values[2, 2]
    np.testing.assert_allclose(apart, 0.0, atol=1e-12)


def test_filters_before_a_norm_may_be_scaled():
    torch.manual_seed(0)
    conv, norm = nn.Conv1d(2, 3, 3, bias=False).double(), nn.BatchNorm1d(3).double()
    encoder = nn.Sequential(conv, norm, nn.Flatten())
    model = nn.ModuleDict({"x": encoder, "out": nn.Linear(9, 2)}).double()
    data = [(torch.randn(6, 2, 5).double(), torch.randint(2, (6,)))]

    def loss(model: Any, batch: Any) -> Tensor:
        return functional.cross_entropy(model["out"](model["x"](batch[0])), batch[1])

    def line() -> np.ndarray:
        subject = Subject(model, data, loss=loss, encoders={"x": "x"})
        return Landscape(shape=(7,))(subject, "x").values

    encoder.train()
    for _ in range(200):  # until the running statistics are those of the data
        encoder(data[0][0])
    before = line()
    with torch.no_grad():
        conv.weight.mul_(4.0)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        norm.running_mean.mul_(4.0)
        norm.running_var.mul_(16.0)
        norm.eps *= 16
    np.testing.assert_allclose(line(), before, rtol=1e-9)


def test_what_is_not_finite_stays_so():
    subject = known(lambda a, b: torch.log(a) + 0 * b)
    found = Landscape(shape=(5,), span=2.0)(subject, "a")
    assert found.outcome is Outcome.NOT_FINITE
    assert np.isnan(found.values).sum() == 1
    assert np.isneginf(found.values).sum() == 1
    assert "Some points are not finite" in found.advice


def test_a_result_comes_back_with_its_directions(tmp_path: Path):
    subject = known(lambda a, b: a * b)
    found = Landscape(shape=(3, 3), keep_directions=True)(subject, "a+b")
    again = load(found.save(tmp_path / "x.json"))
    assert isinstance(again, LandscapeResult)
    assert again.direction_x is not None
    np.testing.assert_array_equal(again.values, found.values)
    np.testing.assert_array_equal(again.direction_x, signs(subject, "a+b"))
    assert repr(again).startswith("LandscapeResult(3 x 3, loss ")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"shape": ()}, "shape must have one, two or three axes, such as 51x51; got 0"),
        ({"shape": (3, 3, 3, 3)}, "shape must have one, two or three axes"),
        ({"shape": (4, 5)}, "every axis needs an odd number of points, .*; got 4x5"),
        ({"shape": (1,)}, "every axis needs an odd number of points, 3 at least"),
        (
            {"axes": "pca3"},
            "axes must be 'random', 'eigen', 'encoders', 'line' or 'pca'; got 'pca3'",
        ),
        ({"normalize": "tensor"}, "normalize must be 'filter', 'layer' or 'none'"),
        ({"span": 0.0}, "span must be a finite number above 0"),
        ({"span": "wide"}, "span must be 'auto'; got 'wide'"),
        ({"statistics": "moving"}, "statistics must be 'frozen' or 'recalibrated'; got 'moving'"),
        ({"metric": "f1"}, "metric must be 'accuracy', 'macro_auprc' or 'macro_auroc'; got 'f1'"),
        (
            {"axes": "eigen", "statistics": "recalibrated"},
            "axes='eigen' has the Hessian's eigenvectors, which is that of frozen statistics",
        ),
        ({"shape": (5.0,)}, r"shape must be whole numbers of points, .*; got \(5.0,\)"),
        ({"max_seconds": 0}, "max_seconds must be a finite number above 0"),
        ({"seed": -1}, "seed must be a whole number of at least 0"),
        ({"axes": "encoders", "shape": (5,)}, "the shape needs two axes; got 1"),
    ],
)
def test_settings(settings: dict[str, Any], message: str):
    with pytest.raises(MisuseError, match=message):
        Landscape(**settings)


def test_encoders_that_are_no_pair():
    subject = known(lambda a, b: a + b)
    with pytest.raises(MisuseError, match="axes='encoders' needs two modalities joined by '\\+'"):
        Landscape(shape=(3, 3), axes="encoders")(subject, "a")
    with pytest.raises(MisuseError, match="axes='encoders' needs two different modalities; got"):
        Landscape(shape=(3, 3), axes="encoders")(subject, "a+a")
    still = known(lambda a, b: a + b, b=0.0)
    with pytest.raises(MisuseError, match="no weight of 'a' or of 'b' can move"):
        Landscape(shape=(3, 3), axes="encoders")(still, "a+b")


def test_curvature_that_is_rounding_is_none():
    model = problems.build("layer_norm")
    fine = Landscape(shape=(3,), span=1e-4)(problems.subject_of(model, dtype="float32"), "ehr")
    assert fine.curvatures == (None,)
    assert fine.notes == (
        "The curvature along 'direction 1' is lost in rounding over one step of the grid: a larger "
        "span, fewer points or --dtype float64 shows it.",
    )
    exact = Landscape(shape=(3,), span=1e-4)(problems.subject_of(model), "ehr")
    assert exact.notes == ()
    assert exact.curvatures[0] is not None
