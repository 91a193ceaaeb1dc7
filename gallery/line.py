"""From one solution to another: is there a barrier between them?"""

import numpy as np
from shared import picture, subject, trained

import sharpscope as ss

here = subject(trained("late"))
line = ss.landscape(
    here,
    "all",
    axes="line",
    through=[("seed 2", trained("late", seed=2))],
    shape=(31,),
    metric="accuracy",
).tagged("seed 1")
figure = line.draw(width="column")

# Two seeds sit in two valleys: the loss between them is far above both ends.
ends = [line.values[np.flatnonzero(line.x == x)[0]] for x in (0.0, 1.0)]
between = line.values[(line.x > 0) & (line.x < 1)]
assert between.max() > 2 * max(ends)

picture(figure, __file__)
