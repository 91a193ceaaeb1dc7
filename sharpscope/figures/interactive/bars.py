"""Bars of numbers with their errors: a figure for each quantity, a color for each checkpoint."""

from collections.abc import Sequence

import plotly.graph_objects as go

from sharpscope.figures.interactive.house import figure
from sharpscope.figures.style import COLORS
from sharpscope.results import Result
from sharpscope.results.measures import Measure
from sharpscope.results.quantities import QUANTITIES, Quantity

_PATTERNS = ("", "/", ".", "x", "\\", "+")  # told apart in grey


def bars(results: Sequence[Result], *, thin: bool = False) -> tuple[go.Figure, ...]:
    """Return a figure for each quantity that the results hold.

    Args:
        results: Of any kinds; what has no number of an encoder is left out.
        thin: Whether quantities that a table tells well enough have a figure too.
    """
    return tuple(
        _panel(quantity, found)
        for quantity in QUANTITIES
        if (quantity.drawn or thin) and (found := _found(quantity, results))
    )


def whiskers(results: Sequence[Result]) -> dict[str, str]:
    """Return what the error bars of each figure are."""
    return {
        _head(quantity): quantity.whisker or quantity.error
        for quantity in QUANTITIES
        if quantity.drawn and any(one.error is not None for _, one in _found(quantity, results))
    }


def _found(quantity: Quantity, results: Sequence[Result]) -> list[tuple[str | None, Measure]]:
    return [
        (result.tag, one)
        for result in results
        for one in quantity.find(result)
        if one.value is not None
    ]


def _head(quantity: Quantity) -> str:
    return quantity.head.removesuffix(" ± error").removesuffix(", %")


def _panel(quantity: Quantity, found: Sequence[tuple[str | None, Measure]]) -> go.Figure:
    tags = list(dict.fromkeys(tag for tag, _ in found))
    panel = figure(_head(quantity), showlegend=len(tags) > 1, bargap=0.3)
    for place, tag in enumerate(tags):
        own = [one for whose, one in found if whose == tag]
        panel.add_bar(
            x=[one.modality for one in own],
            y=[one.value for one in own],
            error_y={
                "array": [one.error for one in own],
                "visible": any(one.error is not None for one in own),
                "thickness": 1.2,
                "width": 4,
                "color": "black",
            },
            customdata=[" · ".join(part for part in (one.text, one.more) if part) for one in own],
            hovertemplate="%{x}<br><b>%{customdata}</b>",
            name=tag or "",
            marker={
                "color": COLORS[place % len(COLORS)],
                "pattern": {
                    "shape": _PATTERNS[place % len(_PATTERNS)],
                    "fgcolor": "white",
                    "solidity": 0.25,
                },
            },
        )
    unit = "%" if quantity.head.endswith(", %") else quantity.unit
    panel.update_yaxes(title=f"{_head(quantity)} ({unit})" if unit else _head(quantity))
    panel.update_xaxes(type="category", showgrid=False)
    return panel
