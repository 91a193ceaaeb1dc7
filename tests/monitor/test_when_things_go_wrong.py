"""Failures, broken files, no time: the training goes on, and the file tells."""

import os
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

from sharpscope.errors import MisuseError
from sharpscope.monitor import Event, FlatnessMonitor, Imbalance, Signal, Sink
from sharpscope.results import load
from sharpscope.results.monitor import read_lines
from tests.monitor.nets import batches, net, subject

QUICK: dict[str, Any] = {"samples": 16, "products": 24, "rtol": 0.5}


class Sometimes:
    """Batches whose loss fails on demand."""

    def __init__(self, what: Any):
        self.what, self.broken = what, False

    def __call__(self, model: Any, batch: Any) -> Any:
        if self.broken and isinstance(self.what, Exception):
            raise self.what
        loss = torch.nn.functional.cross_entropy(model(*batch[:2]), batch[2])
        return loss * float("nan") if self.broken else loss


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("nan", "the loss is not finite"),
        (RuntimeError("device lost"), "RuntimeError device lost"),
        (torch.OutOfMemoryError("CUDA out of memory"), "out of memory"),
    ],
)
def test_a_measurement_that_fails_is_told_and_the_next_one_tried(
    what: Any, reason: str, tmp_path: Path
):
    loss, out = Sometimes(what), tmp_path / "r.monitor.jsonl"
    monitor = FlatnessMonitor(
        subject(net(), loss=loss, unimodal={}), when=1, out=out, measure=["trace"], **QUICK
    )
    monitor.begin()
    monitor(1)
    loss.broken = True
    with pytest.warns(UserWarning, match="the monitor at step 2: a measurement failed: .*goes on"):
        monitor(2)
    monitor(3)  # the first one is warned of, the rest is in the record
    loss.broken = False
    monitor(4)
    record = monitor.close()
    assert record.steps == [0, 1, 4]
    assert repr(record).startswith("MonitorRecord(ehr, cxr: 3 measurements, step 4, 2 failed, 0 ev")
    failure, _ = record.failures
    assert failure["step"] == 2
    assert failure["reason"].startswith("a measurement failed: ")
    assert reason in failure["reason"].replace(":", "")
    assert load(out) == record


def test_weights_that_are_not_finite_are_a_failure_and_not_an_end():
    model = net()
    monitor = FlatnessMonitor(subject(model), when=1, **QUICK)
    monitor.begin()
    with torch.no_grad():
        model.head.weight[0, 0] = float("inf")
    with pytest.warns(UserWarning, match="not finite"):
        monitor(1)
    assert monitor.record.steps == [0]
    assert "not finite" in monitor.record.failures[0]["reason"]


def test_an_interrupt_is_no_failure():
    class Stop(KeyboardInterrupt):
        pass

    def loss(model: Any, batch: Any) -> Any:
        raise Stop

    monitor = FlatnessMonitor(subject(net(), loss=loss, unimodal={}), when=1, **QUICK)
    with pytest.raises(Stop):
        monitor.begin()


def test_going_on_with_a_file(tmp_path: Path):
    out = tmp_path / "r.monitor.jsonl"
    model = net()
    first = FlatnessMonitor(subject(model), ["lambda_max"], when=2, out=out, **QUICK)
    first.begin()
    for step in range(1, 8):
        first(step)
    # Killed here: no end. The checkpoint it is taken up from is that of step 4.
    with out.open("ab") as file:
        file.write(b'{"kind": "measurement", "step": 8, "enc')
    again = FlatnessMonitor(subject(model), ["lambda_max"], when=2, out=out, **QUICK)
    again.begin(step=4)
    for step in range(5, 11):
        again(step)
    record = again.close()
    assert record.steps == [0, 2, 4, 6, 8, 10]
    assert [line["kind"] for line in read_lines(out)].count("begin") == 1
    assert load(out) == record
    assert record.ended
    assert record.seconds >= first.record.seconds > 0


def test_a_file_that_is_there_is_not_written_over(tmp_path: Path):
    out = tmp_path / "r.monitor.jsonl"
    FlatnessMonitor(subject(net()), ["lambda_max"], when=1, out=out, **QUICK).begin()
    before = out.read_bytes()
    other = FlatnessMonitor(subject(net()), ["lambda_max"], when=1, out=out, **QUICK)
    with pytest.raises(MisuseError, match="holds a run already: name another file, move it away"):
        other.begin()
    renamed = subject(net(), encoders={"a": "ehr", "b": "cxr"}, unimodal={})
    wrong = FlatnessMonitor(renamed, ["lambda_max"], when=1, out=out, resume=True, **QUICK)
    with pytest.raises(MisuseError, match="is of the encoders ehr, cxr, and this run watches a, b"):
        wrong.begin()
    assert out.read_bytes() == before
    text = tmp_path / "notes.jsonl"
    text.write_text('{"kind": "note"}\n')
    foreign = FlatnessMonitor(subject(net()), when=1, out=text, resume=True, **QUICK)
    with pytest.raises(MisuseError, match="is no file of a monitor: it would be damaged"):
        foreign.begin()


