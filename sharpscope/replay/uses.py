"""What becomes of a layer's output in a pass: who reads it, and whether somebody keeps it."""

import functools
import weakref
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakIdKeyDictionary

from sharpscope.replay.watching import EXPORTS, tensors_in


@dataclass(eq=False)
class Use:
    """What became of one output of a layer.

    Attributes:
        layer: Path of the layer.
        output: Returns the output while somebody holds it.
        version: Of the output when the layer returned it.
        norm: Path of the norm that read it.
        spoiled: Whether anything else read it.
    """

    layer: str
    output: Callable[[], Tensor | None]
    version: int
    norm: str = ""
    spoiled: bool = False


class Uses:
    """Follows the outputs of layers through one pass; gradients must be off.

    Attributes:
        outputs: Every output of a layer, in order.
        inputs: For each norm the layers whose memory it was given; empty where it is none's.
    """

    def __init__(self):
        self.outputs: list[Use] = []
        self.inputs: dict[str, set[str]] = {}
        self._memory: Any = WeakIdKeyDictionary()
        self._inside: Use | None = None

    @contextmanager
    def watching(self) -> Generator[None]:
        """See every operation inside the block."""
        with _Exported(self), _Read(self):
            yield

    def layer(self, name: str, run: Callable[..., Any]) -> Callable[..., Any]:
        """Return a layer's forward that notes what it returns."""

        @functools.wraps(run)
        def forward(*args: Any, **kwargs: Any) -> Any:
            found = run(*args, **kwargs)
            use = Use(name, weakref.ref(found), found._version)
            self.outputs.append(use)
            self._memory[found.untyped_storage()] = use
            return found

        return forward

    def norm(self, name: str, run: Callable[..., Any]) -> Callable[..., Any]:
        """Return a norm's forward that notes what it is given."""

        @functools.wraps(run)
        def forward(*args: Any, **kwargs: Any) -> Any:
            x: Any = args[0] if len(args) == 1 and not kwargs else None
            use: Use | None = None if x is None else self._memory.get(x.untyped_storage())
            self.inputs.setdefault(name, set()).add(use.layer if use else "")
            output = use.output() if use else None
            if use is None or output is None or output is not x or use.norm:
                return run(*args, **kwargs)
            if output._version != use.version:
                return run(*args, **kwargs)
            use.norm, self._inside = name, use
            try:
                return run(*args, **kwargs)
            finally:
                self._inside = None

        return forward

    def read(self, tensors: Sequence[Tensor]) -> None:
        """Note that something reads these tensors."""
        for tensor in tensors:
            use = self._memory.get(tensor.untyped_storage())
            if use is not None and use is not self._inside:
                use.spoiled = True


class _Read(TorchDispatchMode):
    """Shows every operation below autograd to those who follow memory."""

    def __init__(self, uses: Uses):
        super().__init__()
        self._uses = uses

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run the operation as it is and show what it reads."""
        self._uses.read(tensors_in((args, kwargs)))
        return func(*args, **(kwargs or {}))


class _Exported(TorchFunctionMode):
    """Shows values that leave torch without an operation to those who follow memory."""

    def __init__(self, uses: Uses):
        super().__init__()
        self._uses = uses

    def __torch_function__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run the function as it is and show what leaves."""
        if func in EXPORTS:
            self._uses.read(tensors_in(args))
        return func(*args, **(kwargs or {}))
