"""Gradient graphs of batches, kept from one product to the next while they fit."""

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

# What a graph takes beyond the tensors saved in it, and what a product through it, or building
# another one, takes for a while; in units of the saved bytes, measured on convolutions (a product
# 0.75, a build and a product 2.0) and rounded up.
_OVERHEAD, _PRODUCT, _REBUILD = 1.3, 0.8, 2.1


@dataclass(frozen=True)
class Graph:
    """The gradient of one batch's loss sum, with the graph that made it.

    Attributes:
        number: Of the batch, from 1.
        gradient: One tensor for each parameter; None where the loss does not reach.
        weight: Of the batch.
        total: The loss sum itself.
    """

    number: int
    gradient: Sequence[Tensor | None]
    weight: float
    total: Tensor

    @property
    def roots(self) -> Sequence[Tensor | None]:
        """The tensors that hold the graph."""
        return self.gradient


class Kept:
    """The graphs of the first batches, as many as fit into ``memory`` bytes."""

    def __init__(self, memory: float, batches: int):
        self.memory = memory
        self.graphs: list[Graph] = []
        self._batches = batches
        self._bytes = 0
        self._full = False

    @property
    def all(self) -> bool:
        """Whether no batch is left to rebuild."""
        return len(self.graphs) == self._batches

    def offer(self, graph: Graph, parameters: Iterable[Tensor]) -> bool:
        """Keep the next batch's graph if it fits beside what a product needs; say whether."""
        if self._full or self.memory <= 0 or graph.number != len(self.graphs) + 1:
            return False
        size = graph_bytes(graph.roots, parameters)
        work = _PRODUCT if graph.number == self._batches else _REBUILD
        if _OVERHEAD * (self._bytes + size) + work * size > self.memory:
            self._full = True
            return False
        self.graphs.append(graph)
        self._bytes += size
        return True


def graph_bytes(roots: Sequence[Tensor | None], outside: Iterable[Tensor]) -> int:
    """Return the memory of all tensors that the graph of ``roots`` keeps, but for ``outside``."""
    known = {t.untyped_storage().data_ptr() for t in outside}
    sizes = {
        storage.data_ptr(): storage.nbytes()
        for tensor in _saved(roots)
        if (storage := tensor.untyped_storage()).data_ptr() not in known
    }
    return sum(sizes.values())


def _saved(roots: Sequence[Tensor | None]) -> Generator[Tensor]:
    names: dict[type, list[str]] = {}
    stack: list[Any] = []
    for root in roots:
        if root is not None:
            yield root
            stack.append(root.grad_fn)
    seen: set[Any] = set()
    while stack:
        node = stack.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        kind = type(node)
        if kind not in names:
            names[kind] = [n for n in dir(kind) if n.startswith("_saved_") or n == "saved_tensors"]
        for name in names[kind]:
            value = getattr(node, name)
            yield from (
                v
                for v in (value if isinstance(value, tuple | list) else (value,))
                if isinstance(v, Tensor)
            )
        stack.extend(function for function, _ in node.next_functions)
