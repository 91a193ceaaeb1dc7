"""Two readings of one pass: what was computed for the first is not computed for the second."""

import functools
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.utils._pytree import tree_flatten

from sharpscope.replay.calls import PLAIN, replaced_forwards
from sharpscope.replay.watching import tensors_in

_Key = tuple[Any, ...]


@dataclass(frozen=True)
class _Made:
    """One call: its arguments, which must stay alive while they are known by id, and its output."""

    arguments: list[Any]
    output: Any
    versions: tuple[int, ...]

    @property
    def intact(self) -> bool:
        """Whether nothing was written into the output since."""
        return _versions(self.output) == self.versions


@contextmanager
def once(model: nn.Module) -> Generator[None]:
    """Make each call of a module with the same tensors once inside the block.

    The model must stand still, and gradients must be off. A call with other arguments than tensors
    and plain values, or whose output was written to since, is made again.

    Example:
        >>> import torch
        >>> model, x = torch.nn.Linear(2, 1), torch.ones(1, 2)
        >>> with torch.no_grad(), once(model):
        ...     print(model(x) is model(x))
        True
    """
    made: dict[_Key, _Made] = {}

    def wrap(name: str, run: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(run)
        def forward(*args: Any, **kwargs: Any) -> Any:
            leaves, layout = tree_flatten((args, kwargs))
            parts = [_told(leaf) for leaf in leaves]
            if None in parts:
                return run(*args, **kwargs)
            key = (name, layout, *parts)
            known = made.get(key)
            if known is None or not known.intact:
                output = run(*args, **kwargs)
                if any(t.is_inference() for t in tensors_in(output)):
                    return output
                known = made[key] = _Made(leaves, output, _versions(output))
            return known.output

        return forward

    with replaced_forwards(model, wrap):
        yield


def _told(leaf: Any) -> _Key | None:
    """Return what tells an argument from others; None where nothing does."""
    if isinstance(leaf, Tensor):
        return None if leaf.is_inference() else (id(leaf), leaf._version)
    return (type(leaf), leaf) if isinstance(leaf, PLAIN) else None


def _versions(output: Any) -> tuple[int, ...]:
    return tuple(tensor._version for tensor in tensors_in(output))
