"""Convolution, BatchNorm in eval mode and ReLU with a second derivative of our own.

The derivatives of a backward pass are again calls of the same kernels; ``layers`` says when these
functions stand for torch's.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function, forward_ad

_aten: Any = torch.ops.aten
_INNER: Any = vars(torch)["_C"]


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


def transformed() -> bool:
    """Return whether a transform of torch.func or forward differentiation runs."""
    forward: Any = forward_ad
    return _INNER._are_functorch_transforms_active() or forward._current_level >= 0


def _batched(*tensors: Tensor | None) -> bool:
    """Return whether a cotangent is one of many at once, which our functions cannot be given.

    torch's own kernels can, and have derivatives themselves.
    """
    functorch = _INNER._functorch
    return transformed() or any(
        functorch.is_legacy_batchedtensor(t) or functorch.is_functorch_wrapped_tensor(t)
        for t in tensors
        if t is not None
    )


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
