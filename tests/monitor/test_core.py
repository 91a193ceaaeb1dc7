"""The monitor in a plain loop: no trace in the training, and what happens when things go wrong."""

import json
import random
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import sharpscope as ss
from sharpscope.contribution.alignment import alignments
from sharpscope.errors import MisuseError, SubjectError
from sharpscope.monitor import FlatnessMonitor, Signal
from sharpscope.monitor.signals import Event
from sharpscope.results import load
from sharpscope.results.monitor import read_lines
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
        return FlatnessMonitor(
            subject(model),
            when=when,
            out=out,
            optimizer=optimizer,
            sinks=[lambda *_, **__: 0],
            **QUICK,
        )

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
    assert without.record.steps == [0, 1]


def test_epochs():
    monitor = FlatnessMonitor(subject(net()), ["lambda_max"], when="epoch:2", **QUICK)
    for epoch in range(1, 5):
        for step in range(1, 4):
            monitor(3 * (epoch - 1) + step, epoch=epoch - 1 + step / 3)
        monitor.epoch(epoch)
    assert monitor.record.steps == [0, 6, 12]
    assert monitor.record.epochs == [0.0, 2.0, 4.0]


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
    for step in (1, 2, 3):
        loss.broken = step == 2
        monitor(step)
    record = monitor.close()
    assert record.steps == [0, 1, 3]
    (failure,) = record.failures
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
    for step in range(1, 3001):
        clock.now += 20.0
        monitor(step)
        assert monitor.spent <= 0.1 * monitor.seconds + 150  # the trial is a guess
    record = monitor.close()
    assert len(record.measurements) >= 3
    assert monitor.spent <= 0.1 * monitor.seconds


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


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"measure": []}, "measure must name something: 'trace', 'lambda_max', 'alignment' or"),
        ({"measure": ["edge"]}, "measure must be 'trace', 'lambda_max', .* got 'edge'"),
        (
            {"when": "often"},
            "when must be 'auto', a number of steps, 'steps:N', 'epoch', .* 'often'",
        ),
        ({"when": 0}, "when must be a whole number of at least 1"),
        ({"when": "log:1"}, "when='log:1' needs a factor above 1"),
        ({"budget": 0.0}, "budget must be a share of the training time, above 0 and at most 1"),
        ({"samples": 0}, "samples must be a whole number of at least 1"),
        ({"rtol": 0.0}, "rtol must be"),
        ({"out": "run.json"}, "out must end in .jsonl; got run.json"),
        ({"sinks": ["run.txt"]}, "a sink must be a .csv file, a Sink or a function .* 'run.txt'"),
        ({"sinks": [3]}, "a sink must be a .csv file, a Sink or a function .* got int"),
    ],
)
def test_settings_that_cannot_be_meant(settings: dict[str, Any], sentence: str):
    with pytest.raises(MisuseError, match=sentence):
        FlatnessMonitor(subject(net()), **settings)


def test_what_is_no_subject_is_refused():
    with pytest.raises(
        MisuseError, match="subject must be a Subject, or a function from the model"
    ):
        FlatnessMonitor(3)  # pyright: ignore[reportArgumentType]
    with pytest.raises(MisuseError, match="must return a Subject; it returned int"):
        FlatnessMonitor(lambda: 3).begin()  # pyright: ignore[reportArgumentType]
    with pytest.raises(
        MisuseError, match=r"autocast must be torch\.bfloat16 or torch\.float16; got"
    ):
        FlatnessMonitor(subject(net()), autocast=torch.float64).begin()
    with pytest.raises(SubjectError, match="the data is empty: the loader gave no batch"):
        FlatnessMonitor(subject(net(), data=[])).begin()

    def broken() -> Iterator[Any]:
        yield batches()[0]
        raise OSError("gone")

    class Loader:
        __iter__ = staticmethod(broken)

    with pytest.raises(SubjectError, match="the loader raised OSError: gone"):
        FlatnessMonitor(subject(net(), data=Loader())).begin()
