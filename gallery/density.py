"""Spectra of the encoders' Hessians: a bulk at zero, few large eigenvalues, a negative tail."""

from shared import METHODS, picture, subject, trained

import sharpscope as ss
from sharpscope.figures import draw

densities = [
    ss.density(subject(trained(method)), modality, steps=40, runs=2).tagged(method)
    for method in METHODS
    for modality in ("image", "en")
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
