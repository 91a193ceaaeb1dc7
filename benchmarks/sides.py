"""Each library's exact Hessian-vector product on one encoder of a Subject.

A side is a block inside which a function multiplies a flat vector over all batches. Peers get what
they need to run at all: the model in eval mode, gradients for the encoder alone, and attention on
the math kernel.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from sharpscope.subject import Subject

Product = Callable[[Tensor], Any]


@contextmanager
def sharpscope(subject: Subject, modality: str) -> Generator[Product]:
    """Ours, as it is."""
    from sharpscope.operators import HessianOperator

    operator = HessianOperator(subject, modality)
    with operator.session():
        yield operator.matvec


@contextmanager
def plain(subject: Subject, modality: str) -> Generator[Product]:
    """Ours without replay and without kept graphs."""
    subject.replay, subject.memory = False, 0
    with sharpscope(subject, modality) as product:
        yield product


@contextmanager
def pyhessian(subject: Subject, modality: str) -> Generator[Product]:
    """PyHessian over a data loader."""
    from sharpscope.engines import PyHessianOperator

    operator = PyHessianOperator(subject, modality)
    with operator.session():
        multiply = operator.hessian().dataloader_hv_product
        yield lambda vector: multiply(operator.selection.split(vector))


@contextmanager
def pyhessian_single(subject: Subject, modality: str) -> Generator[Product]:
    """PyHessian on one batch that holds all the data: it keeps that batch's gradient graph."""
    from pyhessian.utils import hessian_vector_product

    selection = subject.select(modality)
    with subject.studying(selection):
        batch = _together(list(subject.walk()))
        value = subject.loss("fusion")(subject.model, batch)
        gradient = torch.autograd.grad(
            value.total / value.weight, selection.parameters, create_graph=True
        )
        yield lambda vector: hessian_vector_product(
            gradient, list(selection.parameters), selection.split(vector)
        )


@contextmanager
def eigenthings(subject: Subject, modality: str) -> Generator[Product]:
    """hessian-eigenthings 1.0."""
    from hessian_eigenthings.operators.hessian import HessianOperator

    selection = subject.select(modality)

    def loss(model: nn.Module, batch: Any) -> Tensor:
        value = subject.loss("fusion")(model, batch)
        return value.total / value.weight

    with subject.studying(selection):
        operator = HessianOperator(subject.model, list(subject.walk()), loss)
        yield operator.matvec


@contextmanager
def curvlinops(subject: Subject, modality: str) -> Generator[Product]:
    """The library curvlinops 3."""
    from curvlinops import HessianLinearOperator

    selection = subject.select(modality)
    with subject.studying(selection):
        pairs = [
            ({k: v for k, v in batch.items() if k != "target"}, batch["target"])
            for batch in subject.walk()
        ]
        several = pairs[0][1].is_floating_point()
        operator = HessianLinearOperator(
            subject.model,
            nn.BCEWithLogitsLoss() if several else nn.CrossEntropyLoss(),
            list(selection.parameters),
            pairs,
            check_deterministic=False,
            batch_size_fn=lambda inputs: len(next(iter(inputs.values()))),
        )
        yield lambda vector: operator @ vector


SIDES = {
    "sharpscope": sharpscope,
    "sharpscope, plain": plain,
    "pyhessian": pyhessian,
    "pyhessian, single batch": pyhessian_single,
    "hessian-eigenthings": eigenthings,
    "curvlinops": curvlinops,
}
OURS = ("sharpscope", "sharpscope, plain")


def _together(batches: list[Any]) -> Any:
    return {name: torch.cat([batch[name] for batch in batches]) for name in batches[0]}
