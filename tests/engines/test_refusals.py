"""What PyHessian cannot do, and what cannot be meant, is one sentence each."""

import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import sharpscope as ss
from sharpscope.engines import PyHessianEigenvalue, PyHessianOperator, PyHessianTrace
from sharpscope.errors import MisuseError, SubjectError
from sharpscope.subject import Subject
from tests import problems
from tests.engines.quadratics import quadratic


class Two(nn.Module):
    """Two weights; the loss decides what becomes of them."""

    def __init__(self):
        super().__init__()
        self.a = nn.Parameter(torch.ones(2))
        self.b = nn.Parameter(torch.ones(2))


class Forgetful(torch.autograd.Function):
    """A square whose backward pass cannot be differentiated again."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x**2

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: Any) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        return 2 * ctx.saved_tensors[0] * grads[0]


REFUSED = {
    "batch 1: PyHessian cannot measure 'b', which has no effect on the loss; use --engine native": (
        lambda model: (model.a**2).sum()
    ),
    "batch 1: PyHessian cannot measure 'b', which enters the loss linearly; use --engine native": (
        lambda model: (model.a**2).sum() + model.b.sum()
    ),
    "batch 1: PyHessian cannot measure 'a', which enters the loss linearly (nor can 1 more like "
    "it); use --engine native": lambda model: (model.a + model.b).sum(),
    "batch 1: PyHessian cannot measure 'a', which has no effect on the loss (nor can 1 more like "
    "it); use --engine native": lambda model: torch.ones(()),
}


def two(loss: Callable[[Any], Tensor], **settings: Any) -> Subject:
    data = settings.pop("data", [torch.zeros(1)])
    return Subject(Two(), data, loss=lambda model, _: loss(model), encoders={"x": ["a", "b"]})


@pytest.mark.parametrize("sentence", REFUSED)
@pytest.mark.parametrize("estimator", [PyHessianTrace, PyHessianEigenvalue])
def test_what_pyhessian_cannot_do(sentence: str, estimator: Callable[[], Any]):
    subject = two(REFUSED[sentence])
    with pytest.raises(SubjectError) as caught:
        estimator()(subject, "x")
    assert str(caught.value) == sentence


def test_the_batch_that_it_cannot_do_is_named():
    def loss(model: Any, batch: Tensor) -> Tensor:
        return (model.a**2).sum() + (batch * model.b**2 if batch.item() else model.b).sum()

    subject = Subject(Two(), [torch.ones(1), torch.zeros(1)], loss=loss, encoders={"x": ["a", "b"]})
    with pytest.raises(SubjectError, match=r"^batch 2: PyHessian cannot measure 'b', which enters"):
        PyHessianTrace()(subject, "x")


def test_an_unused_branch_goes_on_with_native():
    subject = problems.subject_of(problems.build("unused_branch"))
    with pytest.raises(SubjectError, match=r"no effect on the loss .*use --engine native"):
        ss.trace(subject, "ehr", engine="pyhessian", probes=2)
    assert ss.trace(subject, "ehr", probes=2).value is not None


def test_a_sum_without_weight():
    subject = Subject(
        Two(),
        [torch.ones(1), torch.zeros(1)],
        loss=lambda model, batch: ((model.a**2).sum() + (model.b**2).sum(), batch.item()),
        encoders={"x": ["a", "b"]},
    )
    with pytest.raises(SubjectError, match=r"^batch 2: its loss sum is 4 and its weight 0, which"):
        PyHessianTrace()(subject, "x")


def test_an_operation_without_second_derivative_is_named():
    subject = two(lambda m: torch.cdist(m.a[:, None], m.b[:, None] + 1, p=1).sum())
    with pytest.raises(SubjectError, match=r"^batch 1: _cdist_backward has no second derivative"):
        PyHessianTrace()(subject, "x")


def test_a_custom_function_that_forgets_is_named():
    subject = two(lambda model: Forgetful.apply(model.a).sum() + (model.b**2).sum())
    with pytest.raises(SubjectError, match=r"Forgetful (has no|loses its) second derivative"):
        PyHessianTrace()(subject, "x")


class Failing(torch.autograd.Function):
    """The identity, which cannot be differentiated at all."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Tensor:
        raise RuntimeError("out of luck")


class Late(torch.autograd.Function):
    """A sum of squares that fails in the second derivative only."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return (x**2).sum()

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Tensor:
        return 2 * Failing.apply(ctx.saved_tensors[0]) * grads[0]


def test_other_errors_pass_unchanged():
    subject = two(lambda model: Late.apply(model.a) + (model.b**2).sum())
    with pytest.raises(RuntimeError, match="out of luck"):
        PyHessianOperator(subject, "x").hessian().dataloader_hv_product(
            [torch.ones(2), torch.ones(2)]
        )


def test_a_model_that_moves_is_refused():
    subject = two(lambda model: (functional.dropout(model.a) ** 2 + model.b**2).sum())
    with pytest.raises(SubjectError, match="does not stand still"):
        PyHessianTrace()(subject, "x")


@pytest.fixture
def without_pyhessian(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyhessian", None)


@pytest.mark.usefixtures("without_pyhessian")
@pytest.mark.parametrize(
    "ask",
    [
        PyHessianTrace,
        PyHessianEigenvalue,
        lambda: PyHessianOperator(quadratic([1.0]), "x"),
        lambda: ss.trace(quadratic([1.0]), "x", engine="pyhessian"),
        lambda: ss.eigenvalues(quadratic([1.0]), "x", engine="pyhessian"),
    ],
)
def test_pyhessian_not_installed(ask: Callable[[], Any]):
    with pytest.raises(MisuseError) as caught:
        ask()
    assert str(caught.value) == (
        "engine 'pyhessian' needs PyHessian: pip install \".[engines]\" in its folder"
    )


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (lambda: PyHessianTrace(rtol=0), "rtol must be a finite number above 0; got 0"),
        (lambda: PyHessianTrace(budget=0), "budget must be a whole number of at least 2 "),
        (lambda: PyHessianTrace(probes=1), "probes must be a whole number of at least 2 "),
        (
            lambda: PyHessianTrace(distribution="gaussian"),
            "distribution must be 'rademacher' (with engine 'pyhessian'); got 'gaussian'",
        ),
        (lambda: PyHessianEigenvalue(rtol=-1), "rtol must be a finite number above 0; got -1"),
        (lambda: PyHessianEigenvalue(budget=0), "budget must be a whole number of at least 2 "),
        (lambda: PyHessianEigenvalue(max_seconds=0), "max_seconds must be a finite number above 0"),
        (lambda: PyHessianEigenvalue(seed=-1), "seed must be a whole number of at least 0"),
    ],
)
def test_settings_out_of_range(made: Callable[[], Any], sentence: str):
    with pytest.raises(MisuseError) as caught:
        made()
    assert str(caught.value).startswith(sentence)
