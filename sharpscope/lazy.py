"""Imports that wait until they are needed, and that leave Python's generator as it was."""

import random
from importlib import import_module
from typing import Any


def imported(name: str) -> Any:
    """Return a module; some draw random numbers when they are imported (rich, below scikit-learn).

    Example:
        >>> imported("math").pi > 3
        True
    """
    before = random.getstate()
    try:
        return import_module(name)
    finally:
        random.setstate(before)
