"""The looks that all figures share: widths of columns, colors, fonts."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl

# Inches: the text of NeurIPS and ICLR; one column and both of a two-column paper.
WIDTHS = {"text": 5.5, "column": 3.25, "page": 6.75}

# Okabe and Ito (2008): told apart with every kind of color vision; ordered so that neighbors also
# differ in lightness, for grey print.
COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")
# What tells bars apart where there is no color at all.
HATCHES = ("", "////", "....", "xxxx", "\\\\\\\\", "++++", "oo", "--")
# What tells lines and points apart there.
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 2.5)), (0, (8, 3)), (0, (3, 1)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")

_LOOKS: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib: the same on every machine
    "font.size": 7,
    "axes.titlesize": 7.5,
    "axes.labelsize": 7,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "legend.fontsize": 6.5,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "hatch.linewidth": 0.5,
    "lines.linewidth": 1.0,
    "errorbar.capsize": 1.5,
    "pdf.fonttype": 42,  # embedded as outlines that publishers take, with text that can be found
    "ps.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "sharpscope",  # names in the file do not change from run to run
    "savefig.dpi": 300,
    "figure.dpi": 150,
    "axes.unicode_minus": True,
}


@contextmanager
def looks() -> Generator[None]:
    """Draw with these looks inside the block."""
    with mpl.rc_context(_LOOKS):
        yield


def color_of(name: str, names: Sequence[str]) -> str:
    """Return the color of one of some names."""
    return COLORS[list(names).index(name) % len(COLORS)]


def line_of(name: str, names: Sequence[str]) -> Any:
    """Return the line style of one of some names."""
    return LINES[list(names).index(name) % len(LINES)]


def marker_of(name: str, names: Sequence[str]) -> str:
    """Return the marker of one of some names."""
    return MARKERS[list(names).index(name) % len(MARKERS)]


def hatch_of(name: str, names: Sequence[str]) -> str:
    """Return the hatch of one of some names."""
    return HATCHES[list(names).index(name) % len(HATCHES)]
