"""Stage 5 for looking: results as plotly figures that turn, zoom and tell their numbers."""

from sharpscope.figures.interactive.groups import Panels as Panels
from sharpscope.figures.interactive.groups import look as look

__all__ = ["Panels", "look"]
