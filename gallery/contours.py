"""Two encoders of two models on one scale of colors: filter-normalized planes, as Li et al."""

from shared import METHODS, picture, subject, trained

import sharpscope as ss
from sharpscope.figures import draw

planes = [
    ss.landscape(subject(trained(method)), modality, shape=(15, 15)).tagged(method)
    for method in METHODS
    for modality in ("image", "en")
]
figure = draw(planes, "contours")

# The model itself is a point of its plane, and its loss is the plain one.
assert all(plane.values[7, 7] == plane.loss_value for plane in planes)
# The same seed gives the same directions, so that the panels of an encoder show the same slice.
assert planes[0].settings["normalize"] == "filter"
assert len({plane.seed for plane in planes}) == 1

picture(figure, __file__)
