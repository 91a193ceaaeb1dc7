"""The trace of each encoder over training, from the checkpoints that were kept."""

from shared import METHODS, kept, picture, subject, trained

import sharpscope as ss
from sharpscope.figures import draw

traces = [
    result.tagged(method)
    for method in METHODS
    for path in kept(trained(method))[1::2]
    for result in ss.traces(subject(path, samples=128), rtol=0.2).values()
]
figure = draw(traces, "course")

# Every point has its error, and the text says of what.
assert all(trace.standard_error for trace in traces)
# The model gets sharper while it fits: the last trace is above the first.
image = [trace.value for trace in traces if (trace.tag, trace.modality) == ("late", "image")]
assert image[-1] > image[0]

picture(figure, __file__)
