"""Volumes as surfaces of equal loss, one inside the other."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from sharpscope.figures.interactive.house import GRID, Scale, button, buttons, figure, named
from sharpscope.figures.interactive.surface import CAMERA
from sharpscope.results import LandscapeResult

_SHELLS = 5


def volumes(results: Sequence[LandscapeResult]) -> tuple[go.Figure, ...]:
    """Return a figure for each volume, one scale for all; none where no point is finite."""
    scale = Scale.of(results)
    return () if scale is None else tuple(volume(result, scale) for result in results)


def volume(result: LandscapeResult, scale: Scale) -> go.Figure:
    """Return surfaces of equal loss, with a cross at the model.

    Args:
        result: The volume.
        scale: One for all that are compared.
    """
    low, high = scale.ends
    assert result.y is not None
    assert result.z is not None
    z, y, x = np.meshgrid(result.z, result.y, result.x, indexing="ij")
    reach = (high - low) / (2 * _SHELLS)
    shells = go.Isosurface(
        x=x.ravel(),
        y=y.ravel(),
        z=z.ravel(),
        value=scale.color(result.values).ravel(),
        isomin=low + reach,
        isomax=high - reach,
        cmin=low,
        cmax=high,
        surface={"count": _SHELLS},
        caps={name: {"show": False} for name in "xyz"},
        colorscale="Viridis",
        opacity=0.35,
        colorbar=scale.bar(f"{result.loss} loss"),
        text=[f"{loss:.3g}" for loss in result.values.ravel()],
        hovertemplate="%{x:.3g}, %{y:.3g}, %{z:.3g}<br>loss %{text}<extra></extra>",
        name="",
    )
    model = go.Scatter3d(
        x=[0], y=[0], z=[0], mode="markers", name="model",
        marker={"symbol": "cross", "size": 6, "color": "#D55E00"},
        hovertemplate=f"the model<br>{result.loss} loss {result.loss_value:.4g}<extra></extra>",
    )  # fmt: skip
    axes = {
        f"{name}axis": {
            "title": {"text": label, "font": {"size": 11}},
            "gridcolor": GRID,
            "backgroundcolor": "white",
            "showspikes": False,
            "nticks": 5,
        }
        for name, label in zip("xyz", result.labels, strict=True)
    }
    drawn = figure(named(result), showlegend=False, margin={"l": 8, "r": 8, "t": 64, "b": 8})
    drawn.add_traces([shells, model])
    drawn.update_layout(scene={**axes, "aspectmode": "cube", "camera": CAMERA})
    caps = [{f"caps.{name}.show": on for name in "xyz"} for on in (False, True)]
    drawn.update_layout(
        updatemenus=buttons(button("open", caps[0], {}), button("with its faces", caps[1], {}))
    )
    return drawn