class Ticking:
    """A clock that moves by a second at each look."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


def test_a_budget_is_kept(monkeypatch: pytest.MonkeyPatch):
    """Training takes a second a step by this clock, and a measurement a few hundred looks at it."""
    clock = Ticking()
    monkeypatch.setattr("time.perf_counter", clock)
    monitor = FlatnessMonitor(subject(net()), ["lambda_max"], budget=0.1, **QUICK)
    for step in range(1, 1201):
        clock.now += 20.0
        monitor(step)
        assert monitor.spent <= 0.1 * monitor.seconds + 150  # the trial is a guess
    record = monitor.close()
    assert len(record.measurements) >= 3
    assert monitor.spent <= 0.1 * monitor.seconds + 20  # the last one is no longer than it was told


@pytest.mark.filterwarnings("ignore:the monitor at step")
def test_failures_under_a_budget_are_as_far_apart_as_measurements(monkeypatch: pytest.MonkeyPatch):
    clock = Ticking()
    monkeypatch.setattr("time.perf_counter", clock)
    loss = Sometimes("nan")
    monitor = FlatnessMonitor(
        subject(net(), loss=loss, unimodal={}), ["lambda_max"], budget=0.1, **QUICK
    )
    for step in range(1, 1001):
        clock.now += 20.0
        loss.broken = step > 500
        monitor(step)
    before = len(monitor.record.measurements)
    assert before >= 1
    assert 1 <= len(monitor.record.failures) <= 2 * before + 2


def test_a_run_too_short_is_told():
    monitor = FlatnessMonitor(subject(net()), ["lambda_max"], **QUICK)
    for step in range(1, 6):
        monitor(step)
    with pytest.warns(UserWarning, match="measured nothing in .* s of training: nothing was due"):
        record = monitor.close()
    assert record.measurements == ()


def test_a_place_that_fails_is_given_up(tmp_path: Path):
    def log(numbers: Any, step: int) -> None:
        raise OSError("disk full")

    monitor = FlatnessMonitor(subject(net()), ["lambda_max"], when=1, sinks=[log], **QUICK)
    with pytest.warns(UserWarning, match="writes no more to Calling: OSError: disk full"):
        monitor.begin()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        monitor(1)
    assert monitor.record.steps == [0, 1]


def test_hooks_and_places_that_raise_do_not_end_the_training(tmp_path: Path):
    class Falls(Sink):
        def write(self, line: Any) -> None: ...

        def close(self) -> None:
            raise OSError("gone")

    class Always(Signal):
        name = "always"

        def look(self, encoders: Any, step: int, epoch: float | None) -> list[Event]:
            own: dict[str, Any] = {
                "signal": "always",
                "modality": "ehr",
                "value": 1.0,
                "limit": 0.5,
            }
            return [Event(step=step, epoch=epoch, text="it is there", **own)]

    def heard(event: Event) -> None:
        raise KeyError("name")

    monitor = FlatnessMonitor(
        subject(net()),
        ["lambda_max"],
        when=1,
        sinks=[Falls()],
        signals=[Always()],
        on_event=heard,
        **QUICK,
    )
    with pytest.warns(UserWarning, match="on_event raised KeyError at 'it is there'"):
        monitor(1)
    with pytest.warns(UserWarning, match="writes no more to Falls: OSError: gone"):
        assert monitor.close().steps == [1]


def test_signals_that_rang_before_training_was_taken_up_do_not_ring_again(tmp_path: Path):
    model, out = net(), tmp_path / "r.monitor.jsonl"
    how: dict[str, Any] = {"when": 1, "measure": ["trace"], "out": out, **QUICK}
    how["signals"] = [Imbalance(factor=1.01)]
    first = FlatnessMonitor(subject(model), **how)
    first.begin()
    first(1)
    assert len(first.record.events) == 1
    again = FlatnessMonitor(subject(model), **how)
    again.begin(step=1)
    again(2)
    assert len(again.record.events) == 1


def test_a_line_that_the_disk_takes_in_part_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    out = tmp_path / "r.monitor.jsonl"
    monitor = FlatnessMonitor(subject(net()), ["lambda_max"], when=1, out=out, **QUICK)
    monitor.begin()
    before = out.read_bytes()
    write = os.write
    monkeypatch.setattr(os, "write", lambda place, text: write(place, text[:9]))
    with pytest.warns(UserWarning, match="OSError: the disk took a part of the line"):
        monitor(1)
    assert out.read_bytes() == before


def test_a_loader_at_work_is_not_begun_anew():
    class Loader(list[Any]):
        persistent_workers, _iterator = True, object()

    busy = subject(net(), data=Loader(batches()))
    with pytest.raises(MisuseError, match=r"loader is at work .*: call begin\(\) before the loop"):
        FlatnessMonitor(busy, **QUICK).begin()


def test_loaders_that_do_not_know_their_length_are_read_from_the_front():
    class Loader:
        def __init__(self) -> None:
            self.given = 0

        def __len__(self) -> int:
            raise TypeError("no length")

        def __iter__(self) -> Any:
            for batch in batches(count=9):
                self.given += 1
                yield batch

    loader = Loader()
    monitor = FlatnessMonitor(subject(net(), data=loader), ["lambda_max"], when=1, **QUICK)
    monitor.begin()
    assert (loader.given, monitor.record.provenance["batches"]) == (2, 2)


def test_closing_what_never_began_measures_nothing():
    monitor = FlatnessMonitor(lambda model: subject(model), when=1, **QUICK)
    with pytest.warns(UserWarning, match="the monitor measured nothing"):
        assert monitor.close().modalities == ()
