"""Watch every operation of a forward pass: what depends on the Selection, what writes where."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakIdKeyDictionary

# What a tensor tells Python here may steer anything afterwards, unseen.
_ESCAPES = frozenset({"_local_scalar_dense", "is_nonzero", "equal"})
EXPORTS = frozenset(
    {Tensor.numpy, Tensor.tolist, Tensor.__array__, Tensor.data_ptr, Tensor.__dlpack__}
)


@dataclass(eq=False)
class Frame:
    """One call of a module while it runs.

    Attributes:
        born: Serial number of the first operation inside.
        work: Operations inside that made memory of their own; views cost nothing.
        dependent: Whether one of them read what depends on the Selection.
        wrote: Whether one of them wrote to memory that was there before the call.
        own_generator: Whether one drew from a generator other than torch's own.
        drew: Whether one drew random numbers.
    """

    born: int
    work: int = 0
    dependent: bool = False
    wrote: bool = False
    own_generator: bool = False
    drew: bool = False


@dataclass
class Ledger:
    """What is known of every piece of memory that the pass touches.

    Memory is followed, not tensors: a view, ``detach()``, ``.data`` and an in-place change all
    stay with the storage they share.
    """

    serial: int = 1
    escaped: bool = False
    frames: list[Frame] = field(default_factory=list[Frame])
    _dependent: Any = field(default_factory=WeakIdKeyDictionary)
    _born: Any = field(default_factory=WeakIdKeyDictionary)

    def seed(self, tensors: Iterable[Tensor]) -> None:
        """Mark the memory of the Selection itself."""
        self._mark(tensors)

    def depends(self, tensors: Iterable[Tensor]) -> bool:
        """Whether any of the tensors lies in memory that depends on the Selection."""
        return any(_storage(t) in self._dependent for t in tensors)

    def older(self, tensor: Tensor, frame: Frame) -> bool:
        """Whether the tensor's memory was there before the call began."""
        return self._born.get(_storage(tensor), 0) < frame.born

    def note(
        self, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any], outputs: Sequence[Tensor]
    ) -> None:
        """Enter one operation that has just run."""
        self.serial += 1
        inputs, written = tensors_in((args, kwargs)), _written(func, args, kwargs)
        dependent = self.depends(inputs)
        old = {id(_storage(t)) for t in inputs}
        made = [t for t in outputs if id(_storage(t)) not in old]
        for tensor in made:
            self._born[_storage(tensor)] = self.serial
        if dependent:
            self._mark((*outputs, *written))
            self.escaped |= _tells_python(func, args)
        drew = torch.Tag.nondeterministic_seeded in func.tags
        for frame in self.frames:
            frame.work += bool(made)
            frame.dependent |= dependent
            frame.wrote |= any(self.older(t, frame) for t in written)
            frame.drew |= drew
            frame.own_generator |= drew and kwargs.get("generator") is not None

    def _mark(self, tensors: Iterable[Tensor]) -> None:
        for tensor in tensors:
            self._dependent[_storage(tensor)] = True


class Watching(TorchDispatchMode):
    """Enters every operation below autograd into the ledger."""

    def __init__(self, ledger: Ledger):
        super().__init__()
        self.ledger = ledger

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run the operation as it is and enter it."""
        kwargs = kwargs or {}
        found = func(*args, **kwargs)
        self.ledger.note(func, args, kwargs, tensors_in(found))
        return found


class Exports(TorchFunctionMode):
    """Notices values that leave torch without an operation: ``numpy()``, ``tolist()``."""

    def __init__(self, ledger: Ledger):
        super().__init__()
        self.ledger = ledger

    def __torch_function__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run the function as it is; a dependent value that leaves is an escape."""
        if func in EXPORTS and self.ledger.depends(tensors_in(args)):
            self.ledger.escaped = True
        return func(*args, **(kwargs or {}))


def tensors_in(tree: Any) -> list[Tensor]:
    """Return the tensors in nested containers."""
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def _storage(tensor: Tensor) -> Any:
    return tensor.untyped_storage()


def _tells_python(func: Any, args: Sequence[Any]) -> bool:
    name = func.overloadpacket.__name__
    if name == "index":  # its shape tells what a mask holds, and of numbers only how many
        return any(index.dtype in (torch.bool, torch.uint8) for index in tensors_in(args[1]))
    return name in _ESCAPES or torch.Tag.dynamic_output_shape in func.tags


def _written(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Tensor]:
    """Return the tensors that an operation writes to, by its schema."""
    values = dict(zip((a.name for a in func._schema.arguments), args, strict=False)) | dict(kwargs)
    names = {a.name for a in func._schema.arguments if a.alias_info and a.alias_info.is_write}
    # The one family that writes without saying so: running statistics, while it trains.
    if values.get("training", values.get("train")) is True and "running_mean" in values:
        names |= {"running_mean", "running_var"}
    return tensors_in([values.get(name) for name in names])
