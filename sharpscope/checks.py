"""Checks at the door: parameter, what is allowed, what came, what to do."""

import difflib
import math
from collections.abc import Iterable
from numbers import Integral, Real

from sharpscope.errors import MisuseError


def nearest(value: str, allowed: Iterable[str]) -> str:
    """Return ``; did you mean 'x'?`` for the allowed name nearest to ``value``, or nothing."""
    if not isinstance(value, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        return ""
    close = difflib.get_close_matches(value, list(allowed), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""


def listed(names: Iterable[str]) -> str:
    """Return names as ``'a', 'b' or 'c'``, all of them."""
    quoted = [repr(str(name)) for name in names]
    if len(quoted) < 2:
        return "".join(quoted) or "nothing"
    return f"{', '.join(quoted[:-1])} or {quoted[-1]}"


def one_of(parameter: str, value: str, allowed: Iterable[str], why: str = "") -> str:
    """Return ``value`` if it is allowed, else raise a sentence with every allowed name."""
    names = list(allowed)
    if value not in names:
        reason = f" ({why})" if why else ""
        raise MisuseError(
            f"{parameter} must be {listed(names)}{reason}; got {value!r}{nearest(value, names)}"
        )
    return value


def at_least(parameter: str, value: int, least: int, why: str = "") -> int:
    """Return ``value`` if it is a whole number not below ``least``."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:  # pyright: ignore[reportUnnecessaryIsInstance]
        reason = f" ({why})" if why else ""
        raise MisuseError(
            f"{parameter} must be a whole number of at least {least}{reason}; got {value!r}"
        )
    return int(value)


def positive(parameter: str, value: float) -> float:
    """Return ``value`` if it is a finite number above 0."""
    number = isinstance(value, Real) and not isinstance(value, bool)  # pyright: ignore[reportUnnecessaryIsInstance]
    if not number or not math.isfinite(value) or value <= 0:
        raise MisuseError(f"{parameter} must be a finite number above 0; got {value!r}")
    return value
