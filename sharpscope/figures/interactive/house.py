"""What all interactive figures share: looks, one scale of a loss, names."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from sharpscope.figures.style import COLORS
from sharpscope.figures.ticks import told_apart
from sharpscope.results import LandscapeResult

DASHES = ("solid", "dash", "dashdot", "dot")
# What the reader's system has; nothing is fetched.
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"
INK, GRID = "#222222", "#dddddd"
HEIGHT = 400  # pixels


@dataclass(frozen=True, kw_only=True)
class Scale:
    """One scale of colors and heights for several landscapes.

    Args:
        low: Least finite loss.
        high: Largest.
        log: Whether it is logarithmic: where no loss is at or below 0, and they spread.
    """

    low: float
    high: float
    log: bool

    @classmethod
    def of(cls, results: Sequence[LandscapeResult]) -> "Scale | None":
        """Return the scale that holds every finite loss; None where there is none."""
        every = np.concatenate([result.values.ravel() for result in results])
        finite = every[np.isfinite(every)]
        if not finite.size:
            return None
        low, high = float(finite.min()), float(finite.max())
        return cls(low=low, high=high if high > low else low + 1.0, log=0 < low < high / 3)

    def color(self, values: np.ndarray) -> np.ndarray:
        """Return what the color says: the loss, or its logarithm; NaN where it is not finite."""
        finite = finite_only(values)
        return np.log10(finite) if self.log else finite

    @property
    def ends(self) -> tuple[float, float]:
        """The least and the largest color."""
        low, high = self.color(np.array([self.low, self.high]))
        return float(low), float(high)

    def bar(self, title: str) -> dict[str, Any]:
        """Return a color bar whose ticks are losses."""
        at = np.linspace(*self.ends, 5)
        losses = 10**at if self.log else at
        return {
            "title": {"text": title, "side": "right"},
            "tickvals": at.tolist(),
            "ticktext": told_apart(losses.tolist()),
            "thickness": 12,
            "len": 0.8,
            "outlinewidth": 0,
        }

    def axis(self) -> dict[str, Any]:
        """Return an axis of heights with this scale and a little room."""
        kind = "log" if self.log else "linear"
        return {"type": kind, "range": self.range(log=self.log)}

    def ticks(self) -> dict[str, Any]:
        """Return ticks of a flat axis that tell their whole loss: plotly's own 2 may mean 20."""
        if not self.log:
            return {}
        low, high = (math.floor(math.log10(end)) for end in (self.low, self.high))
        digits = (1, 2, 5) if high - low <= 2 else (1,)
        every = [digit * 10.0**power for power in range(low, high + 1) for digit in digits]
        shown = [loss for loss in every if self.low <= loss <= self.high]
        return {"tickvals": shown, "ticktext": [f"{loss:g}" for loss in shown]}

    def range(self, *, log: bool) -> list[float]:
        """Return the range of an axis of heights."""
        low, high = (math.log10(self.low), math.log10(self.high)) if log else (self.low, self.high)
        room = 0.03 * (high - low)
        return [low - room, high + room]


def finite_only(values: np.ndarray) -> np.ndarray:
    """Return the values with NaN, which is drawn as a hole, in place of infinities."""
    return np.where(np.isfinite(values), values, np.nan)


def named(result: Any, checkpoint: str) -> str:
    """Return which encoder of which checkpoint a result is of."""
    return " · ".join(part for part in (checkpoint, result.modality) if part)


def line(place: int) -> dict[str, Any]:
    """Return color and dashes of one of several lines."""
    return {"color": COLORS[place % len(COLORS)], "dash": DASHES[place % len(DASHES)], "width": 2}


def faint(place: int) -> str:
    """Return the color of the band around it."""
    red, green, blue = bytes.fromhex(COLORS[place % len(COLORS)][1:])
    return f"rgba({red},{green},{blue},0.22)"


def figure(title: str, **layout: Any) -> go.Figure:
    """Return an empty figure with the looks of the house."""
    axis = {"gridcolor": GRID, "zerolinecolor": "#999999", "linecolor": INK, "automargin": True}
    looks: dict[str, Any] = {
        "title": {"text": title, "font": {"size": 14}, "x": 0.01, "xanchor": "left", "y": 0.985,
                  "yanchor": "top", "yref": "container", "automargin": True},
        "font": {"family": FONT, "size": 12, "color": INK},
        "paper_bgcolor": "white",
        "plot_bgcolor": "white",
        "template": None,
        "colorway": list(COLORS),
        "height": HEIGHT,
        "margin": {"l": 56, "r": 12, "t": 44, "b": 48},
        # Below, where a second line of names that a narrow panel needs is over nothing.
        "legend": {"orientation": "h", "x": 0, "y": 0.01, "yanchor": "bottom", "yref": "container"},
        "xaxis": axis,
        "yaxis": axis,
    }  # fmt: skip
    drawn = go.Figure(layout=looks)
    drawn.update_layout(**layout)
    return drawn


def button(label: str, *changes: dict[str, Any]) -> dict[str, Any]:
    """Return a button that changes traces and layout."""
    return {"label": label, "method": "update", "args": list(changes)}


def buttons(*shown: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a row of buttons under the title."""
    return [
        {
            "type": "buttons",
            "direction": "right",
            "x": 0,
            "xanchor": "left",
            "y": 1.02,
            "yanchor": "bottom",
            "pad": {"t": 0, "b": 0, "l": 0, "r": 0},
            "bgcolor": "white",
            "bordercolor": "#bbbbbb",
            "font": {"size": 11},
            "buttons": list(shown),
        }
    ]
