"""Marks of what a monitor raised the alarm for, and of what failed in it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from sharpscope.figures.captions import said
from sharpscope.figures.curves import Curve
from sharpscope.figures.watched import place_of
from sharpscope.results import MonitorRecord

# Larger than the markers of lines, and filled with white.
_SHAPES = {"sharpening": "*", "imbalance": "P", "stability": "X"}
_WORDS = {"*": "star", "P": "plus", "X": "cross", "h": "hexagon", "p": "pentagon", "8": "octagon"}
_OTHERS = "hp8"
_BOTTOM = 0.05  # of the height of the panel
FAILED = "failure"
# What the numbers of the usual signals are of; others are marked on the trace.
_NUMBERS = {"stability": "lambda_max", "imbalance": "trace", "sharpening": "trace"}


def shapes_of(records: Sequence[MonitorRecord]) -> dict[str, str]:
    """Return the marker of each signal that rang, the usual signals first."""
    met = dict.fromkeys(str(event["signal"]) for record in records for event in record.events)
    names = [*(name for name in _SHAPES if name in met), *(n for n in met if n not in _SHAPES)]
    others = [name for name in names if name not in _SHAPES]
    return {name: _SHAPES.get(name) or _OTHERS[others.index(name) % len(_OTHERS)] for name in names}


def entries_of(shapes: Mapping[str, str]) -> list[str]:
    """Return the entries of a legend in their order: signals, then failures."""
    return [*map(_entry, shapes), FAILED]


def number_of(signal: str, shown: Sequence[str]) -> str:
    """Return the quantity that a signal looks at, where these are shown."""
    if signal == "stability" and "trained_lambda_max" in shown:
        return "trained_lambda_max"
    return _NUMBERS.get(signal, "trace")


def mark_events(
    axes: Any,
    events: Iterable[tuple[MonitorRecord, Mapping[str, Any]]],
    line: Curve,
    shapes: Mapping[str, str],
    *,
    epochs: bool,
) -> None:
    """Mark events on the line of their encoder, with an entry for each signal in the legend."""
    for record, event in events:
        x = place_of(record, event, epochs=epochs)
        # Before a line begins or after it ends, at its end.
        y = float(np.interp(x, line.x, line.values))
        axes.plot(
            [x],
            [y],
            marker=shapes[str(event["signal"])],
            markersize=5.5,
            markerfacecolor="white",
            markeredgecolor="black",
            markeredgewidth=0.7,
            linestyle="none",
            label=_entry(str(event["signal"])),
            zorder=5,
        )


def mark_failures(axes: Any, record: MonitorRecord, *, epochs: bool) -> None:
    """Mark failures by small ticks at the bottom."""
    at = [place_of(record, failure, epochs=epochs) for failure in record.failures]
    if at:
        axes.plot(
            at,
            [_BOTTOM] * len(at),
            transform=axes.get_xaxis_transform(),
            marker="|",
            markersize=5,
            markeredgewidth=0.8,
            color="black",
            linestyle="none",
            label=FAILED,
            zorder=5,
        )


def events_told(records: Sequence[MonitorRecord]) -> str:
    """Return what the marks are and how often each signal rang, as a sentence."""
    shapes = shapes_of(records)
    if not shapes:
        return ""
    counts = {
        name: sum(event["signal"] == name for record in records for event in record.events)
        for name in shapes
    }
    return "events: " + said(
        f"{name.replace('_', ' ')} ({_WORDS[shape]}, {counts[name]})"
        for name, shape in shapes.items()
    )


def failures_told(records: Sequence[MonitorRecord]) -> str:
    """Return how many failures there were, as a sentence."""
    failed = sum(len(record.failures) for record in records)
    if not failed:
        return "no measurement failed"
    return (
        "1 failure, a tick at the bottom"
        if failed == 1
        else f"{failed} failures, ticks at the bottom"
    )


def _entry(signal: str) -> str:
    return f"event: {signal.replace('_', ' ')}"
