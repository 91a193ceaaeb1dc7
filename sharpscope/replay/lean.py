"""Torch's own attention and transformer layers with fewer copies, where no derivative is needed."""

import functools
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear

from sharpscope.replay.calls import replaced_forwards

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
# Exactly these: what derives from them may compute anything.
_LINEAR = (nn.Linear, NonDynamicallyQuantizableLinear)
_PARTS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("linear1", "linear2"), _LINEAR),
    **dict.fromkeys(("norm1", "norm2"), (nn.LayerNorm,)),
    **dict.fromkeys(("dropout", "dropout1", "dropout2"), (nn.Dropout,)),
    "self_attn": (nn.MultiheadAttention,),
}
_METHODS = {"forward", "_sa_block", "_ff_block"}
# What attention may be asked for beside its values, without a change to them.
_INDIFFERENT = {"need_weights", "average_attn_weights"}


class Lean:
    """Runs self-attention and transformer layers with the same products and fewer copies.

    Torch copies queries, keys and values one after another into new memory, and the result of
    attention back. Here attention reads them where the product has put them, what is added is
    added in place, and a sequence stays together in memory from layer to layer: an output has the
    same numbers and shape, but other strides where time comes first. That is for exactly torch's
    classes, in eval mode, without masks and hooks, and where nothing inside is played back or
    replaced; all else runs as ever. Gradients must be off, and whoever uses this compares with
    plain passes.

    Args:
        model: The model, in eval mode.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> layer = nn.TransformerEncoderLayer(8, 2, 16).eval()
        >>> lean, x = Lean(layer), torch.randn(3, 4, 8)
        >>> with torch.no_grad():
        ...     plain = layer(x)
        ...     with lean.running():
        ...         bool((layer(x) - plain).abs().max() < 1e-6)
        True
    """

    def __init__(self, model: nn.Module):
        self.model = model
        named = dict(model.named_modules())
        self._layers = {n: m for n, m in named.items() if _is_layer(m)}
        inside = {id(part) for layer in self._layers.values() for part in layer.modules()}
        self._alone = {n: m for n, m in named.items() if _is_attention(m) and id(m) not in inside}

    @property
    def names(self) -> tuple[str, ...]:
        """The modules that may run so."""
        return (*self._layers, *self._alone)

    @contextmanager
    def running(self) -> Generator[None]:
        """Run the model so inside the block."""

        def wrap(name: str, run: Callable[..., Any]) -> Callable[..., Any]:
            layer = self._layers.get(name)
            return _layer(layer, run) if layer is not None else _alone(self._alone[name], run)

        with replaced_forwards(self.model, wrap, parts=self._layers | self._alone):
            yield


def _layer(layer: Any, run: Callable[..., Any]) -> Callable[..., Any]:
    inside = [part for part in layer.modules() if part is not layer]
    time_first = not layer.self_attn.batch_first

    @functools.wraps(run)
    def forward(*args: Any, **kwargs: Any) -> Any:
        if len(args) != 1 or not _simple(args[0], kwargs) or not all(map(_plain, inside)):
            return run(*args, **kwargs)
        x = args[0].transpose(0, 1) if time_first else args[0]
        if layer.norm_first:
            x = _attended(layer.self_attn, layer.norm1(x)).add_(x)
            x = _fed(layer, layer.norm2(x)).add_(x)
        else:
            x = layer.norm1(_attended(layer.self_attn, x).add_(x))
            x = layer.norm2(_fed(layer, x).add_(x))
        return x.transpose(0, 1) if time_first else x

    return forward


def _alone(attention: Any, run: Callable[..., Any]) -> Callable[..., Any]:
    inside = [part for part in attention.modules() if part is not attention]

    @functools.wraps(run)
    def forward(*args: Any, **kwargs: Any) -> Any:
        itself = len(args) == 3 and args[0] is args[1] and args[1] is args[2]
        if (
            not itself
            or kwargs.get("need_weights") is not False
            or not _simple(args[0], kwargs)
            or not all(map(_plain, inside))
        ):
            return run(*args, **kwargs)
        if attention.batch_first:
            return _attended(attention, args[0]), None
        return _attended(attention, args[0].transpose(0, 1)).transpose(0, 1), None

    return forward


def _attended(attention: Any, x: Tensor) -> Tensor:
    """Return what self-attention makes of sequences, (N, time, width), in memory of its own."""
    mixed = functional.linear(x, attention.in_proj_weight, attention.in_proj_bias)
    heads = mixed.unflatten(-1, (3, attention.num_heads, -1)).permute(2, 0, 3, 1, 4)
    query, key, value = heads.unbind(0)
    found = functional.scaled_dot_product_attention(query, key, value)
    return functional.linear(
        found.transpose(1, 2).flatten(2), attention.out_proj.weight, attention.out_proj.bias
    )


def _fed(layer: Any, x: Tensor) -> Tensor:
    """Return what the hidden layer makes of tokens, in memory of its own."""
    hidden = functional.linear(x, layer.linear1.weight, layer.linear1.bias)
    relu = layer.activation is functional.relu
    hidden = hidden.relu_() if relu else layer.activation(hidden)
    return functional.linear(hidden, layer.linear2.weight, layer.linear2.bias)


def _simple(x: Any, asked: Mapping[str, Any]) -> bool:
    """Whether a call is about sequences and nothing else."""
    others = (value for name, value in asked.items() if name not in _INDIFFERENT)
    sequences = type(x) is Tensor and x.ndim == 3 and not x.is_nested
    return sequences and all(value is None or value is False for value in others)


def _is_layer(module: nn.Module) -> bool:
    """Whether a module is torch's transformer layer, and all in it is what torch puts there."""
    if type(module) is not nn.TransformerEncoderLayer or not _at_rest(module):
        return False
    parts = vars(module)["_modules"]
    known = all(type(parts.get(name)) in kinds for name, kinds in _PARTS.items())
    return known and _is_attention(parts["self_attn"])


def _is_attention(module: Any) -> bool:
    """Whether a module is torch's attention with one matrix for queries, keys and values."""
    if type(module) is not nn.MultiheadAttention or not _at_rest(module):
        return False
    table = vars(module)["_parameters"]
    one = table.get("in_proj_weight") is not None
    more = table.get("bias_k") is not None or table.get("bias_v") is not None
    return one and not more and not module.add_zero_attn and type(module.out_proj) in _LINEAR


def _at_rest(module: nn.Module) -> bool:
    return all(_plain(part) and not part.training for part in module.modules())


def _plain(module: nn.Module) -> bool:
    """Whether a module's call is its class's and nothing else."""
    table = vars(module)
    return _METHODS.isdisjoint(table) and not any(map(table.get, _HOOKS))
