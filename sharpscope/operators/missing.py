"""Operations without a second derivative: those that say so, and those that would be silent."""

import re
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from sharpscope.errors import SubjectError
from sharpscope.operators.twice import is_ours
from sharpscope.subject import Selection

_SAYS_SO = r"derivative for '?([\w:]+)[^']*'? is not implemented"
_ADVICE = (
    "so this loss has no Hessian by automatic differentiation: write that operation with "
    "elementary ones, select an encoder whose gradient does not pass through it, or take finite "
    "differences of the gradient (--operator fd)"
)


def named_in(error: Exception) -> str | None:
    """Return a sentence that names the operation an error speaks of, or None."""
    found = re.search(_SAYS_SO, str(error))
    return f"{found.group(1)} has no second derivative, {_ADVICE}" if found else None


@contextmanager
def explained(number: int) -> Generator[None]:
    """Name an operation of batch ``number`` that lacks the derivative of its backward pass."""
    try:
        yield
    except RuntimeError as error:
        sentence = named_in(error)
        if sentence is None:
            raise
        raise SubjectError(f"batch {number}: {sentence}") from error


def check_custom_functions(
    selection: Selection,
    total: Tensor,
    gradient: Sequence[Tensor | None],
    gradient_again: Callable[[], Tensor],
    product: Callable[[Sequence[Tensor]], Tensor],
) -> tuple[str, ...]:
    """Return the custom autograd functions in a loss, after a check that they can be trusted.

    A custom function whose backward pass is not recorded (``once_differentiable``, or computed
    on detached tensors) loses its part of the second derivative without an error. Where there
    are such functions, one product is compared with a finite difference of the gradient.

    Raises:
        SubjectError: If a second derivative is lost.
    """
    names = tuple(sorted({_name(node) for node in _nodes([total]) if _is_custom(node)}))
    if not names:
        return ()
    listed = ", ".join(names)
    if any(node.name() == "torch::autograd::Error" for node in _nodes(gradient)):
        raise SubjectError(f"{listed} has no second derivative, {_ADVICE}")
    direction = fixed_direction(selection)
    exact = product(selection.split(direction))
    size = selection.flatten(selection.parameters).norm().item()
    rounding = torch.finfo(direction.dtype).eps
    step = rounding ** (1 / 3) * max(1.0, size)
    ahead, behind = (_at(selection, direction, h, gradient_again) for h in (step, -step))
    difference = (ahead - behind) / (2 * step)
    noise = 100 * rounding * ahead.norm() / step
    # Kinks and rounding blur the difference; a part that is lost altogether stands out of both.
    if (difference - exact).norm() > 0.5 * max(difference.norm(), exact.norm()) + noise:
        raise SubjectError(
            f"{listed} loses its second derivative without an error: a product and a finite "
            f"difference of the gradient have norms {exact.norm():.3g} and "
            f"{difference.norm():.3g} and disagree; {_ADVICE.removeprefix('so ')}"
        )
    return names


def fixed_direction(selection: Selection) -> Tensor:
    """Return a fixed unit vector: cosines are as good as random and need no stream."""
    first = selection.parameters[0]
    phases = torch.arange(1, selection.dim + 1, dtype=torch.float64, device="cpu").square()
    direction = torch.cos(phases).to(first.device, first.dtype)
    return direction / direction.norm()


def _at(
    selection: Selection, direction: Tensor, step: float, gradient: Callable[[], Tensor]
) -> Tensor:
    with selection.displaced(step * direction):
        return gradient()


def _nodes(tensors: Iterable[Tensor | None]) -> Generator[Any]:
    """Yield every node of the graphs behind ``tensors`` once."""
    seen: set[Any] = set()
    waiting: list[Any] = [t.grad_fn for t in tensors if t is not None]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        yield node
        waiting += [parent for parent, _ in node.next_functions]


def _is_custom(node: Any) -> bool:
    return hasattr(node, "_forward_cls") and not is_ours(node._forward_cls)


def _name(node: Any) -> str:
    return type(node).__name__.removesuffix("Backward")
