"""Where a monitor writes, and what is read back."""

import importlib
import io
import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sharpscope.errors import MisuseError, SubjectError
from sharpscope.monitor import CSV, Calling, FlatnessMonitor, LiveLine, TensorBoard
from sharpscope.monitor.sinks import JSONLines, Sink, flat
from sharpscope.results import MonitorRecord, load
from sharpscope.results.monitor import as_line, read_lines, read_monitor
from tests.monitor.nets import net, subject
from tests.results.makers import a_monitor

QUICK: dict[str, Any] = {"samples": 16, "products": 24, "rtol": 0.5}
RECORD = a_monitor()


def lines(record: MonitorRecord = RECORD) -> list[dict[str, Any]]:
    """Return the lines that a run of this record would have written."""
    head = {"kind": "begin", "schema": record.schema, "step": 0}
    own = {name: getattr(record, name) for name in ("modalities", "parameters", "settings")}
    found: list[dict[str, Any]] = [head | own | {"provenance": record.provenance}]
    found += [{"kind": "measurement", **entry} for entry in record.measurements]
    found += [{"kind": "event", **event} for event in record.events]
    found += [{"kind": "failure", **failure} for failure in record.failures]
    return [*found, {"kind": "end", "step": 300, "spent": 12.3}]


def written(sink: Sink) -> None:
    for line in lines():
        sink.write(line)
    sink.close()


def test_lines_come_back_as_the_record(tmp_path: Path):
    path = tmp_path / "run.monitor.jsonl"
    written(JSONLines(path))
    found = replace(RECORD, provenance={**RECORD.provenance, "file": str(path)})
    assert load(path) == found.tagged("run")
    assert read_monitor(path).ended


def test_a_torn_line_is_dropped_and_cut_off(tmp_path: Path):
    path = tmp_path / "run.jsonl"
    whole = b"".join(as_line(line) for line in lines()[:3])
    torn = as_line(lines()[3])
    for cut in (1, len(torn) // 2, len(torn) - 1):
        path.write_bytes(whole + torn[:cut])
        assert read_monitor(path).steps == [0, 100]
        assert not read_monitor(path).ended
        sink = JSONLines(path, going_on=True)
        assert path.read_bytes() == whole
        sink.write(lines()[3])
        assert read_monitor(path).steps == [0, 100, 200]


def test_a_file_is_replaced_by_the_first_line_and_not_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "run.jsonl"
    written(JSONLines(path))
    before = path.read_bytes()
    sink = JSONLines(path, replacing=True)
    assert sink.before == []
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", lambda *_: Path("/nowhere/at/all").stat())
        with pytest.raises(MisuseError, match=r"cannot write .*run\.jsonl: No such file"):
            sink.write(lines()[0])
    assert path.read_bytes() == before
    for line in lines()[:2]:
        sink.write(line)
    assert path.read_bytes() == b"".join(map(as_line, lines()[:2]))
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_replaced_only_by_a_run_that_begins(tmp_path: Path):
    out = tmp_path / "r.monitor.jsonl"
    FlatnessMonitor(subject(net()), ["lambda_max"], when=1, out=out, **QUICK).begin()
    before = out.read_bytes()
    how: dict[str, Any] = {"when": 1, "out": out, "replace": True, **QUICK}
    with pytest.raises(SubjectError, match="the data is empty"):
        FlatnessMonitor(subject(net(), data=[]), ["trace"], **how).begin()
    assert out.read_bytes() == before
    monitor = FlatnessMonitor(subject(net()), ["trace"], **how)
    monitor.begin()
    assert load(out) == monitor.record
    assert monitor.record.settings["measure"] == ("trace",)
    again = FlatnessMonitor(subject(net()), ["trace"], **how)
    again.begin(step=3)  # taken up again: gone on with, and not replaced
    again(4)
    assert again.record.steps == [0, 4]


def test_what_was_trained_again_is_left_out(tmp_path: Path):
    path = tmp_path / "run.jsonl"
    first = lines()
    again = [{"kind": "resume", "step": 150}, {**first[3], "loss": 0.25}]
    path.write_bytes(b"".join(map(as_line, [*first[:5], *again])))
    found = read_monitor(path)
    assert found.steps == [0, 100, 200]
    assert found.measurements[-1]["loss"] == 0.25


def test_files_that_are_none(tmp_path: Path):
    path = tmp_path / "run.jsonl"
    with pytest.raises(MisuseError, match=r"cannot be shown: cannot read .*run\.jsonl: No such"):
        load(path)
    path.write_text('{"kind": "begin"}\n{"no": 1}\n')
    with pytest.raises(MisuseError, match="is damaged: line 2 is not a JSON object with a kind"):
        load(path)
    head = as_line(lines()[0]).decode()
    for row, sentence in {
        '{"kind": "measurement", "step": 1}': "'measurement' and has no encoders that can be read",
        '{"kind": "measurement", "encoders": {}}': "'measurement' and has no step that can be read",
        '{"kind": "event", "step": 1, "signal": "x"}': "'event' and has no modality that can be",
        '{"kind": "failure", "step": null}': "'failure' and has no step that can be read",
        '{"kind": 3}': "not a JSON object with a kind",
    }.items():
        path.write_text(f"{head}{row}\n")
        with pytest.raises(MisuseError, match=f"is damaged: line 2 is .*{sentence}"):
            load(path)
    path.write_text('{"kind": "note"}\n')
    with pytest.raises(MisuseError, match="first line is not the beginning of a sharpscope/monit"):
        load(path)
    path.write_text("")
    with pytest.raises(MisuseError, match="cannot be shown: the first line is not the beginning"):
        load(path)
    with pytest.raises(MisuseError, match="it is a folder; name a file"):
        JSONLines(tmp_path)


KILLED = """
import sys
from sharpscope.monitor.sinks import JSONLines
from tests.monitor.test_sinks import lines
sink = JSONLines(sys.argv[1])
head, *rest = lines()
sink.write(head)
print("begun", flush=True)
while True:
    for line in rest:
        sink.write(line)
"""


def test_a_process_that_is_killed_leaves_a_file_that_can_be_read(tmp_path: Path):
    path = tmp_path / "run.jsonl"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(KILLED), str(path)],
        stdout=subprocess.PIPE,
        env=environment,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        while path.stat().st_size < 20_000:
            pass
        process.send_signal(signal.SIGKILL)
    assert len(read_monitor(path).measurements) >= 4
    JSONLines(path, going_on=True).write(lines()[1])
    assert read_lines(path)[-1]["step"] == 0


