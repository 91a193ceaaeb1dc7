"""What each modality contributes: Shapley shares, accuracies, readout, probe, alignment."""

from shared import METHODS, picture, subject, trained

import sharpscope as ss
from sharpscope.figures import draw

found = [
    ss.contribution(
        subject(trained(method), split="test", samples=None),
        train=subject(trained(method), samples=None),
        val=subject(trained(method), split="val", samples=None),
    ).tagged(method)
    for method in METHODS
]
figure = draw(found, "contribution")

# Shares are shares: they add up to one.
assert all(abs(sum(one.shares.values()) - 1) < 1e-9 for one in found)

picture(figure, __file__)
