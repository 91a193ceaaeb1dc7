"""Two processes train together and one of them fails: the file is whole, and is gone on with.

Whoever measures alone waits for nobody.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from sharpscope.results.monitor import read_monitor
from tests.monitor.failing import train

ROOT = Path(__file__).parents[2]
ENVIRONMENT = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'cli'}", "OMP_NUM_THREADS": "1"}


def together(folder: Path, what: str) -> list[tuple[int, str]]:
    """Return exit code and last words of two processes that nobody watches over."""
    command = [sys.executable, "-m", "tests.monitor.failing", str(folder), what]
    started = [
        subprocess.Popen(
            command,
            cwd=ROOT,
            env=ENVIRONMENT | {"RANK": rank, "WORLD_SIZE": "2"},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in "01"
    ]
    try:
        said = [process.communicate(timeout=120)[1] for process in started]
    finally:
        for process in started:
            process.kill()
    return [(process.returncode, words) for process, words in zip(started, said, strict=True)]


def kinds(path: Path) -> list[str]:
    return [json.loads(line)["kind"] for line in path.read_text().splitlines()]


def check_whole(path: Path) -> None:
    """Check that a run which failed and was taken up after step 5 has one file of all steps."""
    record = read_monitor(path)
    assert record.steps == [0, 5, 10, 15, 20]
    assert record.ended
    assert not record.failures
    found = kinds(path)
    assert [found.count(kind) for kind in ("begin", "resume", "end")] == [1, 1, 1]


def test_a_run_of_which_one_rank_raised_goes_on_under_torchrun(tmp_path: Path):
    # Started again by hand: where torchrun restarts at once, gloo may meet ports of before.
    command = "-m torch.distributed.run --standalone --nproc-per-node 2 -m tests.monitor.failing"
    first, again = (
        subprocess.run(
            [sys.executable, *command.split(), str(tmp_path), "raises"],
            cwd=ROOT,
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        for _ in range(2)
    )
    assert first.returncode == 1
    assert "RuntimeError: this rank has failed" in first.stderr
    assert again.returncode == 0, again.stderr
    left = read_monitor(tmp_path / "before.jsonl")  # what the first one found, ended by torchrun
    assert (left.steps, left.ended) == ([0, 5], False)
    check_whole(tmp_path / "run.jsonl")


def test_the_first_rank_ends_by_an_error_after_the_other_was_killed(tmp_path: Path):
    (code, words), (other, _) = together(tmp_path, "is killed")
    assert other == -signal.SIGKILL
    assert code == 1
    assert "RuntimeError" in words.splitlines()[-1], words  # of the collective
    left = read_monitor(tmp_path / "run.jsonl")
    assert (left.steps, left.ended, left.failures) == ([0, 5], False, ())
    train(tmp_path, "goes on", 0, lambda net: net)
    check_whole(tmp_path / "run.jsonl")


def test_the_first_rank_is_killed_in_the_middle_of_a_line(tmp_path: Path):
    (code, _), (other, words) = together(tmp_path, "dies in a line")
    assert code == -signal.SIGKILL
    assert other == 1, words
    out = tmp_path / "run.jsonl"
    assert not out.read_bytes().endswith(b"\n")
    left = read_monitor(out)
    assert (left.steps, left.ended) == ([0, 5], False)
    train(tmp_path, "goes on", 0, lambda net: net)
    check_whole(out)


def test_the_second_rank_may_end_before_the_last_measurement(tmp_path: Path):
    assert [code for code, _ in together(tmp_path, "ends first")] == [0, 0]
    record = read_monitor(tmp_path / "run.jsonl")
    assert record.steps == [0, 5, 10, 15, 20]
    assert record.ended
    assert kinds(tmp_path / "run.jsonl").count("begin") == 1
    (tmp_path / "alone").mkdir()
    train(tmp_path / "alone", "trains alone", 0, lambda net: net)
    alone = read_monitor(tmp_path / "alone" / "run.jsonl")
    for name in record.modalities:  # of the same weights
        assert record.course(name, "trace")[0] == alone.course(name, "trace")[0]


def test_a_loss_that_waits_for_the_other_rank_is_refused_and_training_goes_on(tmp_path: Path):
    assert [code for code, _ in together(tmp_path, "gathers")] == [0, 0]
    record = read_monitor(tmp_path / "run.jsonl")
    assert (record.steps, record.ended) == ([], True)
    assert [failure["step"] for failure in record.failures] == [0, 5, 10, 15, 20]
    sentence = "the loss communicates with other processes (allgather), and the monitor measures in"
    assert all(sentence in failure["reason"] for failure in record.failures)
