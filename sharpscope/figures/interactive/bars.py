"""Bars of numbers with their errors: a figure for each quantity, a color for each checkpoint."""

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from sharpscope.figures.alike import prefix_of
from sharpscope.figures.interactive.house import figure
from sharpscope.figures.style import COLORS
from sharpscope.results import Result
from sharpscope.results.measures import Measure
from sharpscope.results.quantities import QUANTITIES, Quantity

_PATTERNS = ("", "/", ".", "x", "\\", "+")  # told apart in grey


def bars(
    results: Sequence[Result], names: Mapping[int, str], *, thin: bool = False
) -> tuple[go.Figure, ...]:
    """Return a figure for each quantity that the results hold.

    Args:
        results: Of any kinds; what has no number of an encoder is left out.
        names: What the checkpoint of each is called, by ``id``.
        thin: Whether quantities that a table tells well enough have a figure too.
    """
    return tuple(
        _panel(quantity, found, _prefix(quantity, results))
        for quantity in QUANTITIES
        if (quantity.drawn or thin) and (found := _found(quantity, results, names))
    )


def whiskers(results: Sequence[Result]) -> dict[str, str]:
    """Return what the error bars of each figure are."""
    told: dict[str, str] = {}
    for quantity in QUANTITIES:
        found = [one for result in results for one in quantity.find(result)]
        shown = [one for one in found if one.error is not None and one.value is not None]
        if quantity.drawn and shown:
            told[_head(quantity)] = _whisker(quantity, shown)
    return told


def _whisker(quantity: Quantity, shown: Sequence[Measure]) -> str:
    """Return what error bars are, without the data where no error over them is known."""
    if not quantity.whisker:
        return quantity.error
    with_data = {one.data_error is not None for one in shown}
    if with_data == {True}:
        return quantity.whisker
    if with_data == {False}:
        return quantity.bare
    return f"{quantity.whisker} (where the data's is not known, {quantity.bare})"


def _found(
    quantity: Quantity, results: Sequence[Result], names: Mapping[int, str]
) -> list[tuple[str, Measure]]:
    return [
        (names[id(result)], one)
        for result in results
        for one in quantity.find(result)
        if one.value is not None
    ]


def _head(quantity: Quantity) -> str:
    return quantity.head.removesuffix(" ± error").removesuffix(", %")


def _prefix(quantity: Quantity, results: Sequence[Result]) -> str:
    """Return what stands before a number that is not of the Hessian."""
    found = dict.fromkeys(prefix_of(result) for result in results if list(quantity.find(result)))
    return next(iter(found))


def _panel(quantity: Quantity, found: Sequence[tuple[str, Measure]], prefix: str) -> go.Figure:
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
            name=tag,
            marker={
                "color": COLORS[place % len(COLORS)],
                "pattern": {
                    "shape": _PATTERNS[place % len(_PATTERNS)],
                    "fgcolor": "white",
                    "solidity": 0.25,
                },
            },
        )
    label = f"{prefix}{_head(quantity)}"
    unit = "%" if quantity.head.endswith(", %") else quantity.unit
    panel.update_yaxes(title=f"{label} ({unit})" if unit else label)
    panel.update_xaxes(type="category", showgrid=False)
    return panel
