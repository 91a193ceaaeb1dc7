"""The axis of training: epochs or steps, on a logarithm where it was measured so."""

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from sharpscope.figures.panels import whole_epochs
from sharpscope.results import MonitorRecord

_FEW = 3.0  # epochs, below which ticks stand between them


def along_training(axes: Any, records: Sequence[MonitorRecord], *, epochs: bool) -> None:
    """Label x as epochs or steps, in a panel whose ticks have numbers.

    Args:
        axes: With everything drawn.
        records: What is drawn.
        epochs: Whether x is in epochs.
    """
    places = [x for record in records for x in (record.epochs if epochs else record.steps) or ()]
    asked = [str(record.settings.get("when", "")).lower() for record in records]
    spaced = all(when.startswith("log") for when in asked)
    inner = not axes.xaxis.get_tick_params().get("labelbottom", True)
    label = "" if inner else "epoch" if epochs else "step"
    if epochs and max(places) >= _FEW and not spaced:
        whole_epochs(axes)
        axes.set_xlabel(label)
        return
    axes.set_xlabel(label)
    above = [x for x in places if x > 0]
    if spaced and above:
        least, most = min(above), max(above)
        # The measurement before the first step has a place too.
        axes.set_xscale("symlog", linthresh=least)
        axes.set_xlim(-0.3 * least, 1.15 * most)
        decades = range(math.ceil(math.log10(least)), math.floor(math.log10(most)) + 1)
        axes.xaxis.set_major_locator(FixedLocator([0, *(10.0**power for power in decades)]))
        axes.xaxis.set_major_formatter(FuncFormatter(_counted))
        axes.xaxis.set_minor_locator(NullLocator())
        return
    if not epochs:
        along_steps(axes)
        axes.set_xlabel(label)
        return
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5))


def along_steps(axes: Any) -> None:
    """Label x as steps."""
    axes.set_xlabel("step")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
    axes.xaxis.set_major_formatter(FuncFormatter(_counted))


def _counted(value: float, _place: int | None = None) -> str:
    return f"{value:,g}" if value < 1 else f"{value:,.0f}"
