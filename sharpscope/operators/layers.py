"""Layers whose second derivative torch computes dearly, with a cheaper one of the same value.

Derivatives of a backward pass are again calls of the same kernels: those of ``y = Wx`` with the
cotangent g are ``gᵀ(dW x + W dx)``, so another forward call gives the part of g, and one backward
call on ``(g, dx, dW)`` the parts of x and W. torch has that for linear layers. Its convolutions
transpose and copy whole batches for it, its BatchNorm in eval mode takes a formula of a dozen
elementwise passes that is meant for training mode, and its ReLU adds zeros. Derivatives beyond
the second are torch's.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function, forward_ad
from torch.nn import functional
from torch.overrides import TorchFunctionMode

_aten: Any = torch.ops.aten


class TwiceCheap(TorchFunctionMode):
    """Inside, convolutions, BatchNorm in eval mode and ReLU have a cheaper second derivative.

    Only where something is recorded for a gradient; the values of the forward pass are those of
    the same kernels. What runs under hooks of saved tensors is left to torch: checkpointed parts
    run again in the backward pass, which is outside of this mode, and must be the same there.

    Example:
        >>> import torch
        >>> from sharpscope.operators.layers import TwiceCheap
        >>> x = torch.tensor([[[1.0, -2.0, 3.0]]], requires_grad=True)
        >>> with TwiceCheap():
        ...     y = torch.nn.functional.conv1d(x, torch.ones(1, 1, 2))
        >>> type(y.grad_fn).__name__
        'ConvolutionBackward'
    """

    def __torch_function__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call a layer, or torch's own function where the layer is not for such arguments."""
        kwargs = kwargs or {}
        layer = _LAYERS.get(func)
        if layer is not None and torch.is_grad_enabled() and not _left_to_torch():
            found = layer(*args, **kwargs)
            if found is not None:
                return found
        return func(*args, **kwargs)


def is_ours(function: type) -> bool:
    """Return whether a custom autograd function is one of this module."""
    return function.__module__ == __name__


class Convolution(Function):
    """A convolution; ``shape`` is all that torch's kernels take beside the tensors."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, shape: Any) -> Tensor:
        """Return ``W * x + b``."""
        ctx.save_for_backward(x, weight)
        ctx.shape = shape
        return _aten.convolution(x, weight, bias, *shape)

    @staticmethod
    def backward(ctx: Any, *cotangents: Any) -> Any:
        """Return the gradients by a function that has a derivative itself."""
        wanted = list(ctx.needs_input_grad[:3])
        if _batched(*cotangents):
            x, weight = ctx.saved_tensors
            sizes = [weight.shape[0]]
            found = _aten.convolution_backward(*cotangents, x, weight, sizes, *ctx.shape, wanted)
            return (*found, None)
        return (
            *_ConvolutionGradient.apply(*cotangents, *ctx.saved_tensors, ctx.shape, wanted),
            None,
        )


class _ConvolutionGradient(Function):
    @staticmethod
    def forward(ctx: Any, g: Tensor, x: Tensor, weight: Tensor, shape: Any, wanted: Any) -> Any:
        ctx.save_for_backward(g, x, weight)
        ctx.set_materialize_grads(False)
        ctx.shape = shape
        return _aten.convolution_backward(g, x, weight, [weight.shape[0]], *shape, wanted)

    @staticmethod
    def backward(ctx: Any, *directions: Any) -> Any:
        dx, dw, db = directions
        g, x, weight = ctx.saved_tensors
        of_g, of_x, of_weight = ctx.needs_input_grad[:3]
        found: list[Tensor | None] = [None, None, None]
        if of_g:
            if dw is not None or db is not None:
                dw_or_zero = torch.zeros_like(weight) if dw is None else dw
                found[0] = _aten.convolution(x, dw_or_zero, db, *ctx.shape)
            if dx is not None:
                found[0] = _sum(found[0], _aten.convolution(dx, weight, None, *ctx.shape))
        wanted = [of_x and dw is not None, of_weight and dx is not None, False]
        if any(wanted):
            found[1:] = _aten.convolution_backward(
                g, x if dx is None else dx, weight if dw is None else dw, None, *ctx.shape, wanted
            )[:2]
        return (*found, None, None)


class BatchNorm(Function):
    """BatchNorm by running statistics, a scale and a shift for each channel."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        mean: Tensor,
        var: Tensor,
        eps: float,
    ) -> Tensor:
        """Return ``w (x - mean) / √(var + ε) + b``."""
        ctx.save_for_backward(x, weight, mean, var)
        ctx.eps = eps
        return _normalized(x, weight, bias, mean, var, eps)

    @staticmethod
    def backward(ctx: Any, *cotangents: Any) -> Any:
        """Return the gradients by a function that has a derivative itself."""
        wanted = list(ctx.needs_input_grad[:3])
        apply: Any = _BatchNormGradient.apply
        gradient: Any = _normalized_backward if _batched(*cotangents) else apply
        found = gradient(*cotangents, *ctx.saved_tensors, ctx.eps, wanted)
        return (*found, None, None, None)


