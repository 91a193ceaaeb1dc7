"""Spectra of the encoders' Hessians: a bulk at zero, few large eigenvalues, a negative tail."""

from shared import METHODS, picture, subject, trained

import sharpscope as ss
from sharpscope.figures import draw

# About a hundredth of each spectrum: a narrower Gaussian shows single Ritz values as a comb.
SIGMA = {"image": 0.4, "en": 0.02}
densities = [
    ss.density(subject(trained(method)), modality, steps=40, runs=4, sigma=sigma).tagged(method)
    for method in METHODS
    for modality, sigma in SIGMA.items()
]
figure = draw(densities, "density")

# A density integrates to 1, and its first moment is the mean eigenvalue: the trace of the same
# runs over the number of parameters.
for found in densities:
    step = found.grid[1] - found.grid[0]
    assert abs(found.density.sum() * step - 1) < 1e-6
    mean = (found.grid * found.density).sum() * step
    assert abs(mean - found.trace / found.parameters) < 0.01 * abs(mean)

picture(figure, __file__)
