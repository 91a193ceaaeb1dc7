"""Signals and schedules that users write: an exception in them does not end the training."""

import warnings
from pathlib import Path
from typing import Any

import pytest

from sharpscope.monitor import EverySteps, FlatnessMonitor, Schedule, Signal
from sharpscope.monitor.schedule import Now
from sharpscope.monitor.signals import Event
from sharpscope.results import load
from tests.monitor.nets import net, subject

QUICK: dict[str, Any] = {"samples": 16, "products": 24, "rtol": 0.5}


class Broken(Signal):
    """Rings for everything, and fails before, or returns something else."""

    name = "broken"

    def __init__(self, until: int = 0, returned: Any = None):
        self.until, self.returned = until, returned

    def look(self, encoders: Any, step: int, epoch: float | None) -> list[Event]:
        if step <= self.until:
            raise KeyError("trace")
        if self.returned is not None:
            return self.returned
        own: dict[str, Any] = {"signal": self.name, "modality": "ehr", "value": 1.0, "limit": 0.5}
        return [Event(step=step, epoch=epoch, text="it is there", **own)]


class Fails(Schedule):
    """Measures after every second step, and fails in what is named."""

    def __init__(self, *names: str):
        self.names = names

    def due(self, now: Now) -> bool:
        if "due" in self.names and now.step < 3:
            raise ZeroDivisionError("no rate")
        return now.step % 2 == 0

    def allowance(self, now: Now) -> Any:
        if "allowance" in self.names:
            raise ZeroDivisionError("no rate")
        return "much" if "word" in self.names else None


def trained(steps: int = 6, **settings: Any) -> FlatnessMonitor:
    how: dict[str, Any] = {"when": 1, **QUICK, **settings}
    monitor = FlatnessMonitor(subject(net()), ["lambda_max"], **how)
    for step in range(1, steps + 1):
        monitor(step)
    return monitor


def test_a_signal_that_fails_is_told_once_and_looks_again(tmp_path: Path):
    out = tmp_path / "r.monitor.jsonl"
    with pytest.warns(UserWarning, match="Broken.look failed: KeyError: 'trace'; training") as w:
        monitor = trained(4, signals=[Broken(until=2), Broken()], out=out)
    assert len(w) == 1
    record = monitor.close()
    assert record.steps == [1, 2, 3, 4]
    assert [(f["step"], f["reason"]) for f in record.failures] == [
        (1, "Broken.look failed: KeyError: 'trace'")
    ]
    assert [event["step"] for event in record.events] == [1, 2, 3, 3, 4, 4]
    assert load(out) == record


@pytest.mark.parametrize("returned", [7, ["ring"]])
def test_a_signal_that_returns_something_else(returned: Any):
    with pytest.warns(UserWarning, match="it must return a list of Event; it returned"):
        monitor = trained(2, signals=[Broken(returned=returned)])
    assert monitor.record.steps == [1, 2]
    assert monitor.record.events == ()
    assert "Broken.look failed: it must return" in monitor.record.failures[0]["reason"]


def test_a_signal_that_fails_on_what_was_measured_before(tmp_path: Path):
    out = tmp_path / "r.monitor.jsonl"
    trained(2, out=out)
    again = FlatnessMonitor(
        subject(net()), ["lambda_max"], 1, out=out, signals=[Broken(until=9)], **QUICK
    )
    with pytest.warns(UserWarning, match="Broken.look failed"):
        again.begin(step=2)
    again(3)
    assert again.record.steps == [1, 2, 3]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("due", "Fails.due failed: ZeroDivisionError: no rate"),
        ("allowance", "Fails.allowance failed: ZeroDivisionError: no rate"),
        ("word", "Fails.allowance failed: ValueError: could not convert string to float: 'much'"),
    ],
)
def test_a_schedule_that_fails_is_told_once_and_asked_again(name: str, reason: str):
    with pytest.warns(UserWarning, match=reason) as warned:
        monitor = trained(when=Fails(name))
    assert len(warned) == 1
    assert monitor.record.steps == ([4, 6] if name == "due" else [2, 4, 6])
    assert [failure["reason"] for failure in monitor.record.failures] == [reason]


def test_an_interrupt_in_them_is_none():
    class Stop(EverySteps):
        def due(self, now: Now) -> bool:
            raise KeyboardInterrupt

    with warnings.catch_warnings(), pytest.raises(KeyboardInterrupt):
        trained(when=Stop(1))
