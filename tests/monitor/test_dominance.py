"""Steps of M-SAM and MASAM of somebody's own loop, from the monitor to the figure."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from sharpscope_cli.main import cli
from torch.nn import functional

from sharpscope.errors import MisuseError
from sharpscope.figures import caption_of, draw, draw_dominance
from sharpscope.monitor import FlatnessMonitor
from sharpscope.optim import MASAM, MSAM, SAM, Losses, MASAMStep, Step
from sharpscope.results import load
from sharpscope.results.monitor import read_lines, read_monitor
from sharpscope.training.stepping import Tally
from tests.figures import toy
from tests.monitor.nets import batches, net, same, subject, unimodal

QUICK: dict[str, Any] = {"samples": 16, "products": 24, "rtol": 0.5, "measure": ["lambda_max"]}
NAMES = ("ehr", "cxr")


def closure(model: Any, batch: Any) -> Any:
    def losses() -> Losses:
        fusion = functional.cross_entropy(model(*batch[:2]), batch[2])
        return Losses(fusion, {name: unimodal(name)(model, batch) for name in NAMES})

    return losses


def performance(present: Any) -> float:
    return sum({"ehr": 0.7, "cxr": 0.2}[name] for name in present)


def made(kind: Any, model: Any, **names: str) -> Any:
    base = torch.optim.SGD(model.parameters(), lr=0.05)
    encoders = {names.get(name, name): getattr(model, name) for name in NAMES}
    return kind(base, encoders=encoders, rho=0.1)


def stepped(kind: Any, epochs: int = 3, *, told: bool = True, **settings: Any) -> Any:
    """Return the monitor, the records and the state of a run of twelve steps."""
    torch.manual_seed(0)
    model, records = net(), list[Any]()
    optimizer = made(kind, model)
    extra: dict[str, Any] = {}
    if kind is MSAM:
        extra["performance"] = performance
    how: dict[str, Any] = {"when": "epoch", **QUICK, **settings}
    monitor = FlatnessMonitor(subject(model), optimizer=optimizer, **how)
    for epoch in range(1, epochs + 1):
        for place, batch in enumerate(batches(), start=1):
            records.append(optimizer.step(closure(model, batch), **extra))
            share = epoch - 1 + place / 4
            monitor(epoch=share, record=records[-1] if told else None)
        monitor.epoch(epoch)
    return monitor, records, model.state_dict()


def counts(records: list[Any]) -> dict[str, int]:
    return dict(Counter(one.dominant for one in records if one.dominant is not None))


def test_the_file_has_what_a_history_would(tmp_path: Path):
    out = tmp_path / "own.monitor.jsonl"
    monitor, records, _ = stepped(MASAM, out=out)
    record = monitor.close()
    assert [entry["epoch"] for entry in record.history] == [1.0, 2.0, 3.0]
    for place, entry in enumerate(record.history):
        tally = Tally()
        for one in records[4 * place : 4 * place + 4]:
            tally.note(one)
        assert (entry["step"], entry["steps"]) == (4 * place + 4, 4)
        assert entry["dominant"] == tally.dominant
        for word in ("alignment", "scores"):
            assert entry[word] == pytest.approx(tally.mean_words(word))
    assert load(out) == read_monitor(out) == record
    kinds = [line["kind"] for line in read_lines(out)]
    assert kinds.count("steps") == 3
    assert kinds.index("steps") > kinds.index("measurement")


def test_shares_of_msam():
    monitor, records, _ = stepped(MSAM)
    (first, *_) = monitor.record.history
    assert first["dominant"] == counts(records[:4])
    assert set(first["shares"]) == set(NAMES)
    assert "scores" not in first


def test_training_is_the_same_whatever_is_told():
    assert same(stepped(MASAM)[2], stepped(MASAM, told=False)[2])
    assert stepped(MASAM, told=False)[0].close().history == ()


def test_lines_stand_with_the_measurements_and_at_the_end():
    monitor, records, _ = stepped(MASAM, when=3)
    assert [entry["step"] for entry in monitor.record.history] == [3, 4, 6, 8, 9, 12]
    every = sum((Counter(entry["dominant"]) for entry in monitor.record.history), Counter[str]())
    assert dict(every) == counts(records)
    model = net()
    optimizer = made(MASAM, model)
    own = FlatnessMonitor(subject(model), when=100, **QUICK)
    with own.step() as tell:
        tell(optimizer.step(closure(model, batches()[0])))
    with own.step():
        pass
    assert own.record.history == ()
    (entry,) = own.close().history
    assert (entry["step"], entry["steps"], entry["epoch"]) == (2, 1, None)
    assert own.close().history == (entry,)  # nothing is left


def test_what_was_trained_again_is_left_out(tmp_path: Path):
    out = tmp_path / "own.monitor.jsonl"
    stepped(MASAM, out=out)
    model = net()
    again = FlatnessMonitor(subject(model), when="epoch", out=out, **QUICK)
    again.begin(step=8)
    assert [entry["step"] for entry in again.record.history] == [4, 8]


def test_other_steps_say_nothing_and_other_things_are_refused():
    model = net()
    monitor = FlatnessMonitor(subject(model), when=1, **QUICK)
    record = made(SAM, model).step(closure(model, batches()[0]))
    assert isinstance(record, Step)
    monitor(record=record)
    nothing = MASAMStep(
        fusion=1.0, unimodal={}, total=1.0, radius=0.0,
        dominant=None, alignment={"ehr": 0.5}, decay={}, scores={"ehr": 0.2},
    )  # fmt: skip
    monitor(record=nothing)
    (entry,) = monitor.record.history
    assert (entry["dominant"], entry["alignment"]) == ({}, {"ehr": 0.5})
    wrong: Any = torch.ones(())
    with pytest.raises(
        MisuseError, match=r"record must be what optimizer.step\(...\) of sharpsc.*"
    ):
        monitor(record=wrong)
    with pytest.raises(MisuseError, match="got Tensor"), monitor.step() as tell:
        tell(wrong)
    renamed = made(MASAM, model, ehr="a", cxr="b")

    def losses() -> Losses:
        found = closure(model, batches()[0])()
        return Losses(found.fusion, {"a": found.unimodal["ehr"], "b": found.unimodal["cxr"]})

    told = "the step is of the encoders a, b, and the monitor watches ehr, cxr: give both the same"
    with pytest.raises(MisuseError, match=told):
        monitor(record=renamed.step(losses))


def test_the_figure_of_a_monitors_file(tmp_path: Path):
    out = tmp_path / "own.monitor.jsonl"
    record = stepped(MASAM, out=out)[0].close()
    figure = draw([load(out)], "dominance")
    dominated, *_, last = figure.axes
    first = record.history[0]["dominant"]
    lines: Any = {str(line.get_label()): line for line in dominated.lines}
    assert list(lines["ehr"].get_xdata()) == [1.0, 2.0, 3.0]
    assert lines["ehr"].get_ydata()[0] == pytest.approx(first.get("ehr", 0) / 4)
    assert last.get_xlabel() == "epoch"
    told = caption_of([load(out)], "dominance")
    assert told.startswith("Dominance over training. Steps dominated: share of the steps since the")
    mixed = caption_of([load(out), toy.run("masam")], "dominance")
    assert "share of the steps of an epoch and since the point before in which" in mixed
    assert draw([record]).axes  # what a monitor draws by itself is still the watch


def test_the_command_line_draws_it(tmp_path: Path):
    out, drawn = tmp_path / "own.monitor.jsonl", tmp_path / "dominance.pdf"
    stepped(MSAM, out=out)[0].close()
    cli(["figure", str(out), "--kind", "dominance", "--out", str(drawn)], standalone_mode=False)
    assert drawn.read_bytes().startswith(b"%PDF")
    page = str(tmp_path / "d.html")
    with pytest.raises(MisuseError, match="a page has no figure of kind 'dominance'"):
        cli(["figure", str(out), "--kind", "dominance", "--out", page], standalone_mode=False)


def test_steps_where_epochs_are_not_known():
    record = stepped(MASAM, when=3)[0].close()
    unknown = tuple({**entry, "epoch": None} for entry in record.history)
    steps = type(record).from_dict({**record.to_dict(), "history": unknown})
    figure = draw_dominance([steps])
    assert figure.axes[-1].get_xlabel() == "step"
    line: Any = figure.axes[0].lines[0]
    assert list(line.get_xdata()) == [3, 4, 6, 8, 9, 12]
    with pytest.raises(MisuseError, match="some runs know their epochs and others their steps"):
        draw_dominance([steps, record.tagged("b")])


def test_runs_that_make_no_figure():
    silent = stepped(MASAM, told=False)[0].close().tagged("mine")
    with pytest.raises(MisuseError, match="monitor of mine was told of no steps of msam or masam:"):
        draw_dominance([silent])
    history = [{"step": 4, "epoch": 1.0, "dominant": {"ehr": 3, "cxr": 1}}]
    seeds = [toy.monitor("masam", seed=seed, history=tuple(history)) for seed in (1, 2)]
    assert draw_dominance(seeds).axes
    apart = toy.monitor("masam", seed=2, history=({**history[0], "epoch": 0.7},))
    with pytest.raises(MisuseError, match="seeds of MASAM wrote of their steps at other places"):
        draw_dominance([seeds[0], apart])
