"""Volumes as surfaces of equal loss, one inside the other."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from sharpscope.figures.interactive.house import GRID, Scale, figure, named
from sharpscope.figures.interactive.shells import shell
from sharpscope.figures.interactive.surface import CAMERA
from sharpscope.figures.whose import lines_of
from sharpscope.results import LandscapeResult

_SHELLS = 5


def volumes(results: Sequence[LandscapeResult]) -> tuple[go.Figure, ...]:
    """Return a figure for each volume, one scale for all; none where no point is finite."""
    scale = Scale.of(results)
    names = lines_of(results)
    return () if scale is None else tuple(volume(one, scale, names[id(one)]) for one in results)


def volume(result: LandscapeResult, scale: Scale, name: str) -> go.Figure:
    """Return surfaces of equal loss, with a cross at the model.

    Args:
        result: The volume.
        scale: One for all that are compared.
        name: What its checkpoint is called.
    """
    low, high = scale.ends
    assert result.y is not None
    assert result.z is not None
    axes = (result.x, result.y, result.z)
    values = scale.color(result.values)
    levels = np.linspace(low, high, _SHELLS + 2)[1:-1]
    shells = [_shell(axes, values, float(level), scale) for level in levels]
    shells[0].update(colorbar=scale.bar(f"{result.loss} loss"), showscale=True)
    model = go.Scatter3d(
        x=[0], y=[0], z=[0], mode="markers", name="model",
        marker={"symbol": "cross", "size": 6, "color": "#D55E00"},
        hovertemplate=f"the model<br>{result.loss} loss {result.center:.4g}<extra></extra>",
    )  # fmt: skip
    frame = {
        f"{axis}axis": {
            "title": {"text": label, "font": {"size": 11}},
            "gridcolor": GRID,
            "backgroundcolor": "white",
            "showspikes": False,
            "nticks": 5,
        }
        for axis, label in zip("xyz", result.labels, strict=True)
    }
    drawn = figure(named(result, name), showlegend=False, margin={"l": 8, "r": 8, "t": 36, "b": 8})
    drawn.add_traces([*shells, model])
    drawn.update_layout(scene={**frame, "aspectmode": "cube", "camera": CAMERA})
    return drawn


def _shell(axes: Sequence[np.ndarray], values: np.ndarray, level: float, scale: Scale) -> go.Mesh3d:
    points, triangles = shell(axes, values, level)
    x, y, z = points.astype(np.float32).T
    i, j, k = triangles.astype(np.int32).T
    low, high = scale.ends
    loss = 10**level if scale.log else level
    return go.Mesh3d(
        x=x, y=y, z=z, i=i, j=j, k=k,
        intensity=np.full(len(points), level, dtype=np.float32),
        colorscale="Viridis", cmin=low, cmax=high, showscale=False, opacity=0.3,
        lighting={"ambient": 0.8, "diffuse": 0.4, "specular": 0.05},
        hovertemplate=f"%{{x:.3g}}, %{{y:.3g}}, %{{z:.3g}}<br><b>loss {loss:.3g}</b>",
        name=f"{loss:.3g}",
    )  # fmt: skip
