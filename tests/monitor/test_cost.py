"""What a measurement is expected to take, and that it keeps to the time it is given."""

from collections.abc import Iterable
from typing import Any

import pytest
import torch

from sharpscope.monitor import FlatnessMonitor, Schedule
from sharpscope.monitor.preparing import Plan
from sharpscope.monitor.schedule import Now
from sharpscope.operators import HessianOperator
from tests.monitor.nets import net, subject, unimodal

HOW: dict[str, Any] = {"samples": 16, "rtol": 0.5, "eigen_rtol": 0.02, "products": 24, "seed": 0}
HALF: dict[str, Any] = {"autocast": None, "warm": True, "trained": None}
ALL = ("trace", "lambda_max", "alignment", "coupling")


class Clock:
    """A clock that only moves by what is told to take time."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Return a clock by which a product takes a second a batch, and γ's gradients half of one."""
    found = Clock()
    plain = HessianOperator.products

    def products(self: Any, vectors: Any, others: Any = None) -> Any:
        encoders = len(self.selection.name.split("+"))
        found.now += encoders * vectors.shape[1] * len(list(self.subject.batches))
        return plain(self, vectors, others)

    monkeypatch.setattr("time.perf_counter", found)
    monkeypatch.setattr(HessianOperator, "products", products)
    return found


def watched(clock: Clock, seconds: float = 0.5, model: Any = None) -> Any:
    """Return a subject whose unimodal losses take time."""

    def slow(name: str) -> Any:
        def loss(model: Any, batch: Any) -> Any:
            clock.now += seconds
            return unimodal(name)(model, batch)

        return loss

    return subject(model or net(), unimodal={name: slow(name) for name in ("ehr", "cxr")})


def measuring(clock: Clock, measure: Iterable[str]) -> Any:
    return Plan(watched(clock), measure, **HOW, **HALF).measuring(None)


def test_the_trial_counts_all_that_is_measured(clock: Clock):
    told = {what: measuring(clock, [what]).expected() for what in ALL}
    # Two batches: all products of each of two encoders, and one that builds its graph.
    assert told["trace"] == 2 * 2 * (24 + 1)
    # An eigenvalue alone needs fewer than a trace, of which there may be 24.
    assert told["lambda_max"] == 2 * 2 * (15 + 1)
    assert measuring(clock, ["trace", "lambda_max"]).expected() == told["trace"]
    # 10 probes of each of two encoders, in products over both.
    assert told["coupling"] == 2 * 2 * (2 * 10 + 1)
    # Two passes over two batches for each encoder.
    assert told["alignment"] == 2 * 2 * 2 * 0.5
    whole = told["trace"] + told["coupling"] + told["alignment"]
    assert measuring(clock, ALL).expected() == whole


def test_the_trial_counts_an_eigenvalue_of_another_loss_alone(clock: Clock):
    how: dict[str, Any] = {**HOW, "products": 80, **HALF, "trained": "total"}
    of = Plan(watched(clock, 0.0), ["trace", "lambda_max"], **how).measuring(None)
    assert of.expected() == 2 * 2 * (30 + 1)
    assert of.expected(["ehr"]) == 2 * 2 * (30 + 1) + 2 * (15 + 1)


@pytest.mark.parametrize("what", ["alignment", "coupling"])
def test_what_is_expected_is_what_it_takes(clock: Clock, what: str):
    of = measuring(clock, [what])
    expected = of.expected()
    assert of().seconds == pytest.approx(expected, rel=0.2)


def test_the_first_measurement_does_not_overrun_its_allowance(clock: Clock):
    monitor = FlatnessMonitor(watched(clock, 30.0), budget=0.1, **HOW)
    for step in range(1, 4000):
        clock.now += 5.0
        monitor(step)
        if monitor.record.measurements:
            break
    (entry,) = monitor.record.measurements
    assert entry["measuring_seconds"] > 50
    # Each of three parts may end a product or two late.
    assert entry["spent"] <= 0.1 * entry["seconds"] + 15
    assert all(one["alignment"] is not None for one in entry["encoders"].values())


class Given(Schedule):
    """Measures after every step, in a time of its own."""

    def __init__(self, seconds: float | None):
        self.seconds = seconds

    def due(self, now: Now) -> bool:
        return True

    def allowance(self, now: Now) -> float | None:
        return self.seconds


def test_alignment_takes_its_time_from_the_share_of_the_others(clock: Clock):
    def tops(seconds: float) -> Any:
        monitor = FlatnessMonitor(
            watched(clock, seconds), ["lambda_max", "alignment"], Given(60.0), **HOW
        )
        monitor(1)
        (entry,) = monitor.record.measurements
        return entry

    quick, slow = tops(0.0), tops(5.0)  # γ takes 40 s of the 60
    assert slow["products"] < quick["products"]
    assert slow["measuring_seconds"] <= 60 + 2 * 2 * 2
    assert slow["encoders"]["ehr"]["alignment"] == quick["encoders"]["ehr"]["alignment"]


