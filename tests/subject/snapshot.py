"""Everything that a measurement could change, photographed bit by bit."""

import random
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


def bits(tensor: Tensor | None) -> Any:
    """Return what a tensor is, bit for bit; NaN equals NaN."""
    if tensor is None:
        return None
    plain = tensor.detach().clone().contiguous()
    return (
        id(tensor),
        tensor.dtype,
        tuple(tensor.shape),
        tensor.stride(),
        tensor.data_ptr(),
        tensor.requires_grad,
        plain.reshape(-1).view(torch.uint8).numpy().tobytes(),
    )


def photograph(model: nn.Module) -> dict[str, Any]:
    """Return the whole state of a model and of the random generators."""
    picture: dict[str, Any] = {
        "torch": torch.get_rng_state().numpy().tobytes(),
        "numpy": repr(np.random.get_state()),
        "python": random.getstate(),
    }
    for path, module in model.named_modules():
        own = vars(module)
        picture[f"{path}:flags"] = (id(module), module.training, sorted(own))
        picture[f"{path}:lazy"] = sorted(own["_non_persistent_buffers_set"])
        for table in ("_parameters", "_buffers"):
            picture[f"{path}:{table} bits"] = {k: bits(v) for k, v in own[table].items()}
        for name, parameter in own["_parameters"].items():
            grad = None if parameter is None else parameter.grad
            picture[f"{path}:{name}.grad"] = bits(grad)
        for name, value in own.items():
            if "hooks" in name:
                picture[f"{path}:{name}"] = (id(value), list(value or ()))
            elif isinstance(value, Tensor):
                picture[f"{path}:{name}"] = bits(value)
            elif isinstance(value, bool | int | float | str):
                picture[f"{path}:{name}"] = value
            elif type(value) in (dict, list):
                entries = value.items() if isinstance(value, dict) else enumerate(value)
                picture[f"{path}:{name}"] = [(k, id(v)) for k, v in entries]
    return picture


def same(model: nn.Module, before: dict[str, Any]) -> None:
    """Assert that nothing differs, and name what does."""
    after = photograph(model)
    changed = sorted(k for k in before.keys() | after.keys() if before.get(k) != after.get(k))
    assert not changed, f"changed: {changed}"
