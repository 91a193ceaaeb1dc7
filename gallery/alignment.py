"""Do the fusion loss and each modality's own pull its encoder the same way, over training?"""

from shared import picture, trained

import sharpscope as ss
from sharpscope.figures import draw

runs = [ss.run_record(trained("masam", seed=seed)) for seed in (1, 2)]
figure = draw(runs, "alignment", width="column")

# Cosines. At the end of training both losses pull each encoder the same way.
epochs = [epoch["alignment"] for run in runs for epoch in run.history]
assert all(-1 <= value <= 1 for epoch in epochs for value in epoch.values())
assert all(min(run.history[-1]["alignment"].values()) > 0 for run in runs)

picture(figure, __file__)
