"""Stage 3: the loss on lines, planes and in volumes around the parameters."""

from sharpscope.landscape.directions import NORMALIZE as NORMALIZE
from sharpscope.landscape.directions import Drawing as Drawing
from sharpscope.landscape.directions import random_directions as random_directions
from sharpscope.landscape.surface import AXES as AXES
from sharpscope.landscape.surface import BETWEEN as BETWEEN
from sharpscope.landscape.surface import ENGINES as ENGINES
from sharpscope.landscape.surface import STATISTICS as STATISTICS
from sharpscope.landscape.surface import Landscape as Landscape
from sharpscope.landscape.waypoints import Source as Source

__all__ = [
    "AXES",
    "BETWEEN",
    "ENGINES",
    "NORMALIZE",
    "STATISTICS",
    "Drawing",
    "Landscape",
    "Source",
    "random_directions",
]
