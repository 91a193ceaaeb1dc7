"""Which encoder dominates over training, and by what score."""

from shared import picture, trained

import sharpscope as ss
from sharpscope.figures import draw

runs = [ss.run_record(trained("masam")), ss.run_record(trained("msam"))]
figure = draw(runs, "dominance")

# In every step of every epoch one encoder dominates: the counts are the steps of an epoch.
for run in runs:
    counts = {sum(epoch["dominant"].values()) for epoch in run.history}
    assert len(counts) == 1

picture(figure, __file__)
