"""Rows and columns of panels, with one legend above them."""

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sharpscope.checks import one_of
from sharpscope.errors import MisuseError
from sharpscope.figures.style import WIDTHS
from sharpscope.results import Record

ROW = 1.7  # inches
_LETTERS = 17  # of the legend's size in an inch
_HANDLE = 7  # letters that a handle is as wide as
_ROUNDS = 4  # of fitting a height: labels move a little with it
# Panels side by side in which axes can still be read.
SIDE_BY_SIDE = {"column": 2, "text": 3, "page": 4}


def check_drawable(results: Sequence[Record], width: str) -> None:
    """Raise unless there is something to draw, at a width that is known.

    Raises:
        MisuseError: If there is none.
    """
    one_of("width", width, WIDTHS)
    if not results:
        raise MisuseError("there is no result to draw")


def panels(
    count: int, width: str, *, height: float = ROW, most: int | None = None, **how: Any
) -> tuple[Figure, list[Any]]:
    """Return a figure with ``count`` panels in rows, and the panels; places left over are empty.

    Args:
        count: How many.
        width: ``column``, ``text`` or ``page``.
        height: Of a row, in inches.
        most: Panels in a row; what can be read at that width if left out.
        how: For ``Figure.subplots``.
    """
    rows = -(-count // (SIDE_BY_SIDE[width] if most is None else most))
    columns = -(-count // rows)
    figure = Figure(figsize=(WIDTHS[width], height * rows + 0.3), layout="constrained")
    found = list(figure.subplots(rows, columns, squeeze=False, **how).ravel())
    for empty in found[count:]:
        empty.set_axis_off()
    # A panel above an empty place is the lowest of its column, where a shared axis has its ticks.
    for lowest in found[max(0, count - columns) : count] if count < len(found) else ():
        lowest.xaxis.set_tick_params(labelbottom=True)
    return figure, found[:count]


def fit_height(figure: Figure, axes: Any, tall: float, most: float) -> None:
    """Make a figure as high as its panels need, and lay it out for good.

    What has an aspect leaves white space otherwise.

    Args:
        figure: With everything in it, its layout constrained.
        axes: Its panels, ``[row, column]``.
        tall: Height of a panel over its width.
        most: Inches that a panel is high at most.
    """
    engine = figure.get_layout_engine()
    assert engine is not None
    aspects = [place.get_aspect() for place in axes.flat]
    # With an aspect, panels would drift apart at every layout, and so at every draw.
    for place in axes.flat:
        place.set_aspect("auto")
    for _ in range(_ROUNDS):
        engine.execute(figure)
        wide, high = figure.get_size_inches()
        box = axes[0, 0].get_position(original=True)
        excess = len(axes) * (box.height * high - min(tall * box.width * wide, most))
        # Whole hundredths, as the last digits of a layout differ from run to run; rounded up, as a
        # panel that is too low is narrower than its place.
        figure.set_figheight(math.ceil(100 * (high - excess) + 0.2) / 100)
    engine.execute(figure)
    figure.set_layout_engine("none")
    for place, aspect in zip(axes.flat, aspects, strict=True):
        place.set_aspect(aspect)


def legend(
    figure: Figure,
    axes: Sequence[Any],
    names: Sequence[str] = (),
    *,
    loc: Any = "outside upper center",
) -> int:
    """Put one legend above all panels, and return its rows; none for a single entry.

    Args:
        figure: Where.
        axes: The panels.
        names: The order of the entries.
        loc: Where; ``outside`` makes room in a constrained layout.
    """
    entries = entries_of(axes)
    entries = {name: entries[name] for name in [*names, *entries] if name in entries}
    if len(entries) < 2:
        return 0
    room = figure.get_size_inches()[0] * _LETTERS
    columns = max(1, int(room / (max(map(len, entries)) + _HANDLE)))
    rows = -(-len(entries) // columns)
    figure.legend(
        list(entries.values()),
        list(entries),
        loc=loc,
        ncols=-(-len(entries) // rows),
    )
    return rows


def entries_of(axes: Sequence[Any]) -> dict[str, Any]:
    """Return what stands for each label in a legend: of a point its marker, without error bars."""
    return {
        label: handle[0] if isinstance(handle, ErrorbarContainer) else handle
        for one in axes
        for handle, label in zip(*one.get_legend_handles_labels(), strict=True)
    }


def whole_epochs(axes: Any) -> None:
    """Label x as epochs, with ticks at whole ones."""
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
