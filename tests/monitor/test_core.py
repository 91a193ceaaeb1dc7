"""The monitor in a plain loop: no trace in the training, and what happens when things go wrong."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import sharpscope as ss
from sharpscope.contribution.alignment import alignments
from sharpscope.monitor import FlatnessMonitor, Signal
from sharpscope.monitor.signals import Event
from sharpscope.results import load
from tests.monitor.nets import batches, net, randomness, same, subject

QUICK: dict[str, Any] = {"samples": 16, "products": 24, "rtol": 0.5}


def trained(watch: Callable[[Any, Any], FlatnessMonitor] | None, *, steps: int = 50) -> Any:
    """Train with dropout, BatchNorm, momentum and random draws of all kinds; return every state."""
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True)
    random.seed(3)
    np.random.seed(4)
    monitor = None if watch is None else watch(model, optimizer)
    data = batches()
    for number in range(1, steps + 1):
        batch = data[random.randrange(len(data))]
        noisy = batch[0] + 0.1 * float(np.random.randn()), batch[1], batch[2]
        optimizer.zero_grad()
        model.loss(noisy).backward()
        optimizer.step()
        if monitor is not None:
            monitor(number)
    record = None if monitor is None else monitor.close()
    gradients = [parameter.grad for parameter in model.parameters()]
    state = model.state_dict(), optimizer.state_dict(), gradients, randomness(), model.training
    return state, record


@pytest.mark.parametrize("when", [5, "log"])
def test_training_goes_on_bit_for_bit(when: Any, tmp_path: Path):
    plain, _ = trained(None)

    def watch(model: Any, optimizer: Any) -> FlatnessMonitor:
        out = tmp_path / "run.monitor.jsonl"
        found = FlatnessMonitor(
            subject(model),
            when=when,
            out=out,
            optimizer=optimizer,
            sinks=[lambda *_, **__: 0],
            **QUICK,
        )
        found.begin()
        return found

    state, record = trained(watch)
    assert same(state, plain)
    steps = list(range(0, 51, 5)) if when == 5 else [0, 1, 2, 4, 8, 16, 32]
    assert record.steps == steps
    assert record.failures == ()
    assert load(tmp_path / "run.monitor.jsonl") == record


def test_the_loader_of_the_training_may_be_measured_on():
    """A loader that shuffles draws from the global generator: it is asked once, and not heard."""
    data: Any = [tuple(part[0] for part in batch) for batch in batches(count=24, size=1)]

    def run(watched: bool) -> Any:
        model = net()
        loader = torch.utils.data.DataLoader(data, batch_size=6, shuffle=True)
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
        of = FlatnessMonitor(subject(model, data=loader), when=2, **QUICK) if watched else None
        if of is not None:
            of.begin()
        for batch in loader:
            optimizer.zero_grad()
            model.loss(batch).backward()
            optimizer.step()
            if of is not None:
                of()
        return (model.state_dict(), optimizer.state_dict(), randomness()), of

    plain, _ = run(False)
    state, monitor = run(True)
    assert same(state, plain)
    assert monitor is not None
    assert monitor.record.steps == [0, 2, 4]


def test_numbers_are_those_of_the_library():
    model = net()
    monitor = FlatnessMonitor(subject(model), when=1, samples=None, rtol=0.2, products=200)
    monitor.begin()
    (entry,) = monitor.record.measurements
    still = subject(model)
    with still.still():
        gamma = alignments(still, ("ehr", "cxr"))
    for name in ("ehr", "cxr"):
        found, trace = entry["encoders"][name], ss.trace(still, name, rtol=0.01)
        assert trace.value is not None
        assert abs(found["trace"] - trace.value) < 4 * found["standard_error"]
        assert found["per_parameter"] == pytest.approx(found["trace"] / trace.parameters)
        top = ss.eigenvalues(still, name, rtol=1e-4).largest
        assert found["lambda_max"] == pytest.approx(top, rel=0.03)
        one = gamma[name]
        assert not isinstance(one, str)
        assert found["alignment"] == one.value
        assert found["gradient_norm"] == one.fusion_norm
        assert found["threshold"] is None
    shares = [entry["encoders"][name]["share"] for name in ("ehr", "cxr")]
    assert sum(shares) == pytest.approx(1.0)
    exact = ss.coupling(still, rtol=0.05).shares["ehr+cxr"]
    pair = entry["coupling"]["ehr+cxr"]
    assert abs(pair["share"] - exact) < 4 * pair["error"] + 0.02
    assert entry["loss"] == pytest.approx(trace.loss_value)
    assert monitor.record.settings["absent"]["threshold of ehr"] == "no optimizer was given"
    assert monitor.record.provenance["dtype"] == "float32"


@pytest.mark.parametrize("measure", ["trace", "lambda_max", "alignment", "coupling"])
def test_only_what_is_asked_for_is_measured(measure: str):
    monitor = FlatnessMonitor(subject(net()), [measure], when=1, **QUICK)
    monitor.begin()
    (entry,) = monitor.record.measurements
    found = set(entry["encoders"]["ehr"])
    assert ("trace" in found) == (measure == "trace")
    assert ("lambda_max" in found) == (measure == "lambda_max")
    assert ("alignment" in found) == (measure == "alignment")
    assert bool(entry["coupling"]) == (measure == "coupling")
    assert np.isfinite(entry["loss"])


def test_what_cannot_be_measured_is_said_once():
    whole = subject(net(), unimodal={}, encoders={"both": ["ehr", "cxr"]})
    monitor = FlatnessMonitor(whole, when=1, **QUICK)
    monitor.begin()
    absent = monitor.record.settings["absent"]
    assert absent["coupling"] == "it is between encoders, and there is one"
    assert absent["alignment"].startswith("there is no unimodal loss of both: pass unimodal=")
    assert monitor.record.settings["measure"] == ("trace", "lambda_max")


def test_autocast_around_it_changes_nothing_unless_it_is_asked_for():
    def measured(**settings: Any) -> Any:
        monitor = FlatnessMonitor(subject(net()), when=1, **QUICK, **settings)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            monitor.begin()
        return monitor.record

    plain = FlatnessMonitor(subject(net()), when=1, **QUICK)
    plain.begin()
    numbers = plain.record.measurements[0]["encoders"]
    assert measured().measurements[0]["encoders"] == numbers
    asked = measured(autocast=torch.bfloat16)
    assert asked.measurements[0]["encoders"] != numbers
    assert asked.settings["autocast"] == "bfloat16"
    near = asked.measurements[0]["loss"]
    assert near == pytest.approx(plain.record.measurements[0]["loss"], rel=0.05)


def test_a_block_is_a_step_and_factories_are_given_the_model():
    model, seen = net(), list[Any]()

    def factory(trains: Any) -> Any:
        seen.append(trains)
        return subject(trains)

    monitor = FlatnessMonitor(factory, ["lambda_max"], when="steps:2", **QUICK)
    monitor.begin(model)
    for _ in range(4):
        with monitor.step():
            pass
    assert seen == [model]
    assert monitor.record.steps == [0, 2, 4]
    without = FlatnessMonitor(lambda: subject(model), ["lambda_max"], when=1, **QUICK)
    without(1)
    assert without.record.steps == [1]  # what it was like before was not seen


def test_epochs():
    monitor = FlatnessMonitor(subject(net()), ["lambda_max"], when="epoch:2", **QUICK)
    monitor.begin(epoch=0.0)
    for epoch in range(1, 5):
        for step in range(1, 4):
            monitor(3 * (epoch - 1) + step, epoch=epoch - 1 + step / 3)
        monitor.epoch(epoch)
    assert monitor.record.steps == [0, 6, 12]
    assert monitor.record.epochs == [0.0, 2.0, 4.0]


def test_events_are_written_and_called(tmp_path: Path):
    class Always(Signal):
        name = "always"

        def look(self, encoders: Any, step: int, epoch: float | None) -> list[Event]:
            own: dict[str, Any] = {
                "signal": self.name,
                "modality": "ehr",
                "value": 1.0,
                "limit": 0.5,
            }
            return [Event(step=step, epoch=epoch, text="it is there", **own)]

    heard, out = list[Event](), tmp_path / "r.monitor.jsonl"
    monitor = FlatnessMonitor(
        subject(net()),
        ["lambda_max"],
        when=1,
        out=out,
        signals=[Always()],
        on_event=heard.append,
        **QUICK,
    )
    monitor.begin()
    monitor(1)
    assert [event.step for event in heard] == [0, 1]
    assert [event["signal"] for event in monitor.record.events] == ["always"] * 2
    assert json.loads(out.read_text().splitlines()[2])["kind"] == "event"


def test_the_threshold_follows_the_learning_rate():
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.5)
    monitor = FlatnessMonitor(subject(model), ["lambda_max"], when=1, optimizer=optimizer, **QUICK)
    monitor.begin()
    optimizer.param_groups[0]["lr"] = 0.05
    monitor(1)
    assert monitor.record.course("ehr", "threshold") == pytest.approx([30.0, 60.0])
