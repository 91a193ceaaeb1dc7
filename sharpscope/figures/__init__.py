"""Stage 5: results drawn for print; no torch, no model."""

from sharpscope.figures.contribution import draw_contribution as draw_contribution
from sharpscope.figures.saving import FORMATS as FORMATS
from sharpscope.figures.saving import save_figure as save_figure

# What draws results of one kind, by their schema.
DRAWING = {"sharpscope/contribution": draw_contribution}

__all__ = ["DRAWING", "FORMATS", "draw_contribution", "save_figure"]
