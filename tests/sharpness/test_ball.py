"""Ball sharpness against true maxima over the ball and exact averages."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from sharpscope.errors import MisuseError, SubjectError
from sharpscope.results import Outcome
from sharpscope.sharpness import BallSharpness
from sharpscope.subject import LossSum, Subject
from tests import problems
from tests.sharpness.quadratics import q2, subject_of
from tests.subject.snapshot import photograph, same


@pytest.mark.parametrize(
    ("norm", "adaptive", "true"),
    [
        ("l2", True, 5.964867),
        ("linf", True, 8.125),
        ("l2", False, 2.888416),
        ("linf", False, 4.125),
    ],
)
def test_the_worst_case_of_q2_is_the_true_maximum(norm: str, adaptive: bool, true: float):
    subject = subject_of([1.0, 3.0], q2)
    found = BallSharpness(rho=0.5, norm=norm, adaptive=adaptive)(subject, "x")
    assert found.value == pytest.approx(true, rel=1e-4)  # methods.md 6.7
    assert found.value is not None
    assert found.value <= true * (1 + 1e-6)


def test_the_average_case_of_q2_is_exact_but_for_its_draws():
    subject = subject_of([1.0, 3.0], q2)
    found = BallSharpness(rho=0.5, case="average", adaptive=True, draws=4000)(subject, "x")
    assert found.value is not None
    assert found.standard_error is not None
    assert abs(found.value - 1.625) < 4 * found.standard_error
    assert found.standard_error < 0.05
    # In pairs a linear loss does not rise at all.
    flat = BallSharpness(case="average", draws=3)(subject_of([1.0], lambda t: 5 * t.sum()), "x")
    assert flat.values == pytest.approx((0.0, 0.0, 0.0), abs=1e-12)


def test_the_error_of_the_worst_case_is_over_batches():
    data = [torch.full((2, 1), float(place), dtype=torch.float64) for place in (1, 2, 4)]
    subject = subject_of([0.0], lambda t: t.sum())
    subject.batches = data
    subject.losses["fusion"] = lambda model, batch: LossSum(
        2 * batch[0, 0] * model.get_parameter("theta").sum(), 2.0
    )
    found = BallSharpness(rho=0.1)(subject, "x")
    assert found.values == pytest.approx((0.1, 0.2, 0.4))
    assert found.standard_error == pytest.approx(np.std([0.1, 0.2, 0.4], ddof=1) / math.sqrt(3))
    assert found.evaluations > 0


def test_parameters_that_are_zero_do_not_move_where_adaptive():
    subject = subject_of([0.0, 2.0], lambda t: 100 * t[0] + t[1])
    found = BallSharpness(rho=0.1, adaptive=True)(subject, "x")
    assert found.value == pytest.approx(0.2)
    assert "1 parameters are 0 and do not move." in found.notes
    with pytest.raises(MisuseError, match="every parameter of 'x' is 0, and adaptive sh"):
        BallSharpness(adaptive=True)(subject_of([0.0], lambda t: t.sum()), "x")


def test_restarts_leave_a_saddle():
    def saddle(t: Tensor) -> Tensor:
        return t[0] ** 2 - t[1] ** 2

    stuck = BallSharpness(rho=0.3, restarts=1)(subject_of([0.0, 0.0], saddle), "x")
    free = BallSharpness(rho=0.3, restarts=4)(subject_of([0.0, 0.0], saddle), "x")
    assert stuck.value == 0.0
    assert free.value == pytest.approx(0.09, rel=1e-3)


@pytest.mark.parametrize("case", ["worst", "average"])
@pytest.mark.parametrize("name", list(problems.PROBLEMS)[:6])
def test_an_encoder_comes_back_and_replay_does_not_matter(name: str, case: str):
    model = problems.build(name)
    before = photograph(model)
    found = [
        BallSharpness(rho=0.05, case=case, draws=3)(
            problems.subject_of(model, replay=replay), "ehr"
        )
        for replay in (True, False)
    ]
    same(model, before)
    assert found[0].values == pytest.approx(found[1].values, rel=1e-9, abs=1e-12)
    assert found[1].replayed == ()
    if case == "worst":
        assert all(value >= 0 for value in found[0].values)


def test_small_radii_have_the_limits_of_the_paper():
    model = problems.build("lstm")  # smooth: at kinks the limit is of first order
    subject = problems.subject_of(model)
    names = subject.select("ehr").names
    oracle = problems.oracle_of(model, names)
    rho = 1e-3
    average = BallSharpness(rho=rho, case="average", draws=2000)(subject, "ehr")
    trace = oracle.hessian().diagonal().sum().item()
    assert average.standard_error is not None
    assert abs((average.value or 0) - rho**2 / 2 * trace) < 4 * average.standard_error
    one = problems.subject_of(model, data=[problems.batches()[0]])
    worst = BallSharpness(rho=1e-5)(one, "ehr")
    slope = problems.oracle_of(model, names)
    *inputs, target = problems.batches()[0]
    slope.loss = lambda m: functional.cross_entropy(m(*(x.double() for x in inputs)), target)
    assert worst.value == pytest.approx(1e-5 * slope.gradient().norm().item(), rel=1e-2)


def test_what_ends_early_or_is_not_finite_is_told():
    data_of = {"batches": 4}
    found = BallSharpness(max_seconds=1e-9)(subject_of([1.0], lambda t: t.sum(), **data_of), "x")
    assert (found.outcome, len(found.values)) == (Outcome.BUDGET_SPENT, 2)
    broken = BallSharpness(rho=1.0)(subject_of([0.5], lambda t: 9 - torch.log(t[0])), "x")
    assert (broken.outcome, broken.value) == (Outcome.NOT_FINITE, None)
    pole = BallSharpness(rho=1.0, case="average", draws=20)(
        subject_of([0.1], lambda t: 9 + torch.log(t[0])), "x"
    )
    assert (pole.outcome, pole.value) == (Outcome.NOT_FINITE, None)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rho": 0}, "rho must be a finite number above 0"),
        ({"case": "mean"}, "case must be 'worst' or 'average'; got 'mean'"),
        ({"norm": "l1"}, "norm must be 'l2' or 'linf'; got 'l1'"),
        ({"iterations": 1}, "iterations must be a whole number of at least 2"),
        ({"draws": 1}, r"draws must be .* at least 2 \(two make a standard error\)"),
        ({"restarts": 0}, "restarts must be a whole number of at least 1"),
        ({"seed": -1}, "seed must be a whole number of at least 0"),
        ({"max_seconds": 0}, "max_seconds must be a finite number above 0"),
    ],
)
def test_settings(settings: dict[str, Any], message: str):
    with pytest.raises(MisuseError, match=message):
        BallSharpness(**settings)


def test_a_batch_without_targets_has_no_rise():
    torch.manual_seed(0)
    model = torch.nn.Linear(2, 3).double()
    seen = (torch.randn(5, 2).double(), torch.randint(3, (5,)))
    ignored = (torch.randn(2, 2).double(), torch.tensor([-100, -100]))
    encoders = {"x": "weight"}
    loss = functional.cross_entropy
    found = [
        BallSharpness()(Subject(model, data, loss=loss, encoders=encoders), "x")
        for data in ([seen], [seen, ignored])
    ]
    assert found[0].values == pytest.approx(found[1].values)


def test_an_error_at_a_moved_point_comes_with_its_batch():
    def moved(t: Tensor) -> Tensor:
        if t[0] != 1:
            raise ValueError("moved")
        return t.sum()

    with pytest.raises(SubjectError, match="batch 1: the model or its loss raised ValueError: mov"):
        BallSharpness()(subject_of([1.0], moved), "x")


def test_notes_are_those_of_other_measurements():
    subject = problems.subject_of(problems.build("layer_norm"), samples=400)
    subject.model.get_submodule("ehr_model").requires_grad_(False)
    found = BallSharpness()(subject, "ehr")
    assert any("parameters are frozen" in note for note in found.notes)
    assert any("400 samples were asked for and there are only" in note for note in found.notes)
    unused = BallSharpness()(problems.subject_of(problems.build("unused_branch")), "ehr")
    assert any("tensors have no effect on the loss" in note for note in unused.notes)
