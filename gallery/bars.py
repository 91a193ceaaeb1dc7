"""Trace, largest eigenvalue, sharpness and generalization gap of two methods, with their errors."""

from shared import METHODS, picture, subject, trained

import sharpscope as ss
from sharpscope.figures import draw

results = []
for method in METHODS:
    model = subject(trained(method))
    found = [
        measure(model, modality, **settings)
        for modality in ("image", "en")
        for measure, settings in (
            (ss.trace, {"rtol": 0.2}),
            (ss.eigenvalues, {}),
            (ss.sharpness, {}),
        )
    ]
    splits = [subject(trained(method), split=split, samples=None) for split in ("train", "test")]
    found.append(ss.generalization_gap(*splits))
    results += [result.tagged(method) for result in found]
figure = draw(results, "bars", width="page")

# No number without its error: probes for the trace, a residual for λ_max, items for the gap.
assert all(r.standard_error for r in results if r.schema in ("sharpscope/trace", "sharpscope/gap"))

picture(figure, __file__)
