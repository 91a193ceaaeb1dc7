"""The library loss-landscapes itself: imported when it is asked for."""

from importlib import import_module
from importlib.metadata import version
from typing import Any

from sharpscope.errors import MisuseError

NAME = "loss-landscapes"
VERSION = "3.0.6"


def library() -> Any:
    """Return the module ``loss_landscapes``.

    Raises:
        MisuseError: If it is not installed, or in another version, with the command that installs
            the right one.
    """
    try:
        found, there = import_module("loss_landscapes"), version(NAME)
    except ImportError as error:
        raise MisuseError(
            f'engine {NAME!r} needs {NAME} {VERSION}: pip install ".[engines]" in the folder of '
            "sharpscope"
        ) from error
    if there != VERSION:
        raise MisuseError(
            f"engine {NAME!r} needs {NAME} {VERSION}; {there} is installed: pip install "
            f"{NAME}=={VERSION}"
        )
    return found
