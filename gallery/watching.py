"""One run at a glance: trace, λ_max, shares, alignment and coupling while it trains."""

from shared import picture

from sharpscope.figures import draw
from sharpscope.monitor import monitor_of
from sharpscope.recipes import parse_recipe
from sharpscope.training import train

recipe = parse_recipe("mfeat:fou+mor", method="masam", seed=1, epochs=8)
monitor = monitor_of(recipe, when="epoch", samples=256)
watched = train(recipe, watch=monitor)
record = monitor.record
figure = draw([record], "watch")

# It was measured before the first step and after each epoch, and the training is that without it.
assert record.epochs == [float(epoch) for epoch in range(9)]
assert not record.failures
plain = train(recipe)
for name, value in plain.model.state_dict().items():
    assert value.equal(watched.model.state_dict()[name])
# Shares of the trace add up to 1.
for one, other in zip(record.course("fou", "share"), record.course("mor", "share"), strict=True):
    assert abs(one + other - 1) < 1e-9

picture(figure, __file__)
