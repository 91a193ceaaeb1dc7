"""Stage 5: results drawn for print; no torch, no model."""

from sharpscope.figures.alignment import draw_alignment as draw_alignment
from sharpscope.figures.bars import draw_bars as draw_bars
from sharpscope.figures.contribution import draw_contribution as draw_contribution
from sharpscope.figures.course import draw_course as draw_course
from sharpscope.figures.density import draw_density as draw_density
from sharpscope.figures.dominance import draw_dominance as draw_dominance
from sharpscope.figures.flatness import draw_flatness as draw_flatness
from sharpscope.figures.kinds import KINDS as KINDS
from sharpscope.figures.kinds import caption_of as caption_of
from sharpscope.figures.kinds import draw as draw
from sharpscope.figures.kinds import kind_of as kind_of
from sharpscope.figures.landscape import draw_landscape as draw_landscape
from sharpscope.figures.saving import FORMATS as FORMATS
from sharpscope.figures.saving import save_figure as save_figure
from sharpscope.figures.sensitivity import draw_noise as draw_noise
from sharpscope.figures.sensitivity import draw_sensitivity as draw_sensitivity
from sharpscope.figures.surfaces import draw_surfaces as draw_surfaces
from sharpscope.figures.unimodal import draw_unimodal as draw_unimodal
from sharpscope.figures.watch import draw_watch as draw_watch

__all__ = [
    "FORMATS",
    "KINDS",
    "caption_of",
    "draw",
    "draw_alignment",
    "draw_bars",
    "draw_contribution",
    "draw_course",
    "draw_density",
    "draw_dominance",
    "draw_flatness",
    "draw_landscape",
    "draw_noise",
    "draw_sensitivity",
    "draw_surfaces",
    "draw_unimodal",
    "draw_watch",
    "kind_of",
    "save_figure",
]
