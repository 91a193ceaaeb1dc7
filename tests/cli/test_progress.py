"""Progress: a live line on a terminal, nothing anywhere else."""

import os
import pty
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sharpscope_cli.measuring import tags
from sharpscope_cli.progress import Line, Watch, duration
from sharpscope_cli.training import EpochWatch

from sharpscope.estimators import Progress
from sharpscope.training import Epoch
from tests.cli.support import run


def on_a_terminal(*arguments: str) -> tuple[str, str]:
    """Run ``sharpscope`` with stderr on a pseudo-terminal; return stdout and what it showed."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "sharpscope_cli", *arguments],
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:  # Linux says so at the end of a terminal
            break
        if not piece:
            break
        shown += piece
    os.close(ours)
    stdout, _ = process.communicate()
    assert process.returncode == 0, shown.decode()
    return stdout, shown.decode()


def test_terminal_sees_products_and_the_time_left(ours: Path) -> None:
    stdout, shown = on_a_terminal("trace", str(ours), "--samples", "32", "--modality", "mor")
    lines = shown.split("\r\x1b[2K")
    assert "mor: checking that the model stands still" in lines
    counted = [line for line in lines if " products" in line]
    assert counted[0].startswith("mor: 2 of about ")
    assert all(line.endswith(" left") for line in counted)
    assert lines[-1] == ""  # nothing is left on the terminal
    assert "±" in counted[-1]
    assert "\x1b" not in stdout
    assert "products" not in stdout.partition("cost")[0]


def test_quiet_terminal_sees_nothing(ours: Path) -> None:
    arguments = ("--samples", "32", "--modality", "mor", "--quiet", "--json")
    stdout, shown = on_a_terminal("eigen", str(ours), *arguments)
    assert shown == ""
    assert stdout.startswith("{")


def test_training_shows_epochs(own_folder: Path) -> None:
    _, shown = on_a_terminal("train", "mfeat:mor", "--epochs", "2", "--out", "x.pt")
    assert "mfeat:mor: epoch 1 of 2, loss " in shown
    assert " left" in shown


def test_no_terminal_no_progress(ours: Path) -> None:
    assert run("trace", ours, "--samples", "16", "--modality", "mor").stderr == ""


class Shown(Line):
    """Keeps what would be shown."""

    def __init__(self):
        super().__init__()
        self.texts: list[str] = []

    def show(self, text: str) -> None:
        self.texts.append(text)


def test_a_forecast_and_a_bound() -> None:
    line = Shown()
    progress = Progress(
        products=4, expected=50, seconds=2.0, seconds_left=41.3, value=925.6, standard_error=8.7
    )
    Watch(line, "cxr")(progress)
    assert line.texts[-1] == "cxr: 4 of about 50 products, 925.6 ± 8.7, about 40 s left"
    Watch(line, "cxr", bound=True)(
        Progress(products=1, expected=2000, seconds=2.0, seconds_left=None)
    )
    assert line.texts[-1] == "cxr: 1 of at most 2000 products"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "1 s"),
        (7.4, "7 s"),
        (41.3, "40 s"),
        (89, "90 s"),
        (200, "3 min"),
        (8000, "2 h 13 min"),
    ],
)
def test_durations_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_tags_are_unique() -> None:
    paths = [Path("a/last.pt"), Path("b/last.pt"), Path("b/best.pt"), Path("b/last.pt")]
    assert tags(paths) == ["a-last", "b-last", "best", "b-last-2"]


def test_the_time_left_of_training_is_that_of_measuring_too() -> None:
    shown: list[str] = []
    line: Any = SimpleNamespace(show=shown.append)
    watch = EpochWatch(line, "emoji")
    watch(Epoch(epoch=1, epochs=3, loss=0.5, seconds=100.0))
    watch.tell("step 9", 500.0)
    watch(Epoch(epoch=2, epochs=3, loss=0.5, seconds=200.0))
    assert shown[1] == "emoji: epoch 1 of 3, loss 0.5, about 3 min left"
    assert shown[-1] == "emoji: epoch 2 of 3, loss 0.5, about 6 min left · step 9"
