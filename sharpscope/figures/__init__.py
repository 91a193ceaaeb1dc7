"""Stage 5: results drawn for print; no torch, no model."""

from collections.abc import Callable, Mapping
from typing import Any

from sharpscope.figures.contribution import draw_contribution as draw_contribution
from sharpscope.figures.density import draw_density as draw_density
from sharpscope.figures.landscape import draw_landscape as draw_landscape
from sharpscope.figures.saving import FORMATS as FORMATS
from sharpscope.figures.saving import save_figure as save_figure

# What draws results of one kind, by their schema.
DRAWING: Mapping[str, Callable[..., Any]] = {
    "sharpscope/contribution": draw_contribution,
    "sharpscope/density": draw_density,
    "sharpscope/landscape": draw_landscape,
}

__all__ = ["DRAWING", "FORMATS", "draw_contribution", "draw_density", "save_figure"]
