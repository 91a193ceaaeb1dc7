"""Steps that a loop counts anew, and models that do not train."""

import copy
import warnings
from typing import Any

import pytest
import torch
from torch import nn

from sharpscope.monitor import FlatnessMonitor
from tests.monitor.nets import net, subject

QUICK: dict[str, Any] = {"measure": ["lambda_max"], "samples": 16, "products": 24}
TOLD = r"step {} was told to the monitor after step {}: it counts on with step {}; count steps thr"


def in_epochs(steps: list[int], epochs: int = 3) -> list[int]:
    """Return the steps of measurements of a loop that tells these in each epoch."""
    monitor = FlatnessMonitor(subject(net()), when=1, **QUICK)
    for epoch in range(1, epochs + 1):
        for step in steps:
            monitor(step)
        monitor.epoch(epoch)
    return monitor.close().steps


def test_steps_counted_anew_in_each_epoch_are_counted_on_and_told_of_once():
    with pytest.warns(UserWarning, match=TOLD.format(1, 2, 3)) as told:
        assert in_epochs([1, 2]) == [1, 2, 3, 4, 5, 6]
    assert len(told) == 1
    with pytest.warns(UserWarning, match=TOLD.format(0, 2, 3)):  # as enumerate counts
        assert in_epochs([0, 1, 2], 2) == [0, 1, 2, 3, 4, 5]
    with pytest.warns(UserWarning, match=TOLD.format(2, 4, 6)):  # every second is told
        assert in_epochs([2, 4]) == [2, 4, 6, 8, 10, 12]


def test_training_that_is_taken_up_again_goes_back():
    model = net()
    monitor = FlatnessMonitor(subject(model), when=2, **QUICK)
    monitor.begin()
    for step in range(1, 7):
        monitor(step)
    monitor.begin(model, step=3)
    for step in range(4, 9):
        monitor(step)
    assert monitor.record.steps == [0, 2, 4, 6, 8]
    with pytest.warns(UserWarning, match=TOLD.format(1, 8, 9)):
        monitor(1)
    monitor(2)
    monitor.begin(step=9)  # from here on as it is told
    monitor(12)
    assert monitor.record.steps == [0, 2, 4, 6, 8, 12]


STRANGER = (
    "the monitor measures a model that does not train, as none of its parameters is among the "
    "trained ones: right for a copy such as a moving average .* a function from the model"
)


def test_a_model_that_does_not_train_is_told_of():
    trains, other = net(), net()
    steps = torch.optim.SGD(trains.parameters(), lr=0.1)
    average = torch.optim.swa_utils.AveragedModel(trains)
    source: Any
    for source in (subject(other), lambda _: subject(other), subject(average.module)):
        monitor = FlatnessMonitor(source, when=1, **QUICK)
        with pytest.warns(UserWarning, match=STRANGER) as told:
            monitor.begin(trains)
        assert len(told) == 1
        monitor.begin(trains)
    with pytest.warns(UserWarning, match=STRANGER):
        FlatnessMonitor(subject(other), when=1, optimizer=steps, **QUICK)(1)
    with pytest.warns(UserWarning, match=STRANGER):
        FlatnessMonitor(subject(other), when=1, **QUICK).begin(optimizer=[steps])


def test_a_model_that_shares_what_is_trained_is_not():
    model = net()
    # Of a copy, as frameworks keep one in another dtype: the model that was given tells.
    copies = torch.optim.SGD(copy.deepcopy(model).parameters(), lr=0.1)
    some = torch.optim.SGD(model.head.parameters(), lr=0.1)
    wrapped: Any = (
        nn.DataParallel(model),
        torch.compile(model, backend="eager"),
        nn.Sequential(model),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for trains in (model, *wrapped, None):
            how: dict[str, Any] = {} if trains is None else {"optimizer": copies}
            FlatnessMonitor(subject(model), when=1, **QUICK).begin(trains, **how)
        FlatnessMonitor(subject(model), when=1, **QUICK).begin(optimizer=some)
        for trains in wrapped[:2]:
            FlatnessMonitor(subject, when=1, **QUICK).begin(trains, optimizer=some)
