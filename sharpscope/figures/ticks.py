"""Ticks of scales and axes: few, and as plain numbers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.ticker import FixedFormatter, FixedLocator, MaxNLocator, NullFormatter

_PLAIN = 200.0  # a logarithmic axis that spans a larger factor counts in powers of ten
# Leading digits of ticks, the roundest first.
_LEADING = ((1.0,), (1.0, 3.0), (1.0, 2.0, 5.0), (1.0, 1.5, 2.0, 3.0, 5.0, 7.0))
_FEWEST = 3  # ticks that show an axis to be logarithmic


def told_apart(values: Sequence[float]) -> list[str]:
    """Return numbers with as few digits, two at least, as tell them apart.

    Example:
        >>> told_apart([1.0, 1.02, 1.5]), told_apart([1.0, 10.0, 100.0])
        (['1', '1.02', '1.5'], ['1', '10', '100'])
    """
    found: list[str] = []
    for digits in range(2, 7):
        rounded = [float(f"{value:.{digits}g}") for value in values]
        found = [f"{v:.0f}" if 99 < abs(v) < 1e5 else f"{v:.{digits}g}" for v in rounded]
        if len(set(found)) == len(set(values)):
            break
    return found


def logarithmic(axes: Any, which: str = "y") -> None:
    """Make an axis logarithmic, with few plain numbers where it spans about two decades at most.

    Args:
        axes: With everything drawn and its limits set.
        which: ``x`` or ``y``.
    """
    getattr(axes, f"set_{which}scale")("log")
    low, high = sorted(getattr(axes, f"get_{which}lim")())
    if high >= _PLAIN * low:
        return
    ticks = round_numbers(low, high)
    axis = getattr(axes, f"{which}axis")
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_major_formatter(FixedFormatter(told_apart(ticks)))
    axis.set_minor_formatter(NullFormatter())


def round_numbers(low: float, high: float) -> list[float]:
    """Return a few round numbers in a range above 0, for a logarithmic axis.

    Example:
        >>> round_numbers(0.29, 1.25), round_numbers(0.3, 25.0), round_numbers(0.42, 0.48)
        ([0.3, 0.5, 0.7, 1.0], [0.3, 1.0, 3.0, 10.0], [0.42, 0.44, 0.46, 0.48])
    """
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    for leading in _LEADING:
        every = [float(f"{digit:g}e{decade}") for decade in decades for digit in leading]
        found = [value for value in every if low <= value <= high]
        if len(found) >= _FEWEST:
            return found
    linear = MaxNLocator(4, steps=[1, 2, 5, 10]).tick_values(low, high)
    return [float(f"{value:.6g}") for value in linear if low <= value <= high * (1 + 1e-9)]
