"""Several seeds as one number with its error."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit


class Summary(NamedTuple):
    """A number, its standard error where there is one, and the values behind it."""

    value: float
    error: float | None
    seeds: int

    @property
    def half_width(self) -> float | None:
        """Half of the 95 % interval by Student's t; None of a single value."""
        if self.error is None or self.seeds < 2:
            return None
        return float(stdtrit(self.seeds - 1, 0.975)) * self.error


def over_seeds(values: Sequence[float], errors: Sequence[float | None] = ()) -> Summary:
    """Return the mean over seeds with its standard error; a single value keeps its own error.

    Example:
        >>> over_seeds([1.0, 2.0, 3.0]).error == 1 / 3**0.5
        True
        >>> over_seeds([1.0], [0.2])
        Summary(value=1.0, error=0.2, seeds=1)
    """
    if len(values) == 1:
        return Summary(float(values[0]), errors[0] if errors else None, 1)
    error = float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return Summary(float(np.mean(values)), error, len(values))


def is_number(value: object) -> bool:
    """Whether a value is there and finite."""
    return isinstance(value, int | float) and math.isfinite(value)
