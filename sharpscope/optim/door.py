"""Checks of what optimizers are given."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sharpscope.errors import MisuseError

Rho = float | Callable[[int], float]


def radius(name: str, value: Any) -> float:
    """Return a radius if it is a finite number of at least 0."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 <= value < math.inf:
        raise MisuseError(f"{name} must be a finite number of at least 0; got {value!r}")
    return float(value)


def radius_or_schedule(name: str, value: Rho) -> Rho:
    """Return a radius, or a function from the number of the step to one."""
    return value if callable(value) else radius(name, value)


def between(name: str, value: Any, low: float, high: float) -> float:
    """Return a number if it lies in a closed range."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not low <= value <= high:
        raise MisuseError(f"{name} must be a number from {low:g} to {high:g}; got {value!r}")
    return float(value)


def weights(given: Any, names: Sequence[str]) -> dict[str, float]:
    """Return λ of each encoder from one number, or from one for each."""
    if not isinstance(given, Mapping):
        return dict.fromkeys(names, radius("unimodal_weight", given))
    if set(given) != set(names):
        raise MisuseError(
            "unimodal_weight must be one number or name every encoder "
            f"({', '.join(names)}); got {', '.join(map(str, given)) or 'none'}"
        )
    return {name: radius(f"unimodal_weight[{name!r}]", given[name]) for name in names}
