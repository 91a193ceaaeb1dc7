"""One-dimensional profiles of the same encoder under two methods, overlaid."""

from shared import METHODS, picture, subject, trained

import sharpscope as ss
from sharpscope.figures import draw

lines = [
    ss.landscape(subject(trained(method)), "image", shape=(31,), span=1.5).tagged(method)
    for method in METHODS
]
figure = draw(lines, "profiles", width="column")

# Both were measured at the same distances, in units of a direction as long as the filters.
assert lines[0].x.tolist() == lines[1].x.tolist()
assert all(line.values[15] == line.loss_value for line in lines)

picture(figure, __file__)
