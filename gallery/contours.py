"""Two encoders of two models, colors for each encoder: filter-normalized planes, as Li et al."""

from shared import METHODS, picture, subject, trained

import sharpscope as ss
from sharpscope.figures import draw

planes = [
    ss.landscape(subject(trained(method)), modality, shape=(25, 25)).tagged(method)
    for method in METHODS
    for modality in ("image", "en")
]
figure = draw(planes, "contours", colors="encoder")

# The model itself is a point of its plane, and its loss is the plain one.
assert all(plane.values[12, 12] == plane.loss_value for plane in planes)
# The same seed gives the same directions, so that the panels of an encoder show the same slice.
assert planes[0].settings["normalize"] == "filter"
assert len({plane.seed for plane in planes}) == 1
# Methods can be compared within a column: panels of an encoder share their colors, others do not.
panels = {axes.get_title(): axes.collections[0].norm.vmax for axes in figure.axes}
assert panels["late fusion · image"] == panels["MASAM · image"] != panels["MASAM · en"]

picture(figure, __file__)
