"""PyHessian's products against the whole loss in one batch: our weights and our selection."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from sharpscope.engines import PyHessianOperator
from sharpscope.operators import HessianOperator
from tests import problems
from tests.oracles import Oracle

MEASURABLE = sorted(set(problems.PROBLEMS) - {"unused_branch"})
CLASS_WEIGHTS = torch.tensor([0.2, 1.0, 3.0])


@pytest.mark.parametrize("name", MEASURABLE)
def test_products_equal_those_of_the_whole_loss(name: str):
    model = problems.build(name)
    operator = PyHessianOperator(problems.subject_of(model), problems.PROBLEMS[name].modality)
    _products_equal(operator, problems.oracle_of(model, operator.selection.names))


def test_batches_weigh_by_class_weights():
    model = problems.build("maxout")
    loss = nn.CrossEntropyLoss(weight=CLASS_WEIGHTS)
    operator = PyHessianOperator(problems.subject_of(model, loss=loss), "cxr")

    def whole(model: nn.Module) -> Tensor:
        ehr, cxr, target = (torch.cat(part) for part in zip(*problems.batches(), strict=True))
        output = model(ehr.double(), cxr.double())
        return functional.cross_entropy(output, target, weight=CLASS_WEIGHTS.double())

    _products_equal(operator, Oracle(model, operator.selection.names, whole))


def test_a_masked_batch_weighs_nothing():
    masked, *others = problems.batches()
    masked = (*masked[:2], torch.full_like(masked[2], -100))
    model = problems.build("maxout")
    operator = PyHessianOperator(problems.subject_of(model, data=[masked, *others]), "cxr")

    def whole(model: nn.Module) -> Tensor:
        ehr, cxr, target = (torch.cat(part) for part in zip(*others, strict=True))
        return functional.cross_entropy(model(ehr.double(), cxr.double()), target)

    _products_equal(operator, Oracle(model, operator.selection.names, whole))


def test_a_callable_loss_with_its_own_weight():
    model = problems.build("maxout")

    def summed(model: nn.Module, batch: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, float]:
        ehr, cxr, target = batch
        return functional.cross_entropy(model(ehr, cxr), target, reduction="sum"), len(target)

    operator = PyHessianOperator(problems.subject_of(model, loss=summed), "cxr")
    _products_equal(operator, problems.oracle_of(model, operator.selection.names))


def test_quadratic_form_and_product_agree_with_native():
    subject = problems.subject_of(problems.build("attention"))
    theirs, ours = PyHessianOperator(subject, "ehr"), HessianOperator(subject, "ehr")
    vectors = torch.randn(ours.dim, 3, dtype=torch.float64)
    assert theirs.products(vectors).quadratic.tolist() == pytest.approx(
        ours.products(vectors).quadratic.tolist(), rel=1e-9
    )


def _products_equal(operator: PyHessianOperator, oracle: Oracle) -> None:
    vectors = torch.randn(operator.dim, 3, dtype=torch.float64)
    theirs = operator.matmat(vectors)
    gradient = oracle.gradient(create_graph=True)
    for vector, product in zip(vectors.unbind(1), theirs.unbind(1), strict=True):
        pieces = torch.autograd.grad(gradient @ vector, oracle.parameters, retain_graph=True)
        exact = torch.cat([piece.reshape(-1) for piece in pieces])
        assert exact.norm() > 1e-3
        assert (product - exact).norm() <= 1e-10 * exact.norm()
