"""``--figure``: checked before any work, drawn before anything is printed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any


def check_figure(path: Path | None) -> None:
    """Prove that a figure can be written before minutes are spent on what it shows.

    Raises:
        MisuseError: If it cannot.
    """
    if path is None:
        return
    from sharpscope.figures.saving import check_format
    from sharpscope.results import check_writable

    check_writable(check_format(path))


def draw(results: Sequence[Any], path: Path | None) -> Path | None:
    """Draw results of one kind into a file, and return it."""
    if path is None:
        return None
    from sharpscope.figures import DRAWING, save_figure

    return save_figure(DRAWING[results[0].schema](results), path)
