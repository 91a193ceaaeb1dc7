"""Accuracy on clean test labels over the share of wrong training labels."""

from shared import picture, trained

import sharpscope as ss
from sharpscope.figures import draw

RATES = (0.0, 0.2, 0.4)
runs = [
    ss.run_record(trained(method, recipe="mfeat:fou+mor", seed=seed, label_noise=rate))
    for method in ("late", "masam")
    for rate in RATES
    for seed in (1, 2)
]
figure = draw(runs, "noise", width="column")

# Wrong labels cost accuracy on right ones.
accuracy = {
    rate: [
        run.metrics["test"]["fusion"]["accuracy"]
        for run in runs
        if run.recipe["settings"]["label_noise"] == rate
    ]
    for rate in RATES
}
assert min(accuracy[0.0]) > max(accuracy[0.4])

picture(figure, __file__)
