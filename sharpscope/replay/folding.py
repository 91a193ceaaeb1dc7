"""Frozen norms folded into the layer before them, for passes that need no derivative."""

import functools
import weakref
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, TypeVar

from torch import Tensor, nn
from torch.nn import functional

from sharpscope.replay.calls import replaced_forwards
from sharpscope.replay.uses import Uses

T = TypeVar("T")
# Exactly these: what derives from them may compute anything.
_LINEAR = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


class FoldingRefused(Exception):
    """A pass did not go the way that was watched; caught before anyone sees it."""


class Folding:
    """Folds ``γ (Wx + b − μ) / √(σ² + ε) + β`` into one layer with other weights.

    Which norm follows which layer is seen in watched passes: the norm's input is the very tensor
    that the layer returned, and nothing else reads it. Weights are those of the moment: they are
    folded anew in every block. Gradients must be off.

    Args:
        model: The model, in eval mode.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)).eval()
        >>> folding, x = Folding(model), torch.randn(4, 3)
        >>> with torch.no_grad():
        ...     plain = folding.watched(lambda: model(x))
        ...     with folding.folded():
        ...         bool((model(x) - plain).abs().max() < 1e-6)
        True
        >>> folding.pairs
        {'0': '1'}
    """

    def __init__(self, model: nn.Module):
        self.model = model
        self._modules = dict(model.named_modules())
        self._layers = {n for n, m in self._modules.items() if _plain(m) and type(m) in _LINEAR}
        self._norms = {n for n, m in self._modules.items() if _plain(m) and _frozen(m)}
        self._pairs: dict[str, str] = {}
        self._refused: set[str] = set()

    @property
    def possible(self) -> bool:
        """Whether there is a norm at all that could be folded."""
        return bool(self._layers and self._norms)

    @property
    def pairs(self) -> dict[str, str]:
        """The layers into which a norm is folded, and the norm of each."""
        return {a: b for a, b in self._pairs.items() if not {a, b} & self._refused}

    def watched(self, work: Callable[[], T]) -> T:
        """Return what a pass returns, and learn from it what can be folded."""
        uses = Uses()

        def wrap(name: str, run: Callable[..., Any]) -> Callable[..., Any] | None:
            if name in self._layers:
                return uses.layer(name, run)
            return uses.norm(name, run) if name in self._norms else None

        with replaced_forwards(self.model, wrap), uses.watching():
            found = work()
        self._learn(uses)
        return found

    @contextmanager
    def folded(self) -> Generator[None]:
        """Run the model with its norms folded inside the block; parameters must not change in it.

        Raises:
            FoldingRefused: If a layer's output does not go to its norm.
        """
        pairs = self.pairs
        if not pairs:
            yield
            return
        layers = {name: _Folded(self._modules[a], self._modules[name]) for a, name in pairs.items()}

        def wrap(name: str, run: Callable[..., Any]) -> Callable[..., Any]:
            return layers[pairs[name]].layer(run) if name in pairs else layers[name].norm(run)

        parts = {name: self._modules[name] for name in (*pairs, *layers)}
        with replaced_forwards(self.model, wrap, parts=parts):
            yield
        for layer in layers.values():
            layer.check()

    def _learn(self, uses: Uses) -> None:
        for use in uses.outputs:
            norm = self._pairs.setdefault(use.layer, use.norm)
            if not use.norm or use.spoiled or norm != use.norm or use.output() is not None:
                self._refused.add(use.layer)
        for norm, layers in uses.inputs.items():
            before = {layer for layer, other in self._pairs.items() if other == norm}
            if layers | before != {next(iter(layers))}:  # also where it is no layer's output
                self._refused.add(norm)


class _Folded:
    """One layer and its norm at one point."""

    def __init__(self, layer: nn.Module, norm: nn.Module):
        self._layer: Any = layer
        self._norm: Any = norm
        self._key: Any = None
        self._weights: tuple[Tensor, Tensor] | None = None
        self._waiting: Tensor | None = None
        self._given: Callable[[], Tensor | None] = lambda: None

    def layer(self, run: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(run)
        def forward(*args: Any, **kwargs: Any) -> Any:
            if self._waiting is not None:
                raise FoldingRefused("a layer was called again before its norm")
            if len(args) != 1 or kwargs or args[0].ndim != self._layer.weight.ndim:
                return run(*args, **kwargs)
            weight, bias = self._folded()
            if isinstance(self._layer, nn.Linear):
                self._waiting = functional.linear(args[0], weight, bias)
            else:
                self._waiting = self._layer._conv_forward(args[0], weight, bias)
            self._given = weakref.ref(self._waiting)
            return self._waiting

        return forward

    def norm(self, run: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(run)
        def forward(*args: Any, **kwargs: Any) -> Any:
            waiting, self._waiting = self._waiting, None
            x = args[0] if len(args) == 1 and not kwargs else None
            if x is not None and x is waiting:
                return waiting
            if waiting is not None or (x is not None and x is self._given()):
                raise FoldingRefused("a norm was given something else than its layer's output")
            return run(*args, **kwargs)  # the layer was played back, or had another input

        return forward

    def check(self) -> None:
        """Raise where an output waits for its norm in vain."""
        if self._waiting is not None:
            raise FoldingRefused("a layer's norm was not called")

    def _folded(self) -> tuple[Tensor, Tensor]:
        """Return weight and bias, computed again where the model has changed one of its tensors."""
        layer, norm = self._layer, self._norm
        there = (layer.weight, layer.bias, norm.weight, norm.bias, norm.running_mean)
        there = (*there, norm.running_var)
        key = (norm.eps, [None if t is None else (t.data_ptr(), t._version) for t in there])
        if self._weights is None or key != self._key:
            kind = layer.weight.dtype
            weight, bias, gain, shift, mean, variance = map(_double, there)
            scale = (variance + norm.eps).rsqrt() * (1.0 if gain is None else gain)
            bias = ((0.0 if bias is None else bias) - mean) * scale
            bias = bias if shift is None else bias + shift
            weight = weight * scale.reshape(-1, *[1] * (weight.ndim - 1))
            self._key, self._weights = key, (weight.to(kind), bias.to(kind))
        return self._weights


def _double(tensor: Tensor | None) -> Any:
    return None if tensor is None else tensor.detach().double()


def _plain(module: nn.Module) -> bool:
    """Whether a module's call is its class's forward and nothing else."""
    table = vars(module)
    return "forward" not in table and not any(table.get(kind) for kind in _HOOKS)


def _frozen(module: nn.Module) -> bool:
    """Whether a module is a norm that divides by statistics of its own."""
    buffers = vars(module)["_buffers"]
    there = all(buffers.get(name) is not None for name in ("running_mean", "running_var"))
    return type(module) in _NORMS and not module.training and there