def test_one_place_needs_no_list(tmp_path: Path):
    heard: list[Any] = []
    for sinks in (str(tmp_path / "a.csv"), tmp_path / "b.csv", heard.append):
        FlatnessMonitor(subject(net()), ["lambda_max"], when=1, sinks=sinks, **QUICK).begin()
    FlatnessMonitor(
        subject(net()), ["lambda_max"], when=1, sinks=CSV(tmp_path / "c.csv"), **QUICK
    ).begin()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "b.csv", "c.csv"]
    assert len(heard) == 1


def test_any_function_is_given_numbers_and_the_step():
    heard: list[tuple[dict[str, float], int]] = []
    written(Calling(lambda numbers, step: heard.append((numbers, step))))
    assert [step for _, step in heard] == [0, 100, 200, 300, 300]
    assert heard[0][0]["sharpscope/ehr/trace"] == 8.0
    assert heard[0][0]["sharpscope/coupling/ehr+cxr"] == 0.0
    assert heard[-1][0] == {"sharpscope/event/sharpening/ehr": 1.0}
    assert all(isinstance(v, float) for numbers, _ in heard for v in numbers.values())
    bare = {"kind": "measurement", "step": 1, "loss": None, "encoders": {"a": {"trace": None}}}
    assert flat(bare) == {}


def test_a_function_is_called_as_it_can_be():
    heard: list[Any] = []

    def by_place(numbers: Any, global_step: int) -> None:
        heard.append(global_step)

    def by_name(numbers: Any, *, commit: bool = True, step: int | None = None) -> None:
        heard.append(step)

    def anything(*numbers: Any, **others: Any) -> None:
        heard.append((len(numbers), others))

    def log_dict(numbers: Any, prog_bar: bool = False) -> None:
        heard.append(prog_bar)

    for log in (by_place, by_name, anything, log_dict, heard.append):
        Calling(log).write(lines()[2])
    assert heard[:3] == [100, 100, (1, {"step": 100})]
    assert heard[3] is False
    assert heard[4]["sharpscope/ehr/trace"] == 4.0
    with pytest.raises(
        MisuseError, match=r"must take \(numbers, step\) or \(numbers\); got one of"
    ):
        Calling(lambda: None)


def test_tensorboard_has_the_scalars(tmp_path: Path):
    written(TensorBoard(tmp_path))
    reader = importlib.import_module("tensorboard.backend.event_processing.event_accumulator")
    found = reader.EventAccumulator(str(tmp_path))
    found.Reload()
    scalars = found.Scalars("sharpscope/ehr/trace")
    assert [(one.step, one.value) for one in scalars] == [
        (0, 8.0),
        (100, 4.0),
        (200, 2.0),
        (300, 5.0),
    ]
    assert "sharpscope/event/text_summary" in found.Tags()["tensors"]


def test_tensorboard_that_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(MisuseError, match="TensorBoard needs the package tensorboard: pip install"):
        TensorBoard(tmp_path)


def test_a_writer_of_somebody_elses_stays_open():
    class Writer:
        def __init__(self) -> None:
            self.scalars: list[tuple[str, float, int]] = []
            self.closed = False

        def add_scalar(self, name: str, value: float, step: int) -> None:
            self.scalars.append((name, value, step))

        def add_text(self, name: str, text: str, step: int) -> None: ...

        def flush(self) -> None: ...

        def close(self) -> None:
            self.closed = True

    writer = Writer()
    written(TensorBoard(writer))
    assert ("sharpscope/cxr/lambda_max", 1.0, 0) in writer.scalars
    assert not writer.closed


@pytest.mark.parametrize("terminal", [True, False])
def test_a_live_line(terminal: bool):
    from rich.console import Console

    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=120, color_system=None)
    written(LiveLine(console))
    text = out.getvalue()
    assert "step 300 · ehr tr 5.00 ± 0.10 λ 2.5 γ 0.50 · cxr tr 2.20 ± 0.10 λ 0.7 γ 0.50" in text
    assert "step 300: ehr sharpens after it had flattened" in text
    assert "step 150: SubjectError: the loss is not finite" in text
