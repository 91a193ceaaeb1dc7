"""Ctrl-C at any moment: the model comes back, the subject stays good, the handler stays the user's.

A real SIGINT is raised at every line of the code that holds a model still, one run per line.
"""

import signal
import sys
import threading
from collections.abc import Generator
from types import FrameType
from typing import Any

import pytest
import torch

from sharpscope.subject import Subject, still, subject
from tests.subject.restless import measure, restless, subject_over
from tests.subject.snapshot import photograph, same

FILES = (still.__file__, subject.__file__)


@pytest.fixture(autouse=True)
def handlers() -> Generator[None]:
    # A shell that starts a job in the background makes it ignore SIGINT.
    outside = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    after = signal.signal(signal.SIGINT, outside)
    assert after is signal.default_int_handler


class _Raiser:
    """A trace function that raises SIGINT at the n-th line of the files watched."""

    def __init__(self, line: int):
        self.left = line
        self.lines: list[str] = []

    def __call__(self, frame: FrameType, event: str, argument: Any) -> Any:
        if frame.f_code.co_filename not in FILES:
            return None
        if event == "line":
            self.lines.append(f"{frame.f_code.co_name}:{frame.f_lineno}")
            if self.left == 0:
                signal.raise_signal(signal.SIGINT)
            self.left -= 1
        return self


def _blocks(measured: Subject, line: int) -> _Raiser:
    """Hold the subject still once, for two nested blocks, with a Ctrl-C at the n-th line."""
    raiser = _Raiser(line)
    sys.settrace(raiser)
    try:
        with measured.studying(measured.select("a")), measured.still():
            torch.rand(1)
    finally:
        sys.settrace(None)
    return raiser


def test_ctrl_c_at_every_line_gives_the_model_back():
    model = restless()
    measured = subject_over(model, dtype="float64")
    before = photograph(model)
    lines = _blocks(measured, -1).lines
    # The loops repeat their lines: the first and the last time of each will do.
    firsts = {line: place for place, line in reversed(list(enumerate(lines)))}
    lasts = {line: place for place, line in enumerate(lines)}
    moments = sorted({*firsts.values(), *lasts.values()})
    assert len(moments) > 80
    came = 0
    for line in moments:
        try:
            _blocks(measured, line)
        except KeyboardInterrupt:
            came += 1
        same(model, before)
        with measured.still():  # not believed to be held already
            assert next(model.parameters()).dtype == torch.float64
    assert came == len(moments)


def test_ctrl_c_while_the_model_is_given_back_waits_until_it_is_whole(
    monkeypatch: pytest.MonkeyPatch,
):
    model = restless()
    before = photograph(model)
    original = still._restore_random_state

    def interrupted(state: Any) -> None:
        signal.raise_signal(signal.SIGINT)
        original(state)

    monkeypatch.setattr(still, "_restore_random_state", interrupted)
    with pytest.raises(KeyboardInterrupt):
        measure(subject_over(model))
    same(model, before)


@pytest.mark.parametrize("ignored", [False, True])
def test_the_handler_of_the_user_hears_a_ctrl_c_that_waited(
    monkeypatch: pytest.MonkeyPatch, ignored: bool
):
    heard: list[int] = []
    handler: Any = signal.SIG_IGN if ignored else lambda number, _: heard.append(number)
    original = still._restore_random_state
    monkeypatch.setattr(
        still,
        "_restore_random_state",
        lambda state: (signal.raise_signal(signal.SIGINT), original(state)),
    )
    before = signal.signal(signal.SIGINT, handler)
    try:
        assert measure(subject_over(restless())).abs().max() > 0
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert heard == ([] if ignored else [signal.SIGINT])


def test_another_thread_measures_without_touching_signals():
    model = restless()
    before = photograph(model)
    found: list[torch.Tensor] = []
    thread = threading.Thread(target=lambda: found.append(measure(subject_over(model))))
    thread.start()
    thread.join()
    assert torch.equal(found[0], measure(subject_over(model)))
    same(model, before)
