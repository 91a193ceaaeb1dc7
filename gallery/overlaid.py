"""Two methods over three seeds while they train: the trace of each encoder, mean and interval."""

from shared import METHODS, picture

from sharpscope.figures import draw
from sharpscope.monitor import monitor_of
from sharpscope.recipes import parse_recipe
from sharpscope.training import train

records = []
for method in METHODS:
    for seed in (1, 2, 3):
        recipe = parse_recipe("mfeat:fou+mor", method=method, seed=seed, epochs=6)
        monitor = monitor_of(recipe, measure=["trace"], when="epoch", samples=128)
        train(recipe, watch=monitor)
        records.append(monitor.record)
figure = draw(records, "flatness")

# Every number has its error, and seeds of a method are one line.
assert all(error for record in records for error in record.course("fou", "standard_error"))
assert [line.get_label() for line in figure.axes[0].lines][:2] == ["late fusion", "MASAM"]

picture(figure, __file__)
