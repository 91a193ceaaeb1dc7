"""Which parameters a tensor was computed from, by its graph."""

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor


def reached(tensors: Iterable[Tensor], owners: Mapping[int, str]) -> set[str]:
    """Return the owners of the parameters that the graphs of some tensors lead to.

    Nothing is computed: the graph is walked. A compiled function is one node, which all of its
    inputs lead to.

    Args:
        tensors: Any that need a gradient; others lead nowhere.
        owners: Owner of each parameter of interest, by its ``id``.
    """
    found: set[str] = set()
    seen: set[Any] = set()
    waiting: list[Any] = []
    for tensor in tensors:
        if tensor.grad_fn is not None:
            waiting.append(tensor.grad_fn)
        elif id(tensor) in owners:
            found.add(owners[id(tensor)])
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        variable = getattr(node, "variable", None)
        if variable is not None and id(variable) in owners:
            found.add(owners[id(variable)])
        waiting += [parent for parent, _ in node.next_functions]
    return found


def has_node(tensors: Iterable[Tensor], name: str) -> bool:
    """Return whether the graphs of some tensors have a node of that name."""
    seen: set[Any] = set()
    waiting: list[Any] = [tensor.grad_fn for tensor in tensors]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        if type(node).__name__ == name:
            return True
        seen.add(node)
        waiting += [parent for parent, _ in node.next_functions]
    return False
