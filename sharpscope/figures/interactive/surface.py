"""Planes as surfaces that turn, as contours at the press of a button."""

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from sharpscope.figures.interactive.house import (
    GRID,
    Scale,
    button,
    buttons,
    figure,
    finite_only,
    named,
)
from sharpscope.figures.interactive.paths import path_traces
from sharpscope.figures.planes import axis_labels
from sharpscope.figures.whose import lines_of
from sharpscope.results import LandscapeResult

CAMERA = {"eye": {"x": 1.65, "y": -1.8, "z": 1.2}, "center": {"x": 0, "y": 0, "z": -0.15}}
_LIFT = 0.01  # of the height, so that the cross is not half inside the surface


def surface(result: LandscapeResult, scale: Scale, name: str) -> go.Figure:
    """Return a plane as a surface, and as a contour behind a button.

    Args:
        result: The plane.
        scale: One for all that are compared.
        name: What its checkpoint is called.
    """
    low, high = scale.ends
    colors: dict[str, Any] = {"colorscale": "Viridis", "cmin": low, "cmax": high}
    bar = scale.bar(f"{result.loss} loss")
    told = result.metric_values
    raised = go.Surface(
        x=result.x,
        y=result.y,
        z=finite_only(result.values),
        surfacecolor=scale.color(result.values),
        colorbar=bar,
        customdata=told,
        hovertemplate=_hover(result, "%{z:.4g}"),
        lighting={"ambient": 0.85, "diffuse": 0.35, "specular": 0.05},  # colors as on the bar
        contours={"z": {"show": True, "color": "rgba(255,255,255,0.35)", "width": 1,
                        **_levels(scale)}},
        name="",
        **colors,
    )  # fmt: skip
    flat = go.Contour(
        x=result.x,
        y=result.y,
        z=scale.color(result.values),
        zmin=low,
        zmax=high,
        colorscale="Viridis",
        contours={"start": low, "end": high, "size": (high - low) / 12},
        line={"color": "white", "width": 0.5},
        colorbar=bar,
        customdata=told,
        text=[[f"{value:.4g}" for value in row] for row in result.values],
        hovertemplate=_hover(result, "%{text}"),
        connectgaps=False,
        visible=False,
        name="",
    )
    above, across = _crosses(result, scale)
    paths_above, paths_across = path_traces(result)
    three, two = [raised, above, *paths_above], [flat, across, *paths_across]
    for trace in two:
        trace.visible = False
    drawn = figure(named(result, name), showlegend=False, margin={"l": 8, "r": 8, "t": 64, "b": 8})
    drawn.add_traces([*three, *two])
    drawn.update_layout(scene=_scene(result, scale), **_flat_axes(result, shown=False))
    drawn.update_layout(updatemenus=buttons(*_views(result, scale, len(three), len(two))))
    return drawn


def _views(result: LandscapeResult, scale: Scale, three: int, two: int) -> list[dict[str, Any]]:
    """Return the buttons: one for each kind of height, and one for the contour."""
    solid = {"visible": [True] * three + [False] * two}
    hidden = _flat_axes(result, shown=False) | {"margin": {"l": 8, "r": 8, "t": 64, "b": 8}}

    def turned(*, log: bool) -> dict[str, Any]:
        kind = "log" if log else "linear"
        return {"scene.zaxis.type": kind, "scene.zaxis.range": scale.range(log=log)}

    both = [button("surface, log", solid, hidden | turned(log=True))] if scale.log else []
    label = "surface, linear" if scale.log else "surface"
    return [
        *both,
        button(label, solid, hidden | turned(log=False)),
        button(
            "contour",
            {"visible": [False] * three + [True] * two},
            _flat_axes(result, shown=True) | {"margin": {"l": 56, "r": 8, "t": 64, "b": 48}},
        ),
    ]


def _flat_axes(result: LandscapeResult, *, shown: bool) -> dict[str, Any]:
    labels = axis_labels(result)
    looks = {"visible": shown, "showgrid": False, "zeroline": False}
    return {
        "xaxis": {**looks, "title": {"text": labels[0]}},
        "yaxis": {**looks, "title": {"text": labels[1]}},
        "plot_bgcolor": "#eeeeee" if shown else "white",  # what a hole shows
    }


def _scene(result: LandscapeResult, scale: Scale) -> dict[str, Any]:
    def axis(title: str, **more: Any) -> dict[str, Any]:
        looks = {
            "gridcolor": GRID,
            "backgroundcolor": "white",
            "showspikes": False,
            "nticks": 5,
            "tickfont": {"size": 10},
        }
        return {"title": {"text": title, "font": {"size": 11}}, **looks, **more}

    labels = axis_labels(result)
    return {
        "xaxis": axis(labels[0]),
        "yaxis": axis(labels[1]),
        "zaxis": axis(f"{result.loss} loss", **scale.axis()),
        "aspectmode": "manual",
        "aspectratio": {"x": 1, "y": 1, "z": 0.7},
        "camera": CAMERA,
        "dragmode": "turntable",
    }


def _levels(scale: Scale) -> dict[str, float]:
    return {} if scale.log else {
        "start": scale.low, "end": scale.high, "size": (scale.high - scale.low) / 12
    }  # fmt: skip


def _crosses(result: LandscapeResult, scale: Scale) -> tuple[go.Scatter3d, go.Scatter]:
    """Return the mark of the model on the surface and on the contour."""
    hover = f"the model<br>{result.loss} loss {result.center:.4g}<extra></extra>"
    lifted = (
        result.center * (scale.high / scale.low) ** _LIFT
        if scale.log
        else result.center + _LIFT * (scale.high - scale.low)
    )
    above = go.Scatter3d(
        x=[0], y=[0], z=[lifted], mode="markers", hovertemplate=hover, name="model",
        marker={"symbol": "cross", "size": 6, "color": "#D55E00"},
    )  # fmt: skip
    across = go.Scatter(
        x=[0], y=[0], mode="markers", hovertemplate=hover, name="model",
        marker={"symbol": "cross-thin", "size": 12, "line": {"color": "white", "width": 2}},
    )  # fmt: skip
    return above, across


def _hover(result: LandscapeResult, loss: str) -> str:
    metric = "" if result.metric is None else f"<br>{result.metric} %{{customdata:.3f}}"
    return (
        f"{result.labels[0]} %{{x:.3g}}<br>{result.labels[1]} %{{y:.3g}}"
        f"<br><b>{result.loss} loss {loss}</b>{metric}<extra></extra>"
    )


def surfaces(results: Sequence[LandscapeResult]) -> tuple[go.Figure, ...]:
    """Return a figure for each plane, one scale for all; none where no point is finite."""
    scale = Scale.of(results)
    names = lines_of(results)
    return () if scale is None else tuple(surface(one, scale, names[id(one)]) for one in results)
