"""Estimators from the settings that a public function was given."""

from dataclasses import fields
from typing import Any, TypeVar

from sharpscope.checks import nearest
from sharpscope.errors import MisuseError

Settings = TypeVar("Settings")


def made(kind: type[Settings], settings: dict[str, Any], who: str) -> Settings:
    """Return the estimator with these settings, each of which it must have."""
    known = [entry.name for entry in fields(kind)]  # pyright: ignore[reportArgumentType]
    for name in settings:
        if name not in known:
            raise MisuseError(
                f"{name} is no setting ({who}){nearest(name, known)}; there are {', '.join(known)}"
            )
    return kind(**settings)