def test_alignment_for_which_there_is_no_time_is_left_out_with_a_note(clock: Clock):
    schedule = Given(None)
    monitor = FlatnessMonitor(watched(clock, 5.0), ["lambda_max", "alignment"], schedule, **HOW)
    monitor(1)
    schedule.seconds = 30.0  # that of one encoder takes 20
    monitor(2)
    schedule.seconds = None
    monitor(3)
    before, entry, after = monitor.record.measurements
    assert before["notes"] == after["notes"] == ()
    note = "alignment of cxr was left out: it takes longer than what was left of the time"
    assert entry["notes"] == (note,)
    assert entry["encoders"]["ehr"]["alignment"] is not None
    assert entry["encoders"]["cxr"]["alignment"] is None
    assert entry["encoders"]["cxr"]["alignment_note"] == note
    assert entry["lacking"] == 20.0
    assert after["encoders"]["cxr"]["alignment"] is not None


def test_what_was_left_out_is_saved_up_for(clock: Clock):
    """γ that once took long is not left out for ever: the next measurement waits for its time."""
    monitor = FlatnessMonitor(watched(clock, 0.0), ["lambda_max", "alignment"], budget=0.2, **HOW)
    step = 0
    while len(monitor.record.measurements) < 3:
        step += 1
        clock.now += 5.0
        monitor(step)
        if len(monitor.record.measurements) == 1:
            keeper: Any = monitor._keeper  # pyright: ignore[reportPrivateUsage]
            keeper.measuring._aligning["cxr"] = 1000.0
    _, without, again = monitor.record.measurements
    assert without["encoders"]["cxr"]["alignment"] is None
    assert again["encoders"]["cxr"]["alignment"] is not None
    assert 0.2 * (again["seconds"] - without["seconds"]) > 1000.0


def test_pairs_that_their_time_cut_short_wait_for_more_of_it(clock: Clock):
    of = measuring(clock, ["coupling"])
    assert not of(None).cut_short
    assert not of(1e6).cut_short
    assert of(10.0).cut_short


@pytest.mark.parametrize("begun", [True, False])
def test_time_between_two_trainings_earns_nothing(clock: Clock, begun: bool):
    monitor = FlatnessMonitor(watched(clock, 0.0), ["lambda_max"], budget=0.1, **HOW)
    monitor.begin()
    for step in range(1, 11):
        clock.now += 5.0
        monitor(step)
    with pytest.warns(UserWarning, match="the monitor measured nothing"):
        monitor.close()
    clock.now += 1e6
    assert monitor.seconds == 50.0
    if begun:
        monitor.begin()
        clock.now += 5.0
    monitor(1 if begun else 11)
    assert monitor.record.measurements == ()
    assert monitor.seconds == (55.0 if begun else 50.0)
    with pytest.warns(UserWarning, match="the monitor measured nothing"):
        monitor.close()


def test_a_loop_that_tells_epochs_alone_is_measured_under_a_budget(clock: Clock):
    def spent(tells: str) -> Any:
        monitor = FlatnessMonitor(watched(clock, 0.0), ["lambda_max"], budget=0.1, **HOW)
        monitor.begin()
        for epoch in range(1, 301):
            for step in range(4):  # as many as the loader has batches
                clock.now += 5.0
                if tells == "steps":
                    monitor(4 * (epoch - 1) + step + 1)
            if tells == "epochs":
                monitor.epoch(epoch)
        return monitor

    epochs, steps = spent("epochs"), spent("steps")
    assert len(epochs.record.measurements) == len(steps.record.measurements) >= 3
    assert set(epochs.record.steps) == {0}
    assert epochs.record.epochs == sorted(set(epochs.record.epochs))
    assert epochs.spent <= 0.1 * epochs.seconds
    assert epochs.record.epochs[0] == pytest.approx(steps.record.steps[0] / 4, abs=1)


def test_epochs_of_a_loop_that_tells_when_they_end():
    """The measurement before the first step is one of epoch 0; within an epoch nobody tells."""
    monitor = FlatnessMonitor(subject(net()), ["lambda_max"], 2, **HOW)
    for epoch in (1, 2):
        for _ in range(3):
            with monitor.step():
                pass
        monitor.epoch(epoch)
    assert [one["epoch"] for one in monitor.record.measurements] == [0.0, None, None, None]
    ends = FlatnessMonitor(subject(net()), ["lambda_max"], "epoch", **HOW)
    ends.begin()
    ends.epoch(1)
    ends.epoch(2)
    assert ends.record.epochs == [0.0, 1.0, 2.0]


def test_what_another_eigenvalue_leaves_of_its_time_is_for_the_traces(clock: Clock):
    model = net()
    monitor = FlatnessMonitor(
        watched(clock, 0.0, model),
        ["trace", "lambda_max"],
        Given(120.0),
        optimizer=torch.optim.SGD(model.parameters(), lr=0.1),
        trained="total",
        samples=16,
        rtol=1e-3,
        products=200,
    )
    monitor.begin()
    (entry,) = monitor.record.measurements
    assert entry["measuring_seconds"] <= 120 + 3 * 4
    for one in entry["encoders"].values():
        # A quarter of the time is 15 products on two batches.
        assert one["trained_products"] < 15 < one["products"]
