"""The way of two runs in the plane of their principal components."""

import numpy as np
from shared import METHODS, kept, picture, subject, trained

import sharpscope as ss

runs = {method: kept(trained(method)) for method in METHODS}
plane = ss.landscape(
    subject(trained(METHODS[-1])), "image", axes="pca", through=runs, shape=(21, 21)
)
figure = plane.draw(width="column")

# Two directions hold most of how far the checkpoints are from each other, and both runs are there.
assert sum(plane.explained) > 0.5
assert plane.runs == METHODS
# The last checkpoint of the run in the middle is the model itself.
last = np.flatnonzero(plane.path_run == 1)[-1]
assert abs(plane.path_x[last]) < 1e-6

picture(figure, __file__)
