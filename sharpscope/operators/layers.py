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
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from sharpscope.operators.twice import BatchNorm, Convolution, Relu, transformed


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
    return _INNER._autograd._top_saved_tensors_default_hooks(True) is not None or transformed()


_INNER: Any = vars(torch)["_C"]


def _each(value: Any, dimensions: int) -> list[int]:
    values = [int(v) for v in value] if isinstance(value, tuple | list) else [int(value)]
    return values * dimensions if len(values) == 1 else values
