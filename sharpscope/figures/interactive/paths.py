"""The path of training in a plane: on the surface, and on the contour."""

import numpy as np
import plotly.graph_objects as go

from sharpscope.results import LandscapeResult

# Seen on every color of the map of losses.
_COLORS = ("#D55E00", "#ffffff", "#CC79A7", "#E69F00")


def path_traces(result: LandscapeResult) -> tuple[list[go.Scatter3d], list[go.Scatter]]:
    """Return the paths that a plane carries, raised to their loss and flat; often none."""
    x, y, heights, names = result.path_x, result.path_y, result.path_loss, result.runs
    if x is None or y is None:
        return [], []
    whose = np.zeros(len(x)) if result.path_run is None else result.path_run
    above: list[go.Scatter3d] = []
    across: list[go.Scatter] = []
    for place, run in enumerate(np.unique(whose)):
        own = whose == run
        name = str(names[int(run)]) if int(run) < len(names) else f"run {int(run) + 1}"
        color = _COLORS[place % len(_COLORS)]
        steps = np.arange(int(own.sum()))
        hover = f"{name}, checkpoint %{{customdata}}<br>%{{x:.3g}}, %{{y:.3g}}<extra></extra>"
        looks = {"color": color, "width": 4}
        if heights is not None:
            above.append(
                go.Scatter3d(
                    x=x[own], y=y[own], z=heights[own], mode="lines+markers",
                    line=looks, marker={"size": 2.5, "color": color}, name=name,
                    customdata=steps, hovertemplate=hover,
                )
            )  # fmt: skip
        across.append(
            go.Scatter(
                x=x[own], y=y[own], mode="lines+markers", line=looks | {"width": 2},
                marker={"size": 5, "color": color}, name=name, customdata=steps,
                hovertemplate=hover,
            )
        )  # fmt: skip
    return above, across
