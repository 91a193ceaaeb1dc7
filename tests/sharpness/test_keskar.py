"""Q against closed forms, in the whole space and in subspaces."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from sharpscope.errors import MisuseError, SubjectError
from sharpscope.results import Outcome
from sharpscope.sharpness import KeskarSharpness, keskar
from sharpscope.sharpness.keskar import Subspace
from sharpscope.subject.points import Points
from tests import problems
from tests.sharpness.quadratics import subject_of
from tests.subject.snapshot import photograph, same


def test_it_is_the_value_worked_out_by_hand():
    subject = subject_of([1.0, 0.0], lambda t: (2 * t[0] ** 2 + t[1] ** 2) / 2)
    found = KeskarSharpness(epsilon=1e-2)(subject, "x")
    assert found.value == pytest.approx(2.0225, rel=1e-6)  # methods.md 6.4
    assert found.spread == pytest.approx(0.0, abs=1e-6)
    assert (found.outcome, found.loss_value) == (Outcome.COMPLETED, 1.0)
    assert found.method == "Keskar's Q, ε = 0.01, whole space"


def test_a_linear_loss_reaches_the_corner():
    slope = torch.tensor([3.0, -2.0, 0.5], dtype=torch.float64)
    at = [0.2, -4.0, 0.0]
    found = KeskarSharpness(epsilon=1e-3)(subject_of(at, lambda t: t @ slope + 20), "x")
    rise = sum(abs(g) * 1e-3 * (abs(x) + 1) for g, x in zip(slope.tolist(), at, strict=True))
    center = 20 + float(torch.tensor(at, dtype=torch.float64) @ slope)
    assert found.value == pytest.approx(100 * rise / (1 + center), rel=1e-9)


def test_a_minimum_is_left_from_a_random_start_and_q_is_never_negative():
    bowl = KeskarSharpness(epsilon=0.1)(subject_of([0.0, 0.0], lambda t: t.square().sum()), "x")
    assert bowl.value == pytest.approx(100 * 2 * 0.1**2)
    dome = KeskarSharpness(epsilon=0.1)(subject_of([0.0, 0.0], lambda t: 1 - t.square().sum()), "x")
    assert dome.value == 0.0


@pytest.mark.parametrize("stored", [True, False])
def test_a_subspace_is_that_of_its_matrix(stored: bool, monkeypatch: pytest.MonkeyPatch):
    if not stored:
        monkeypatch.setattr(keskar, "_STORED", 0)
    space = Subspace(7, 3, seed=2, repeat=1)
    eye = torch.eye(3, dtype=torch.float64)
    a = torch.stack([space.displacement(row) for row in eye], 1)
    np.testing.assert_allclose(a.norm(dim=0), 1.0, rtol=1e-6)
    x = torch.arange(7.0, dtype=torch.float64)
    np.testing.assert_allclose(space.coordinates(x), torch.linalg.pinv(a) @ x, rtol=1e-8)
    np.testing.assert_allclose(space.project(x), a.T @ x, rtol=1e-12)
    other = Subspace(7, 3, seed=2, repeat=2)
    assert abs(other.displacement(eye[0]) - a[:, 0]).max() > 1e-3


def test_q_in_a_subspace_is_the_best_corner_of_a_linear_loss():
    slope = torch.linspace(-1, 2, 9, dtype=torch.float64)
    at = torch.linspace(1, -1, 9, dtype=torch.float64)
    subject = subject_of(at.tolist(), lambda t: t @ slope + 9)
    found = KeskarSharpness(epsilon=1e-2, dimension=4, repeats=3)(subject, "x")
    wanted: list[float] = []
    for repeat in range(3):
        space = Subspace(9, 4, seed=0, repeat=repeat)
        box = 1e-2 * (space.coordinates(at).abs() + 1)
        rise = (space.project(slope).abs() * box).sum().item()
        wanted.append(100 * rise / (1 + 9 + (at @ slope).item()))
    assert found.values == pytest.approx(wanted, rel=1e-9)
    assert found.value == pytest.approx(np.mean(wanted))
    assert found.standard_error == pytest.approx(np.std(wanted, ddof=1) / math.sqrt(3))


@pytest.mark.parametrize("name", list(problems.PROBLEMS)[:5])
def test_an_encoder_rises_no_higher_than_the_best_corner_and_comes_back(name: str):
    model = problems.build(name)
    subject = problems.subject_of(model)
    before = photograph(model)
    found = KeskarSharpness(epsilon=1e-3, repeats=2)(subject, "ehr")
    same(model, before)
    assert found.value is not None
    # To first order it is the slope's; the box is small.
    points = Points(subject, "ehr")
    with points.session():
        slope = points.slope(None)
        here = points.selection.flatten(points.selection.parameters).double()
    rise = (slope.gradient.abs() * 1e-3 * (here.abs() + 1)).sum().item()
    assert found.value == pytest.approx(100 * rise / (1 + slope.value), rel=0.2)


def test_a_loss_that_is_not_finite_is_told():
    subject = subject_of([1e-4], lambda t: torch.log(t[0]) + 20)
    found = KeskarSharpness(epsilon=0.1)(subject, "x")
    assert (found.outcome, found.value) == (Outcome.NOT_FINITE, None)
    assert found.advice == "The loss was not finite somewhere in the neighborhood: make it smaller."


def test_time_makes_fewer_searches():
    subject = subject_of([1.0, 0.0], lambda t: t.square().sum())
    told: list[str] = []
    found = KeskarSharpness(max_seconds=1e-9)(subject, "x", watcher=told.append)
    assert (found.outcome, len(found.values)) == (Outcome.BUDGET_SPENT, 2)
    assert told == ["search 1 of 5", "search 2 of 5"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epsilon": 0}, "epsilon must be a finite number above 0"),
        ({"dimension": 0}, "dimension must be a whole number of at least 1"),
        ({"repeats": 1}, r"repeats must be .* at least 2 \(two tell how far they agree\)"),
        ({"iterations": 0}, "iterations must be a whole number of at least 1"),
        ({"seed": -1}, "seed must be a whole number of at least 0"),
        ({"max_seconds": 0}, "max_seconds must be a finite number above 0"),
    ],
)
def test_settings(settings: dict[str, Any], message: str):
    with pytest.raises(MisuseError, match=message):
        KeskarSharpness(**settings)


def test_more_dimensions_than_parameters():
    def loss(t: Tensor) -> Tensor:
        return t.square().sum()

    with pytest.raises(MisuseError, match="dimension must be at most 2, the parameters of 'x'; go"):
        KeskarSharpness(dimension=3)(subject_of([1.0, 0.0], loss), "x")


@pytest.mark.parametrize("scale", [1.0, 1e-4, 1e-8])
def test_flat_losses_are_searched_as_far_as_steep_ones(scale: float):
    torch.manual_seed(0)
    slope, at = torch.randn(50).double() * scale, torch.randn(50).double()
    subject = subject_of(at.tolist(), lambda t: (t - at) @ slope + 1)
    for epsilon in (1e-3, 1e-6):
        found = KeskarSharpness(epsilon=epsilon, repeats=2)(subject, "x")
        true = 50 * (slope.abs() * epsilon * (at.abs() + 1)).sum().item()
        assert found.value == pytest.approx(true, rel=1e-3, abs=1e-12)


def test_a_loss_below_zero_has_no_q():
    with pytest.raises(SubjectError, match="says nothing of a loss below 0; it is -1"):
        KeskarSharpness()(subject_of([0.0], lambda t: t.sum() - 1), "x")


def test_a_box_as_small_as_rounding_is_told():
    subject = problems.subject_of(problems.build("layer_norm"), dtype="float32")
    found = KeskarSharpness(epsilon=1e-7, repeats=2)(subject, "ehr")
    assert any("the rise of the loss in it may be rounding" in note for note in found.notes)
    assert KeskarSharpness(repeats=2)(subject, "ehr").notes == ()
