"""Methods x encoders as surfaces with one range, one camera and one scale of colors."""

from shared import METHODS, picture, subject, trained

import sharpscope as ss
from sharpscope.figures import draw

planes = [
    ss.landscape(subject(trained(method)), modality, shape=(21, 21)).tagged(method)
    for method in METHODS
    for modality in ("image", "en")
]
figure = draw(planes, "surfaces", width="page")

# A reader can compare heights: every panel has the same range of z.
panels = [axes for axes in figure.axes if hasattr(axes, "get_zlim")]
assert len(panels) == 4
assert len({axes.get_zlim() for axes in panels}) == 1

picture(figure, __file__)