class _BatchNormGradient(Function):
    @staticmethod
    def forward(
        ctx: Any,
        g: Tensor,
        x: Tensor,
        weight: Tensor,
        mean: Tensor,
        var: Tensor,
        eps: float,
        wanted: Any,
    ) -> Any:
        ctx.save_for_backward(g, x, weight, mean, var)
        ctx.set_materialize_grads(False)
        ctx.eps = eps
        return _normalized_backward(g, x, weight, mean, var, eps, wanted)

    @staticmethod
    def backward(ctx: Any, *directions: Any) -> Any:
        dx, dw, db = directions
        g, x, weight, mean, var = ctx.saved_tensors
        of_g, of_x, of_weight = ctx.needs_input_grad[:3]
        found: list[Tensor | None] = [None, None, None]
        if of_g:
            if dw is not None or db is not None:
                dw_or_zero = torch.zeros_like(weight) if dw is None else dw
                found[0] = _normalized(x, dw_or_zero, db, mean, var, ctx.eps)
            if dx is not None:
                scale = weight * torch.rsqrt(var + ctx.eps)
                scale = scale.view(-1, *[1] * (x.dim() - 2))
                found[0] = (
                    _sum(found[0], dx * scale)
                    if _batched(dx, found[0])
                    else _more(found[0], dx, scale)
                )
        wanted = [of_x and dw is not None, of_weight and dx is not None, False]
        if any(wanted):  # a direction has no mean to take off
            there, scale = x if dx is None else dx, weight if dw is None else dw
            zero = torch.zeros_like(mean)
            found[1:] = _normalized_backward(g, there, scale, zero, var, ctx.eps, wanted)[:2]
        return (*found, None, None, None, None)


