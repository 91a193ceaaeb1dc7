"""The modules that a step calls, and what a second pass over a batch must not change in them."""

import warnings
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook
from torch.nn.parallel import DistributedDataParallel

_COMPILED = "OptimizedModule"
# The kernels of BatchNorm and its kin write to these without counting it as a change.
_SILENT = ("running_mean", "running_var")


class Called:
    """The modules that closures call, as far as they were called.

    Attributes:
        compiled: Whether one of them is compiled: then no forward may be replaced, since that
            would compile it again at each step.
    """

    def __init__(self, modules: Iterable[nn.Module]):
        self.compiled = False
        self._known: dict[int, nn.Module] = {}
        self._complete = False
        self._parallel: dict[int, tuple[DistributedDataParallel, bool]] = {}
        for module in modules:
            self._add(module)

    @property
    def modules(self) -> list[nn.Module]:
        """All modules, children included."""
        return list(self._known.values())

    @contextmanager
    def found(self, snapshot: "Buffers", at_compiled: Callable[[], None]) -> Generator[None]:
        """Find the modules that are called inside the block, also those met for the first time.

        Where a model is compiled only the first block looks.

        Args:
            snapshot: Is told of them before they are called.
            at_compiled: Called before the first compiled one is.
        """
        snapshot.note(self._known.values())
        if self._complete and self.compiled:
            yield
            return

        def look(module: nn.Module, _: Any) -> None:
            if id(module) not in self._known:
                self._add(module)
                self._unsynced()
                if self.compiled:
                    at_compiled()
                snapshot.note(module.modules())

        with warnings.catch_warnings():
            # A compiled model warns of hooks on all modules; that it fires them twice is no harm.
            warnings.filterwarnings("ignore", message=".*global hooks on modules")
            handle = register_module_forward_pre_hook(look)
            try:
                yield
            finally:
                handle.remove()
        self._complete = True

    @contextmanager
    def alone(self) -> Generator[None]:
        """Keep DistributedDataParallel from waiting for gradients that it never sees.

        They are taken by ``autograd.grad``, which calls none of its hooks.
        """
        self._unsynced()
        try:
            yield
        finally:
            for module, before in self._parallel.values():
                module.require_backward_grad_sync = before
            self._parallel.clear()

    def _unsynced(self) -> None:
        for module in self._known.values():
            if isinstance(module, DistributedDataParallel) and id(module) not in self._parallel:
                self._parallel[id(module)] = (module, module.require_backward_grad_sync)
                module.require_backward_grad_sync = False

    def _add(self, module: nn.Module) -> None:
        for inner in module.modules():
            self._known[id(inner)] = inner
            compiled = type(inner).__name__ == _COMPILED or bool(
                getattr(inner, "_compiled_call_impl", None)
            )
            self.compiled |= compiled


class Buffers:
    """The buffers that the first pass changes, such as BatchNorm's statistics and their counter.

    Later passes over the same batch change them again; ``kept`` gives them back as the first pass
    left them.
    """

    def __init__(self):
        self._before: dict[tuple[int, str], tuple[nn.Module, Tensor, int]] = {}
        self._saved: dict[tuple[int, str], tuple[nn.Module, Tensor, Tensor]] | None = None
        self._waiting: list[tuple[nn.Module, str, Tensor]] = []

    def note(self, modules: Iterable[nn.Module]) -> None:
        """Note how buffers stand before the first pass; the first word counts."""
        for module in modules:
            for name, buffer in module.named_buffers(recurse=False):
                key = (id(module), name)
                self._before.setdefault(key, (module, buffer, buffer._version))
                self._save(key, module)

    @contextmanager
    def apart(self, mine: Callable[[int], bool]) -> Generator[None]:
        """Give back what the block changes; what it makes of some modules waits for ``settle``.

        Args:
            mine: Whether a module, by its identity, is one of these.
        """
        self._saved = {}
        for key, (module, _, _) in self._before.items():
            self._save(key, module)
        try:
            yield
            for (key, name), (module, _, _) in self._saved.items():
                if mine(key):
                    self._waiting.append((module, name, getattr(module, name).detach().clone()))
        finally:
            with torch.no_grad():
                for (_, name), (module, tensor, value) in self._saved.items():
                    setattr(module, name, tensor)
                    tensor.copy_(value)
            self._saved = None

    def settle(self) -> None:
        """Write what was waiting."""
        with torch.no_grad():
            for module, name, value in self._waiting:
                getattr(module, name).copy_(value)
        self._waiting.clear()

    def _save(self, key: tuple[int, str], module: nn.Module) -> None:
        tensor = getattr(module, key[1])
        if self._saved is not None and key not in self._saved and tensor is not None:
            self._saved[key] = (module, tensor, tensor.detach().clone())

    @contextmanager
    def kept(self) -> Generator[None]:
        """Give back what the first pass changed and the block changes again."""
        changed: list[tuple[nn.Module, str, Tensor, Tensor]] = []
        for (_, name), (module, buffer, version) in self._before.items():
            now = getattr(module, name)
            silent = name in _SILENT and module.training
            if now is not None and (silent or now is not buffer or now._version != version):
                changed.append((module, name, now, now.detach().clone()))
        try:
            yield
        finally:
            with torch.no_grad():
                for module, name, tensor, value in changed:
                    setattr(module, name, tensor)
                    tensor.copy_(value)
