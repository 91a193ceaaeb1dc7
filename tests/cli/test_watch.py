"""``sharpscope watch``: a file that grows, is torn, resumed, not there; and what is printed."""

import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sharpscope.results.monitor import as_line
from tests.cli.support import done, failed, read_json, run
from tests.results.makers import a_monitor

FILE = Path("late.monitor.jsonl")
RECORD = a_monitor()
BEGIN: dict[str, Any] = {
    "kind": "begin",
    "step": 0,
    "schema": "sharpscope/monitor",
    "modalities": ["ehr", "cxr"],
    "settings": RECORD.settings,
    "provenance": RECORD.provenance,
}
MEASURED = [{"kind": "measurement", **entry} for entry in RECORD.measurements]
EVENT, FAILURE = {"kind": "event", **RECORD.events[0]}, {"kind": "failure", **RECORD.failures[0]}
END = {"kind": "end", "step": 300}


def write(*rows: dict[str, Any], torn: bytes = b"") -> None:
    FILE.write_bytes(b"".join(map(as_line, rows)) + torn)


def add(content: bytes) -> None:
    with FILE.open("ab") as file:
        file.write(content)


def words(*arguments: str | Path) -> str:
    return " ".join(done("watch", *arguments).split())


@pytest.fixture
def child() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes that a test starts; they end with it."""
    found: list[subprocess.Popen[bytes]] = []
    yield found
    for process in found:
        process.kill()
        process.communicate()


def start(*arguments: str, where: int | None = None) -> subprocess.Popen[bytes]:
    out = subprocess.PIPE if where is None else where
    command = [sys.executable, "-m", "sharpscope_cli", "watch", *arguments]
    return subprocess.Popen(command, stdout=out, stderr=out)


def until(true: Any, seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.05)


def test_one_look_at_a_run_that_goes_on() -> None:
    write(BEGIN, *MEASURED, EVENT, FAILURE)
    told = words(FILE, "--once")
    assert told.startswith(
        "late: step 300, epoch 3, loss 0.25 on 64 samples, 4 measurements, not ended"
    )
    assert "ehr 5.00 ± 0.10 2.5 2 0.500 ± 0.050 69.4 ± 1.0 % 20" in told
    assert "cxr 2.20 ± 0.10 0.7 2 0.500 ± 0.050 30.6 ± 1.0 % 20" in told
    assert "Measuring took 12.3 s, 4.1 % of the 300 s of training so far." in told
    assert "1 event: step 300: ehr sharpens after it had flattened" in told
    assert "1 failure: step 150: SubjectError: the loss is not finite" in told
    assert "± is one standard error" in told
    assert all(len(line) <= 80 for line in done("watch", FILE, "--once").splitlines())
    assert "± is one" not in words(FILE, "--once", "--quiet")


def test_the_checkpoint_beside_it_need_not_be_there() -> None:
    write(BEGIN, *MEASURED, END)
    told = words("late.pt")  # ends by itself
    assert "4 measurements, ended" in told


def test_columns_that_hold_nothing_are_left_out_and_only_the_last_events_listed() -> None:
    entry = {
        "kind": "measurement",
        "step": 0,
        "encoders": {"ehr": {"trace": 2.0}, "cxr": {"trace": None, "share": 0.5}},
    }
    events = [{**EVENT, "step": step, "text": f"event {step}"} for step in range(7)]
    write(BEGIN, entry, *events)
    told = words(FILE, "--once", "--quiet")
    assert "late: step 0, 1 measurement, not ended encoder trace ± error share ehr 2 – " in told
    assert "cxr – 50 %" in told
    assert "7 events, the last 5: step 2: event 2 " in told
    assert "Measuring took 0.0 s." in told


def test_measuring_that_took_longer_than_the_training_is_so_many_times_as_long() -> None:
    write(BEGIN, {**MEASURED[3], "seconds": 2.0})
    assert "Measuring took 12.3 s, 6.2 times the 2 s of training so far." in words(FILE, "--once")


def test_the_record_as_json() -> None:
    write(BEGIN, *MEASURED, torn=b'{"kind": "measurem')
    found = read_json("watch", FILE, "--once")
    assert found["schema"] == "sharpscope/monitor"
    assert [entry["step"] for entry in found["measurements"]] == [0, 100, 200, 300]
    assert found["ended"] is False


def test_what_was_trained_again_is_left_out() -> None:
    again = {**MEASURED[2], "loss": 0.125}
    write(BEGIN, *MEASURED, {"kind": "resume", "step": 100}, again)
    found = read_json("watch", FILE, "--once")
    assert [entry["step"] for entry in found["measurements"]] == [0, 100, 200]
    assert found["measurements"][-1]["loss"] == 0.125


@pytest.mark.parametrize("torn", [b"", b'{"kind": "beg'])
def test_nothing_is_measured_yet(torn: bytes) -> None:
    FILE.write_bytes(torn)
    assert (
        done("watch", FILE, "--once", "--out", "x.png") == "late: no measurement yet, not ended\n"
    )
    write(BEGIN, FAILURE)
    told = words(FILE, "--once")
    assert told.startswith("late: no measurement yet, not ended 1 failure: step 150")
    assert not Path("x.png").exists()


@pytest.mark.parametrize("suffix", ["png", "pdf", "svg", "html"])
def test_a_figure_of_what_there_is(suffix: str) -> None:
    write(BEGIN, *MEASURED)
    assert words(FILE, "--once", "--out", f"x.{suffix}").endswith(f"Drew x.{suffix}")
    assert Path(f"x.{suffix}").stat().st_size > 1000
    assert done("watch", FILE, "--once", "--out", "x.png", "--json").startswith("{")


def test_it_follows_a_file_that_grows_and_ends_with_the_run() -> None:
    FILE.write_bytes(b"")
    drawn: list[bytes] = []

    def grow() -> None:
        whole = b"".join(map(as_line, (BEGIN, *MEASURED[:2])))
        for start in range(0, len(whole), 400):  # torn at any place
            add(whole[start : start + 400])
            time.sleep(0.03)
        until(Path("x.svg").exists)
        drawn.append(Path("x.svg").read_bytes())
        add(b"".join(map(as_line, (*MEASURED[2:], END))))

    thread = threading.Thread(target=grow)
    thread.start()
    result = run("watch", FILE, "--every", "0.05", "--out", "x.svg")
    thread.join()
    assert result.exit_code == 0
    assert result.stderr == f"{FILE} has no measurement yet; waiting for the first\n"
    assert "step 300, epoch 3, loss 0.25 on 64 samples, 4 measurements, ended" in " ".join(
        result.stdout.split()
    )
    assert b"</svg>" in drawn[0]  # whole while it was drawn again
    assert drawn[0] != Path("x.svg").read_bytes()


def test_a_terminal_shows_a_table_that_changes(child: list[subprocess.Popen[bytes]]) -> None:
    write(BEGIN)
    ours, theirs = pty.openpty()
    child.append(start(str(FILE), "--every", "0.05", where=theirs))
    os.close(theirs)
    seen = b""
    for sign, more in (
        (b"no measurement yet; waiting for the first", MEASURED[:1]),
        (b"step 0, epoch 0", [*MEASURED[1:], EVENT]),
        (b"ehr sharpens after it had flattened", [END]),
        (b"4 measurements, ended", []),
    ):
        while sign not in seen:
            seen += os.read(ours, 65536)
        add(b"".join(map(as_line, more)))
    assert b"Ctrl-C ends watching; the training goes on." in seen
    assert child[0].wait(timeout=30) == 0


def test_an_interrupt_ends_the_watching_alone(child: list[subprocess.Popen[bytes]]) -> None:
    write(BEGIN)
    child.append(start(str(FILE), "--every", "30"))
    assert child[0].stderr is not None
    assert b"waiting for the first" in child[0].stderr.readline()
    child[0].send_signal(signal.SIGINT)
    assert child[0].wait(timeout=30) == 130
    assert child[0].stderr.read().strip() == b"Interrupted. The training goes on."


def test_a_figure_that_cannot_be_drawn_is_told_at_the_end() -> None:
    bare = {**MEASURED[0], "encoders": {"ehr": {"trace": None}}, "coupling": {}}
    write(BEGIN, bare, END)
    result = run("watch", FILE, "--out", "x.png")
    assert result.exit_code == 2
    assert "late has no measurement yet" in result.stderr
    assert "1 measurement, ended" in result.stdout


def test_misuse_is_one_sentence() -> None:
    write(BEGIN, *MEASURED)
    Path("bad.monitor.jsonl").write_text("1\n")
    Path("other.jsonl").write_text(json.dumps({"kind": "begin", "schema": "theirs"}) + "\n")
    Path("x.json").write_text("{}")
    Path("step.jsonl").write_bytes(as_line(BEGIN) + as_line({"kind": "end", "step": "x"}))
    Path("qqqqqqqqqqqqqqqq.jsonl").symlink_to("nowhere.jsonl")
    Path("empty").mkdir()
    for arguments, sentence in {
        ("lat.pt",): "no monitor writes beside lat.pt: lat.monitor.jsonl, which sharpscope train "
        "--monitor writes, is not there; did you mean 'late.monitor.jsonl'?",
        ("lade.monitor.jsonl",): "no such file: lade.monitor.jsonl; did you mean 'late.mon",
        ("nowhere/x.jsonl",): "no such file: nowhere/x.jsonl",
        (".",): ". is a folder: name one run of 2, such as bad.monitor.jsonl",
        ("empty",): "empty is a folder: name one run",
        ("x.json",): "x.json is neither a .monitor.jsonl file nor a checkpoint (.pt, .pth)",
        ("bad.monitor.jsonl",): "bad.monitor.jsonl is no file of a monitor: line 1 is not a JSON o",
        ("step.jsonl",): "step.jsonl is damaged: line 2 is of kind 'end' and has no step that can",
        ("qqqqqqqqqqqqqqqq.jsonl",): "Error: no such file: qqqqqqqqqqqqqqqq.jsonl\n",
        ("other.jsonl",): "other.jsonl cannot be shown: the first line is not the beginning",
        (FILE, "--out", "x.gif"): "a figure's file must end in '.pdf', '.svg', '.png' or '.html'",
        (FILE, "--out", "x.vtr"): ".vtr holds the grid of one landscape",
        (FILE, "--out", "x.json/x.png"): "cannot write x.json/x.png",
        (FILE, "--every", "0"): "--every must be a",
    }.items():
        assert sentence in failed("watch", *arguments, code=2), arguments


def test_a_file_that_goes_away_is_told() -> None:
    write(BEGIN)
    threading.Timer(0.5, FILE.unlink).start()
    result = run("watch", FILE, "--every", "0.05")
    assert result.exit_code == 2
    assert f"cannot read {FILE}: No such file or directory" in result.stderr
