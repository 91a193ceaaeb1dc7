"""Records into a file of any kind: a figure for print, a page to look at, a grid for ParaView."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sharpscope.errors import MisuseError
from sharpscope.figures.interactive import look
from sharpscope.figures.kinds import draw, kind_of
from sharpscope.figures.saving import PAPER, check_format, save_figure
from sharpscope.results import LandscapeResult, MonitorRecord, Record, Result
from sharpscope.results.grids import GRIDS, export_grid

# Kinds of print that a page shows as well.
PAGES = ("bars", "density", "contours", "surfaces", "profiles", "dominance", "alignment",
         "watch", "flatness")  # fmt: skip


def write_figure(
    records: Sequence[Record], path: str | Path, kind: str | None = None, **how: Any
) -> Path:
    """Write what shows these records, in the format of the file's name, and return the path.

    Args:
        records: Results, or records of training runs.
        path: ``.pdf``, ``.svg`` or ``.png`` for print; ``.html`` to turn and to zoom; ``.vtr`` or
            ``.vts`` for the grid of one landscape.
        kind: Which of several figures, as ``sharpscope figure --kind`` names them.
        how: As for the function that draws it, such as ``width``; print alone has these choices.

    Raises:
        MisuseError: If these records cannot be shown so, or the file cannot be written.
    """
    path = check_format(path)
    suffix = path.suffix.lower()
    if suffix[1:] in PAPER:
        return save_figure(draw(records, kind, **how), path)
    for name, value in how.items():
        if value is not None and name != "width":
            raise MisuseError(f"{name} is of figures for print; {suffix} has no such choice")
    if suffix in GRIDS:
        landscapes = [record for record in records if isinstance(record, LandscapeResult)]
        if len(records) != 1 or not landscapes:
            raise MisuseError(f"{path.suffix} holds the grid of one landscape; name one result")
        return export_grid(landscapes[0], path)
    if kind is not None:
        _check_page(records, kind)
    return save_figure(look(records), path)


def page_captions(records: Sequence[Record]) -> list[str]:
    """Return the text below each group of figures on the page of these records."""
    return [f"{group.title}. {group.caption}" for group in look(records)]


def _check_page(records: Sequence[Record], kind: str) -> None:
    """Raise unless a page shows what a kind of figure for print does.

    Raises:
        MisuseError: If it does not, or these records do not make one.
    """
    kind_of(records, kind)
    # A page tells contributions as bars, of each checkpoint by itself, and of what monitors wrote
    # the flatness.
    measured = any(isinstance(record, Result) for record in records)
    watched = any(isinstance(record, MonitorRecord) for record in records)
    apart = (kind == "alignment" and measured) or (kind == "dominance" and watched)
    if kind not in PAGES or apart:
        raise MisuseError(
            f"a page has no figure of kind {kind!r}: write .pdf, .svg or .png, or leave the kind "
            "out for what a page shows of these results"
        )
