"""What the parts of a measurement will take, by a trial on the first batch."""

import torch

from sharpscope.contribution.alignment import alignments
from sharpscope.monitor.clock import now
from sharpscope.operators import HessianOperator
from sharpscope.subject import Subject

# Products that an encoder is expected to need before the first measurement tells: for its trace
# with or without λ_max, and for λ_max alone, which took 13 to 20 on the models of recipes.
TRACE_PRODUCTS, EIGEN_PRODUCTS = 30, 15


def seconds_of_products(
    subject: Subject, selection: str, products: int, *, loss: str = "fusion"
) -> float:
    """Return about how many seconds so many Hessian-vector products take.

    Args:
        subject: On batches whose number is known.
        selection: An encoder, or several joined by ``+``.
        products: How many.
        loss: Of which loss.
    """
    operator = HessianOperator(subject.excerpt(), selection, loss=loss)
    vector = torch.ones(operator.dim, 1, dtype=operator.dtype, device=operator.device)
    began = now(subject.device)
    with operator.session():
        operator.products(vector)  # builds the graph
        built = now(subject.device)
        operator.products(vector)
        again = now(subject.device)
    return _batches(subject) * ((built - began) + products * (again - built))


def seconds_of_alignment(subject: Subject, name: str) -> float:
    """Return about how many seconds γ of an encoder takes: gradients of two losses, twice.

    Args:
        subject: On batches whose number is known.
        name: The encoder.
    """
    excerpt = subject.excerpt()
    with excerpt.still():
        began = now(subject.device)
        alignments(excerpt, [name])
        return _batches(subject) * (now(subject.device) - began)


def _batches(subject: Subject) -> int:
    return len(subject.batches)  # pyright: ignore[reportArgumentType]
