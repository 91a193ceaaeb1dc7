"""Each method as a point: how well each modality does alone, by a fresh probe of its encoder."""

from shared import picture, subject, trained

import sharpscope as ss
from sharpscope.figures import draw

found = [
    ss.contribution(
        subject(trained(method), split="test", samples=None),
        train=subject(trained(method), samples=None),
        val=subject(trained(method), split="val", samples=None),
    ).tagged(method)
    for method in ("joint", "late", "masam")
]
figure = draw(found, "unimodal", width="column")

# Every point has an error in both directions, over the items of the test split.
assert all(one.probe_error[name] > 0 for one in found for name in ("image", "en"))

picture(figure, __file__)
