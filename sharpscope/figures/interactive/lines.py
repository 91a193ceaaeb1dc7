"""Lines: profiles of the loss, and spectral densities with their bands."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from sharpscope.figures.density import floor_of
from sharpscope.figures.interactive.house import Scale, faint, figure, finite_only, line
from sharpscope.figures.whose import lines_of
from sharpscope.results import DensityResult, LandscapeResult


def profiles(results: Sequence[LandscapeResult]) -> tuple[go.Figure, ...]:
    """Return a figure for each encoder, checkpoints overlaid, one scale for all."""
    scale = Scale.of(results)
    if scale is None:
        return ()
    names = list(dict.fromkeys(result.modality for result in results))
    lines = lines_of(results)
    tags = list(dict.fromkeys(lines.values()))
    drawn: list[go.Figure] = []
    for name in names:
        own = [result for result in results if result.modality == name]
        panel = figure(name, showlegend=len(tags) > 1)
        for result in own:
            panel.add_scatter(
                x=result.x,
                y=finite_only(result.values),
                mode="lines",
                line=line(tags.index(lines[id(result)])),
                name=lines[id(result)] or name,
                connectgaps=False,
                hovertemplate="%{x:.3g}<br><b>loss %{y:.4g}</b>",
            )
        panel.add_vline(0, line={"color": "#999999", "width": 1})
        label = " or ".join(dict.fromkeys(result.labels[0] for result in own))
        units = " or ".join(dict.fromkeys(result.axis_unit for result in own))
        panel.update_xaxes(title=f"{label} ({units})")
        looks = scale.axis() | scale.ticks()
        panel.update_yaxes(title=f"{own[0].loss} loss", exponentformat="power", **looks)
        drawn.append(panel)
    return tuple(drawn)


def densities(results: Sequence[DensityResult]) -> tuple[go.Figure, ...]:
    """Return a figure for each encoder, checkpoints overlaid, one logarithmic scale for all."""
    shown = [result for result in results if len(result.grid)]
    if not shown:
        return ()
    most, floor = max(float(result.density.max()) for result in shown), floor_of(shown)
    lines = lines_of(shown)
    tags = list(dict.fromkeys(lines.values()))
    drawn: list[go.Figure] = []
    for modality in dict.fromkeys(result.modality for result in shown):
        panel = figure(modality, showlegend=len(tags) > 1)
        for result in (one for one in shown if one.modality == modality):
            name = lines[id(result)] or result.modality
            _with_band(panel, result, name, tags.index(lines[id(result)]), floor=floor / 10)
        panel.add_vline(0, line={"color": "#999999", "width": 1})
        panel.update_xaxes(title="eigenvalue λ (loss / parameter²)")
        panel.update_yaxes(
            title="density (parameter² / loss)",
            type="log",
            range=np.log10([floor, 2 * most]).tolist(),
            dtick=1,
            exponentformat="power",
        )
        drawn.append(panel)
    return tuple(drawn)


def _with_band(
    panel: go.Figure, result: DensityResult, group: str, place: int, floor: float
) -> None:
    """Draw a density between one standard error below and above; a logarithm needs a floor."""
    low = np.maximum(result.density - result.density_error, floor)
    high = np.maximum(result.density + result.density_error, floor)
    panel.add_scatter(
        x=np.concatenate([result.grid, result.grid[::-1]]),
        y=np.concatenate([high, low[::-1]]),
        fill="toself",
        fillcolor=faint(place),
        line={"width": 0},
        mode="lines",
        legendgroup=group,
        showlegend=False,
        hoverinfo="skip",
        name=group,
    )
    panel.add_scatter(
        x=result.grid,
        y=np.maximum(result.density, floor),
        customdata=result.density_error,
        mode="lines",
        line=line(place),
        legendgroup=group,
        name=group,
        hovertemplate="λ %{x:.4g}<br><b>%{y:.3g}</b> ± %{customdata:.1g}",
    )
