"""λ_max is compared with a threshold of the same loss, or it is said that nobody knows."""

from typing import Any

import pytest
import torch

import sharpscope as ss
from sharpscope.monitor import FlatnessMonitor, Stability, monitor_of
from sharpscope.recipes import parse_recipe
from sharpscope.training import train
from tests.monitor.nets import net, subject

EXACT: dict[str, Any] = {"samples": None, "when": 1, "eigen_rtol": 1e-3, "products": 200}
QUICK: dict[str, Any] = {"samples": 16, "products": 24, "rtol": 0.5, "when": 1}


def measured(*, rate: float = 0.1, **settings: Any) -> FlatnessMonitor:
    """Return a monitor after one measurement of a model that SGD would step."""
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    own = {name: settings.pop(name) for name in ("unimodal",) if name in settings}
    how: dict[str, Any] = {"measure": ["lambda_max"], **settings}
    monitor = FlatnessMonitor(subject(model, **own), optimizer=optimizer, **how)
    monitor.begin()
    return monitor


def test_of_a_total_that_is_trained_it_is_measured_as_well():
    entry = measured(trained="total", **EXACT).record.measurements[0]
    still = subject(net())
    for name in ("ehr", "cxr"):
        found = entry["encoders"][name]
        top = ss.eigenvalues(still, name, rtol=1e-5, loss="total").largest
        assert found["trained_lambda_max"] == pytest.approx(top, rel=0.01)
        fusion = ss.eigenvalues(still, name, rtol=1e-5).largest
        assert found["lambda_max"] == pytest.approx(fusion, rel=0.01)
        assert top is not None
        assert fusion is not None
        assert top > 1.05 * fusion
        assert (found["threshold"], found["trained_loss"]) == (20.0, "total")
    both = [found["products"] + found["trained_products"] for found in entry["encoders"].values()]
    assert entry["products"] == sum(both)
    assert entry["notes"] == ()


def test_it_rings_where_that_of_the_total_alone_is_above():
    tops = {
        loss: max(ss.eigenvalues(subject(net()), n, loss=loss).largest or 0 for n in ("ehr", "cxr"))
        for loss in ("fusion", "total")
    }
    limit = (tops["fusion"] + tops["total"]) / 2
    how: dict[str, Any] = {"rate": 2 / limit, "signals": [Stability()], **EXACT}
    events = measured(trained="total", **how).record.events
    assert max(event["value"] for event in events) == pytest.approx(tops["total"], rel=0.01)
    assert all("for the total loss" in event["text"] for event in events)
    assert measured(trained="fusion", **how).record.events == ()


def test_where_nobody_told_what_is_trained_it_is_said():
    monitor = measured(rate=1e3, **EXACT)
    (entry,) = monitor.record.measurements
    assert entry["notes"] == (
        "λ_max is of the fusion loss, and the threshold of stability of the loss that is trained: "
        "say trained='total' or 'fusion' to the monitor to compare the two for sure",
    )
    assert entry["encoders"]["ehr"]["trained_loss"] is None
    assert "trained_lambda_max" not in entry["encoders"]["ehr"]
    rung = [event for event in monitor.record.events if event["signal"] == "stability"]
    assert len(rung) == 2
    assert all("perhaps another one" in event["text"] for event in rung)
    for known in ({"trained": "fusion"}, {"unimodal": {}}):
        (entry,) = measured(**known, **EXACT).record.measurements
        assert entry["notes"] == ()
        assert entry["encoders"]["ehr"]["trained_loss"] == "fusion"


def test_without_a_threshold_nothing_more_is_measured():
    monitor = FlatnessMonitor(subject(net()), ["lambda_max"], trained="total", **QUICK)
    monitor.begin()
    (entry,) = monitor.record.measurements
    assert "trained_lambda_max" not in entry["encoders"]["ehr"]
    trace = measured(trained="total", measure=["trace"], **QUICK).record.measurements[0]
    assert "trained_lambda_max" not in trace["encoders"]["ehr"]
    assert trace["notes"] == ()


@pytest.mark.parametrize("method", ["joint", "late"])
def test_recipes_tell_what_they_train(method: str):
    recipe = parse_recipe(
        "mfeat:fou+mor",
        method=method,
        epochs=1,
        settings={"width": "4", "optimizer": "sgd", "lr": "0.1"},
    )
    how: dict[str, Any] = {**QUICK, "when": "epoch"}
    monitor = monitor_of(recipe, measure=["lambda_max"], **how)
    train(recipe, watch=monitor)
    told = "total" if method == "late" else "fusion"
    assert monitor.record.settings["trained"] == told
    first, last = (entry["encoders"]["fou"] for entry in monitor.record.measurements)
    assert ("trained_lambda_max" in first) == (method == "late")
    assert last["threshold"] is None  # the learning rate has come to 0
