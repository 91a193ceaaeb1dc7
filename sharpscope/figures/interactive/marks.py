"""Marks on interactive lines over training: events, failures, the stability threshold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from sharpscope.figures.curves import Curve
from sharpscope.figures.flatness import THRESHOLD
from sharpscope.figures.interactive.house import INK
from sharpscope.figures.watched import place_of, thresholds
from sharpscope.results import MonitorRecord

# plotly's names for the markers of print.
_SYMBOLS = {"*": "star", "P": "cross", "X": "x", "h": "hexagon", "p": "pentagon", "8": "octagon"}
_MARK = {"size": 11, "color": "white", "line": {"color": "black", "width": 1.2}}


@dataclass(frozen=True, kw_only=True)
class Line:
    """A number of an encoder over training.

    Attributes:
        name: Of the line.
        run: Which of the runs, or of the means over seeds, from 0.
        modality: The encoder.
        color: Which of the encoders, from 0.
        curve: The line.
        runs: What is behind it: one, or the seeds of a mean.
    """

    name: str
    run: int
    modality: str
    color: int
    curve: Curve
    runs: Sequence[MonitorRecord]


def add_thresholds(
    panel: go.Figure, records: Sequence[MonitorRecord], quantity: str, *, epochs: bool
) -> list[float]:
    """Draw the stability thresholds of runs that bound a quantity, and return all values."""
    found = dict.fromkeys(
        thresholds(record, modality, quantity, epochs=epochs)
        for record in records
        for modality in record.modalities
    )
    values: list[float] = []
    for at, level in found:
        if at:
            panel.add_scatter(
                x=list(at),
                y=list(level),
                mode="lines",
                line={"color": INK, "dash": "dash", "width": 1, "shape": "hv"},
                name=THRESHOLD,
                legendgroup=THRESHOLD,
                showlegend=not values,
                hovertemplate=f"{THRESHOLD} %{{y:.4g}}",
            )
            values += level
    return values


def add_events(
    panel: go.Figure, lines: Sequence[Line], shapes: Mapping[str, str], *, epochs: bool
) -> None:
    """Mark what rang on the lines of the encoders, with its text under the pointer.

    Args:
        panel: The figure.
        lines: Those in it.
        shapes: The markers of the signals that it shows.
        epochs: Whether x is in epochs.
    """
    for signal, shape in shapes.items():
        found = [
            (place_of(record, event, epochs=epochs), one.curve, str(event.get("text", signal)))
            for one in lines
            for record in one.runs
            for event in record.events
            if event["signal"] == signal and event["modality"] == one.modality
        ]
        if found:
            panel.add_scatter(
                x=[x for x, _, _ in found],
                y=[_nearest(curve, x) for x, curve, _ in found],
                customdata=[text for _, _, text in found],
                mode="markers",
                marker=_MARK | {"symbol": _SYMBOLS[shape]},
                name=signal.replace("_", " "),
                legendgroup=signal,
                hovertemplate="%{customdata}<extra></extra>",
            )


def add_failures(
    panel: go.Figure, records: Sequence[MonitorRecord], bottom: float, *, epochs: bool
) -> None:
    """Mark failures at the bottom, with their reason under the pointer."""
    found = [
        (place_of(record, failure, epochs=epochs), str(failure.get("reason", "")))
        for record in records
        for failure in record.failures
    ]
    if found:
        panel.add_scatter(
            x=[x for x, _ in found],
            y=[bottom] * len(found),
            customdata=[reason for _, reason in found],
            mode="markers",
            marker={"symbol": "line-ns-open", "size": 10, "color": INK},
            name="failed",
            legendgroup="failed",
            hovertemplate="failed: %{customdata}<extra></extra>",
        )


def _nearest(curve: Curve, x: float) -> float:
    place = min(range(len(curve.x)), key=lambda at: abs(curve.x[at] - x))
    return curve.values[place]
