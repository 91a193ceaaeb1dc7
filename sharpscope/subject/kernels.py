"""Kernels that have a second derivative, chosen inside the measurement only."""

import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils import checkpoint


@contextmanager
def twice_differentiable(model: nn.Module) -> Generator[None]:
    """Run attention on the math kernel, recurrent layers without cuDNN and compiled code eagerly.

    The flash and memory-efficient attention kernels, the fused transformer layer and cuDNN's
    recurrent layers have a first derivative only. The fused layer would moreover return zeros at
    padded positions, and be taken or not according to which encoder is selected. An autocast
    around the measurement is switched off: it would round to half precision. So are the short
    mantissas (TF32, bfloat16) that float32 products may be given by a setting, convolutions on
    CUDA by default: they round like half precision. Reentrant checkpointing is left out, which
    cuts such derivatives off, and so is the fused kernel of weight normalization, whose second
    derivative is wrong: it makes Hessians that are not symmetric.
    """
    fast = torch.backends.mha.get_fastpath_enabled()
    cudnn = torch.backends.cudnn.enabled
    with ExitStack() as stack:
        for kind in ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",):
            stack.enter_context(torch.autocast(kind, enabled=False))
        stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        stack.callback(torch.backends.mha.set_fastpath_enabled, fast)
        torch.backends.mha.set_fastpath_enabled(False)
        stack.enter_context(_full_precision())
        stack.enter_context(_checkpoints_run_through())
        stack.enter_context(_elementary_weight_norm())
        if "torch._dynamo" in sys.modules:  # nothing can be compiled where it was never imported
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        if torch.cuda.is_available():
            stack.callback(_set_cudnn, cudnn)
            for module in model.modules():
                if isinstance(module, nn.RNNBase | nn.RNNCellBase):
                    # Only while this layer runs: convolutions keep their fast kernels.
                    stack.enter_context(_handle(module.register_forward_pre_hook(_cudnn_off)))
                    stack.enter_context(
                        _handle(module.register_forward_hook(lambda *_: _set_cudnn(cudnn)))
                    )
        yield


@contextmanager
def _full_precision() -> Generator[None]:
    """Multiply float32 numbers with all of their digits."""
    backends: Any = torch.backends
    if not hasattr(backends.cudnn, "conv"):  # torch before 2.9
        before = torch.get_float32_matmul_precision(), backends.cudnn.allow_tf32
        torch.set_float32_matmul_precision("highest")
        backends.cudnn.allow_tf32 = False
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(before[0])
            backends.cudnn.allow_tf32 = before[1]
        return
    kinds = (backends.cudnn.conv, backends.cudnn.rnn, backends.cuda.matmul)
    kinds += (backends.mkldnn.conv, backends.mkldnn.rnn, backends.mkldnn.matmul)
    short = [(kind, kind.fp32_precision) for kind in kinds]
    short = [(kind, precision) for kind, precision in short if precision not in ("none", "ieee")]
    for kind, _ in short:
        kind.fp32_precision = "ieee"
    try:
        yield
    finally:
        for kind, precision in short:
            kind.fp32_precision = precision


@contextmanager
def _checkpoints_run_through() -> Generator[None]:
    """Run what reentrant checkpointing wraps as if it were not wrapped.

    It has no derivative but that of ``backward()``, and none at all where no input needs one,
    such as behind a frozen part.
    """
    kind: Any = checkpoint.CheckpointFunction
    nested = "apply" in vars(kind)
    if not nested:
        kind.apply = staticmethod(lambda run, preserve, *inputs: run(*inputs))
    try:
        yield
    finally:
        if not nested:
            del kind.apply


@contextmanager
def _elementary_weight_norm() -> Generator[None]:
    """Normalize weights by elementary operations."""
    # Both ways of torch.nn.utils to it; the name of the function hides the module of the older.
    homes: list[Any] = [torch, sys.modules["torch.nn.utils.weight_norm"]]
    before = homes[0]._weight_norm

    def elementary(v: Tensor, g: Tensor, dim: int = 0) -> Tensor:
        return v * (g / torch.norm_except_dim(v, 2, dim))

    for home in homes:
        home._weight_norm = elementary
    try:
        yield
    finally:
        for home in homes:
            home._weight_norm = before


@contextmanager
def _handle(handle: Any) -> Generator[None]:
    try:
        yield
    finally:
        handle.remove()


def _cudnn_off(*_: Any) -> None:
    _set_cudnn(False)


def _set_cudnn(enabled: bool) -> None:
    torch.backends.cudnn.enabled = enabled
