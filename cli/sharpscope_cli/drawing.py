"""``--figure``: checked before any work, drawn before anything is printed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sharpscope.errors import MisuseError


def check_figure(path: Path | None, *, grids: bool = False) -> None:
    """Prove that a figure can be written before minutes are spent on what it shows.

    Args:
        path: Where it goes.
        grids: Whether the grid of a single landscape is meant as well.

    Raises:
        MisuseError: If it cannot.
    """
    if path is None:
        return
    from sharpscope.results.grids import GRIDS

    if path.suffix.lower() in GRIDS and not grids:
        raise MisuseError(
            f"{path.suffix} holds the grid of one landscape: save the result with --out, then "
            f"sharpscope figure RESULT --out {path}"
        )
    from sharpscope.figures.saving import check_format
    from sharpscope.results import check_writable

    check_writable(check_format(path, grids=grids))


def draw(results: Sequence[Any], path: Path | None) -> Path | None:
    """Draw results of one kind into a file, and return it."""
    if path is None:
        return None
    from sharpscope.figures.writing import write_figure

    return write_figure(results, path)
