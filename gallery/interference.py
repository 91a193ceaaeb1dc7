"""One axis for each encoder: what moving one does to the loss depends on where the other is."""

import numpy as np
from shared import picture, subject, trained

import sharpscope as ss

plane = ss.landscape(subject(trained("late")), "image+en", axes="encoders", shape=(15, 15))
figure = plane.draw(width="column")

# Without interference the loss would be a function of x plus a function of y. This is what is left.
center = plane.values[7, 7]
apart = plane.values[7:8, :] + plane.values[:, 7:8] - center
interference = np.abs(plane.values - apart).max()
assert interference > 0.05 * np.ptp(plane.values)

picture(figure, __file__)
