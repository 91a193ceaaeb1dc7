"""Accuracy over the radius ρ of two methods, with the error over seeds."""

from shared import picture, trained

import sharpscope as ss
from sharpscope.figures import draw

RADII, SEEDS = (0.1, 0.3, 1.0), (1, 2)
runs = [
    ss.run_record(trained(method, recipe="mfeat:fou+mor", seed=seed, rho=rho))
    for method in ("sam", "masam")
    for rho in RADII
    for seed in SEEDS
]
figure = draw(runs, "sensitivity", width="column")

# Six runs a method, all of one recipe: nothing but the method, its radius and the seed differs.
assert len(runs) == 2 * len(RADII) * len(SEEDS)
assert {run.recipe["settings"]["rho"] for run in runs} == set(RADII)

picture(figure, __file__)
