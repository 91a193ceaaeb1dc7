"""Hold a model still while it is measured, and give it back exactly as it came."""

import random
import signal
import threading
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import Parameter


@contextmanager
def held_still(
    model: nn.Module, batches: Any, *, device: torch.device, dtype: torch.dtype | None
) -> Generator[None]:
    """Put ``model`` into eval mode, on ``device`` and in ``dtype``, on copies of its tensors.

    Parameters, buffers (``num_batches_tracked`` too), gradients, ``requires_grad``, training
    flags and the random states of torch, numpy, Python and the loader return bit for bit, also
    after an exception or Ctrl-C. Parameters keep their identity: only their data is exchanged,
    so that nothing the model does to its tensors inside the block can reach the originals.
    """
    parameters = list(model.parameters())
    data = [p.data for p in parameters]
    gradients = [p.grad for p in parameters]
    trainable = [p.requires_grad for p in parameters]
    modules = list(model.modules())
    training = [module.training for module in modules]
    buffers = [dict(_buffers(module)) for module in modules]
    compiled = [vars(module).get("_compiled_call_impl") for module in modules]
    randomness = _random_state(batches)
    copies: dict[int, Tensor] = {}

    def copy(tensor: Tensor) -> Tensor:
        if id(tensor) not in copies:
            kind = dtype if tensor.is_floating_point() else None
            copies[id(tensor)] = tensor.to(device, kind, copy=True)
        return copies[id(tensor)]

    try:
        for parameter, original in zip(parameters, data, strict=True):
            parameter.grad = None
            parameter.data = copy(original)
        for module, own in zip(modules, buffers, strict=True):
            _buffers(module).update({k: b if b is None else copy(b) for k, b in own.items()})
            if vars(module).get("_compiled_call_impl") is not None:
                # Set by module.compile(): the compiled call has no second derivative.
                vars(module)["_compiled_call_impl"] = None
        model.eval()
        yield
    finally:
        with _uninterrupted():
            for parameter, original, gradient, flag in zip(
                parameters, data, gradients, trainable, strict=True
            ):
                parameter.grad = None
                parameter.data = original
                parameter.grad = gradient
                parameter.requires_grad_(flag)
            for module, own, flag, call in zip(modules, buffers, training, compiled, strict=True):
                _buffers(module).clear()
                _buffers(module).update(own)
                module.training = flag
                if call is not None:
                    vars(module)["_compiled_call_impl"] = call
            _restore_random_state(batches, randomness)


@contextmanager
def only(model: nn.Module, chosen: Iterable[Parameter]) -> Generator[None]:
    """Let gradients reach ``chosen`` alone, so that no graph is built for anything else."""
    wanted = {id(p) for p in chosen}
    before = [(p, p.requires_grad) for p in model.parameters()]
    try:
        for parameter, _ in before:
            parameter.requires_grad_(id(parameter) in wanted)
        yield
    finally:
        with _uninterrupted():
            for parameter, flag in before:
                parameter.requires_grad_(flag)


def _buffers(module: nn.Module) -> dict[str, Tensor | None]:
    return vars(module)["_buffers"]


def _random_state(batches: Any) -> dict[str, Any]:
    state: dict[str, Any] = {
        "torch": torch.get_rng_state(),
        "numpy": np.random.get_state(),
        "python": random.getstate(),
        "loader": [(g, g.get_state()) for g in _generators(batches)],
    }
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        state["cuda"] = torch.cuda.get_rng_state_all()
    return state


def _restore_random_state(batches: Any, state: dict[str, Any]) -> None:
    torch.set_rng_state(state["torch"])
    np.random.set_state(state["numpy"])
    random.setstate(state["python"])
    for generator, position in state["loader"]:
        generator.set_state(position)
    if "cuda" in state:
        torch.cuda.set_rng_state_all(state["cuda"])


def _generators(batches: Any) -> list[torch.Generator]:
    """Return the generators of a loader and of its samplers, which a pass moves on."""
    parts = [batches] + [getattr(batches, name, None) for name in ("sampler", "batch_sampler")]
    found = [getattr(part, "generator", None) for part in parts if part is not None]
    unique = {id(g): g for g in found if isinstance(g, torch.Generator)}
    return list(unique.values())


@contextmanager
def _uninterrupted() -> Generator[None]:
    """Let a Ctrl-C that comes while the model is given back wait until it is whole again."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if came:
            raise KeyboardInterrupt