class Relu(Function):
    """``max(x, 0)``; its gradient is linear, with no derivative by where x is."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """Return ``max(x, 0)``."""
        found = torch.relu(x)
        ctx.save_for_backward(found)
        return found

    @staticmethod
    def backward(ctx: Any, *cotangents: Any) -> Any:
        """Return the gradient by a function that has a derivative itself."""
        if _batched(*cotangents):
            return _aten.threshold_backward(*cotangents, *ctx.saved_tensors, 0)
        return _ReluGradient.apply(*cotangents, *ctx.saved_tensors)


class _ReluGradient(Function):
    @staticmethod
    def forward(ctx: Any, g: Tensor, found: Tensor) -> Tensor:
        ctx.save_for_backward(found)
        return _aten.threshold_backward(g, found, 0)

    @staticmethod
    def backward(ctx: Any, *directions: Any) -> Any:
        return _aten.threshold_backward(directions[0], ctx.saved_tensors[0], 0), None


def _convolution(dimensions: int) -> Callable[..., Tensor | None]:
    def layer(
        input: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
    ) -> Tensor | None:
        if isinstance(padding, str) or not _plain(input, weight, bias):
            return None
        if input.dim() != dimensions + 2:
            return None
        steps = [_each(value, dimensions) for value in (stride, padding, dilation)]
        shape = (*steps, False, [0] * dimensions, groups)
        return Convolution.apply(input, weight, bias, shape)

    return layer


def _batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor | None:
    if training or running_mean is None or running_var is None:
        return None
    if not _plain(input, weight, bias, running_mean, running_var):
        return None
    if running_mean.requires_grad or running_var.requires_grad:
        return None
    weight = torch.ones_like(running_mean) if weight is None else weight
    return BatchNorm.apply(input, weight, bias, running_mean, running_var, eps)


def _relu(input: Tensor, inplace: bool = False) -> Tensor | None:
    return None if inplace or not _plain(input) else Relu.apply(input)


_LAYERS: Mapping[Any, Callable[..., Tensor | None]] = {
    functional.conv1d: _convolution(1),
    functional.conv2d: _convolution(2),
    functional.conv3d: _convolution(3),
    functional.batch_norm: _batch_norm,
    functional.relu: _relu,
    torch.relu: _relu,
    Tensor.relu: _relu,
}


def _plain(*tensors: Any) -> bool:
    """Return whether these are common real tensors of one dtype, one of which needs a gradient."""
    there = [t for t in tensors if t is not None]
    if not all(type(t) in (Tensor, nn.Parameter) and not t.is_nested for t in there):
        return False
    return (
        any(t.requires_grad for t in there)
        and all(t.layout == torch.strided and t.numel() > 0 for t in there)
        and there[0].is_floating_point()
        and len({t.dtype for t in there}) == 1
        and not torch.is_autocast_enabled(there[0].device.type)
    )


def _left_to_torch() -> bool:
    """Return whether saved tensors are hooked, or a transform or forward differentiation runs."""
    return _INNER._autograd._top_saved_tensors_default_hooks(True) is not None or _transformed()


def _transformed() -> bool:
    forward: Any = forward_ad
    return _INNER._are_functorch_transforms_active() or forward._current_level >= 0


def _batched(*tensors: Tensor | None) -> bool:
    """Return whether a cotangent is one of many at once, which our functions cannot be given.

    torch's own kernels can, and have derivatives themselves.
    """
    functorch = _INNER._functorch
    return _transformed() or any(
        functorch.is_legacy_batchedtensor(t) or functorch.is_functorch_wrapped_tensor(t)
        for t in tensors
        if t is not None
    )


_INNER: Any = vars(torch)["_C"]


def _each(value: Any, dimensions: int) -> list[int]:
    values = [int(v) for v in value] if isinstance(value, tuple | list) else [int(value)]
    return values * dimensions if len(values) == 1 else values


def _sum(one: Tensor | None, other: Tensor) -> Tensor:
    if one is None:
        return other
    return one + other if _batched(one, other) else one.add_(other)


def _more(one: Tensor | None, other: Tensor, scale: Tensor) -> Tensor:
    if one is None or _batched(one, other):
        return _sum(one, other * scale)
    return one.addcmul_(other, scale)


def _normalized(
    x: Tensor, weight: Tensor, bias: Tensor | None, mean: Tensor, var: Tensor, eps: float
) -> Tensor:
    cudnn = torch.backends.cudnn.enabled
    return torch.batch_norm(x, weight, bias, mean, var, False, 0.0, eps, cudnn)


def _normalized_backward(
    g: Tensor, x: Tensor, weight: Tensor, mean: Tensor, var: Tensor, eps: float, wanted: Any
) -> Any:
    # Empty, as torch leaves them in eval mode; its rule for many cotangents takes no None.
    saved = torch.empty(0, dtype=x.dtype, device=x.device)
    return _aten.native_batch_norm_backward(
        g, x, weight, mean, var, saved, saved, False, eps, wanted
    )
