"""Settings: each has a name, a type and a range, and reads itself from text or from a file."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from sharpscope.checks import listed, nearest
from sharpscope.errors import MisuseError

Value = int | float | str


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One named number or choice of a recipe.

    Args:
        name: As in ``--set name=value``.
        description: What it does, its unit if it has one.
        type: ``whole`` and ``number`` are JSON numbers, ``choice`` is one of ``allowed``, ``text``
            is checked where it is understood.
        default: Used where the data set has no default of its own.
        allowed: The choices.
        span: The range in words, for numbers.
        inside: Whether a number lies in that range.
    """

    name: str
    description: str
    type: Literal["whole", "number", "choice", "text"]
    default: Value
    allowed: tuple[str, ...] = ()
    span: str = ""
    inside: Callable[[float], bool] = lambda _: True

    def read(self, text: str) -> Value:
        """Return the value that a text such as ``0.5`` means.

        Raises:
            MisuseError: If the text is no value of this setting.
        """
        if self.type in ("choice", "text"):
            return self.check(text)
        try:
            return self.check(int(text) if self.type == "whole" else float(text))
        except ValueError as error:
            raise self._refused(text) from error

    def check(self, value: object) -> Value:
        """Return the value if it is one of this setting.

        Raises:
            MisuseError: If its type or range is wrong.
        """
        if self.type in ("choice", "text"):
            if isinstance(value, str) and (self.type == "text" or value in self.allowed):
                return value
        elif isinstance(value, int | float) and not isinstance(value, bool) and self.inside(value):
            if self.type == "number":
                return float(value)
            if isinstance(value, int):
                return value
        raise self._refused(value)

    def _refused(self, value: object) -> MisuseError:
        meant = {
            "whole": f"a whole number {self.span}",
            "number": f"a number {self.span}",
            "choice": listed(self.allowed) if self.allowed else "",
            "text": "a text",
        }[self.type]
        hint = nearest(value, self.allowed) if isinstance(value, str) else ""
        return MisuseError(f"setting {self.name} must be {meant}; got {value!r}{hint}")


def whole(name: str, default: int, *, least: int, most: int, description: str) -> Setting:
    """Return a setting that is a whole number from ``least`` to ``most``."""
    return Setting(
        name=name,
        description=description,
        type="whole",
        default=default,
        span=f"from {least} to {most}",
        inside=lambda value: least <= value <= most,
    )


def number(
    name: str, default: float, *, span: str, inside: Callable[[float], bool], description: str
) -> Setting:
    """Return a setting that is a finite number in the range that ``span`` says."""
    return Setting(
        name=name,
        description=description,
        type="number",
        default=default,
        span=span,
        inside=lambda value: abs(value) <= sys.float_info.max and inside(value),
    )


def choice(name: str, default: str, *, allowed: tuple[str, ...], description: str) -> Setting:
    """Return a setting that is one of several words."""
    return Setting(
        name=name, description=description, type="choice", default=default, allowed=allowed
    )
