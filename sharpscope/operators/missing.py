"""The sentence for an operation that has no second derivative."""

import re

from torch import Tensor

_PATTERNS = (
    r"derivative for ['\"]?([\w:]+)['\"]? is not implemented",
    r"double backwards? (?:is )?not (?:supported|implemented) for ['\"]?([\w:]+)",
    r"([\w:]+) does not support double backward",
)
_ONCE = "once_differentiable"


def missing_second_derivative(error: Exception, total: Tensor) -> str | None:
    """Return a sentence that names the operation, or None if the error is about something else."""
    text = str(error)
    found = next((m.group(1) for p in _PATTERNS if (m := re.search(p, text))), None)
    if found is None and _ONCE in text:
        found = ", ".join(custom_functions(total)) or "a custom autograd function"
    if found is None:
        return None
    return (
        f"{found} has no second derivative, so this loss has no Hessian by automatic "
        "differentiation: write that operation with elementary ones inside the measurement, or "
        "select an encoder whose gradient does not pass through it"
    )


def custom_functions(total: Tensor) -> list[str]:
    """Return the names of the custom autograd functions in the graph of ``total``."""
    names: set[str] = set()
    seen: set[int] = set()
    nodes = [total.grad_fn]
    while nodes:
        node = nodes.pop()
        if node is None or id(node) in seen:
            continue
        seen.add(id(node))
        if hasattr(node, "_forward_cls"):
            names.add(type(node).__name__.removesuffix("Backward"))
        nodes += [parent for parent, _ in node.next_functions]
    return sorted(names)
