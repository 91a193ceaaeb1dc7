"""Hold a model still while it is measured, and give it back exactly as it came."""

import copy
import random
import signal
import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import Parameter


class Held:
    """Whether a block of ``held_still`` still holds its model."""

    def __init__(self):
        self.active = True


@contextmanager
def held_still(
    model: nn.Module, batches: Any, *, device: torch.device, dtype: torch.dtype | None
) -> Generator[Held]:
    """Put ``model`` into eval mode, on ``device`` and in ``dtype``, on copies of its tensors.

    Parameters, buffers (``num_batches_tracked`` too), gradients, ``requires_grad``, training
    flags, hooks and other attributes of the modules (caches, counters) and the random states of
    torch, numpy, Python and the loader return bit for bit, also after an exception or Ctrl-C.
    Parameters keep their identity: only their data is exchanged, so that nothing the model does
    to its tensors inside the block can reach the originals. Gradient hooks of parameters rest:
    what masks or clips a gradient for training would change the curvature.
    """
    held = Held()
    parameters = [_ParameterState(p) for p in model.parameters()]
    modules = [_ModuleState(module) for module in model.modules()]
    randomness = _random_state(batches, device)
    copies: dict[int, Tensor] = {}

    def copied(tensor: Tensor) -> Tensor:
        if id(tensor) not in copies:
            kind = dtype if tensor.is_floating_point() else None
            copies[id(tensor)] = tensor.detach().to(device, kind, copy=True)
        return copies[id(tensor)]

    def give_back() -> None:
        for state in (*parameters, *modules):
            state.restore()
        _restore_random_state(randomness)
        held.active = False

    try:
        try:
            for state in (*parameters, *modules):
                state.replace(copied)
            model.eval()
            yield held
        finally:
            with _uninterrupted():
                give_back()
    finally:
        # A Ctrl-C may have come just before it was held back: giving back twice does no harm.
        if held.active:
            with _uninterrupted():
                give_back()


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


class _ParameterState:
    """What hangs on one parameter."""

    def __init__(self, parameter: Parameter):
        self.parameter = parameter
        self.data = parameter.data
        self.gradient = parameter.grad
        self.trainable = parameter.requires_grad
        self.hooks: Any = parameter._backward_hooks

    def replace(self, copied: Callable[[Tensor], Tensor]) -> None:
        self.parameter.grad = None
        if self.hooks is not None:
            self.parameter._backward_hooks = None
        self.parameter.data = copied(self.data)

    def restore(self) -> None:
        self.parameter.grad = None
        self.parameter.data = self.data
        self.parameter.grad = self.gradient
        self.parameter.requires_grad_(self.trainable)
        if self.hooks is not None:
            self.parameter._backward_hooks = self.hooks


class _ModuleState:
    """Everything that one module holds: its attributes, and what its tables and lists list.

    Not its parameters and buffers alone: a rotary cache in a dictionary would stay behind in
    float64, and a LoRA layer that merges its weights in eval mode would believe them merged.
    """

    def __init__(self, module: nn.Module):
        self.attributes = vars(module)
        self.saved = dict(self.attributes)
        self.contents = {
            name: copy.copy(value)
            for name, value in self.saved.items()
            if isinstance(value, dict | list | set)
        }

    def replace(self, copied: Callable[[Tensor], Tensor]) -> None:
        for table in (self.attributes, self.attributes["_buffers"]):
            for name, value in list(table.items()):
                if isinstance(value, Tensor) and value.grad_fn is None:
                    table[name] = copied(value)
        if self.attributes.get("_compiled_call_impl") is not None:
            # Set by module.compile(): the compiled call has no second derivative.
            self.attributes["_compiled_call_impl"] = None
        if (plain := _without_accelerate(self.attributes)) is not None:
            self.attributes["forward"] = plain

    def restore(self) -> None:
        self.attributes.update(self.saved)
        for name in [name for name in self.attributes if name not in self.saved]:
            del self.attributes[name]
        for name, content in self.contents.items():
            held = self.saved[name]
            held.clear()
            held.extend(content) if isinstance(held, list) else held.update(content)


def _without_accelerate(attributes: dict[str, Any]) -> Any:
    """Return the forward pass that accelerate has put autocast around; None where it has not.

    An autocast around the measurement is switched off, and this one begins inside.
    """
    original, forward = attributes.get("_original_forward"), attributes.get("forward")
    if original is None:
        return None
    wanted = getattr(original, "__func__", original)
    while forward is not None:
        forward = getattr(forward, "__wrapped__", None)
        if forward is not None and getattr(forward, "__func__", forward) is wanted:
            return original
    return None


def _random_state(batches: Any, device: torch.device) -> dict[str, Any]:
    state: dict[str, Any] = {
        "torch": torch.get_rng_state(),
        "numpy": np.random.get_state(),
        "python": random.getstate(),
        "loader": [(g, g.get_state()) for g in _generators(batches)],
    }
    if device.type == "cuda" or (torch.cuda.is_available() and torch.cuda.is_initialized()):
        state["cuda"] = torch.cuda.get_rng_state_all()
    return state


def _restore_random_state(state: dict[str, Any]) -> None:
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
    parts += [getattr(part, "sampler", None) for part in parts[1:]]
    found = [getattr(part, "generator", None) for part in parts if part is not None]
    unique = {id(g): g for g in found if isinstance(g, torch.Generator)}
    return list(unique.values())


@contextmanager
def _uninterrupted() -> Generator[None]:
    """Let a Ctrl-C that comes while the model is given back wait until it is whole again."""
    main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGINT) if main else None
    if before is None:  # another thread, or a handler that Python cannot put back
        yield
        return
    came: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if came:
            signal.raise_signal(came[0])  # to whoever handles it: it need not be Python
