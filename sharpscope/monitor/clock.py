"""The time of a training run, what measuring takes of it counted apart."""

import time
from collections.abc import Generator
from contextlib import contextmanager

import torch


class Clock:
    """Tells seconds of training and of measuring.

    Args:
        device: What works; a GPU is waited for, so that its time is counted where it belongs.
        seconds: Seconds of training before it was taken up again.
        spent: Seconds of measuring before that.
    """

    def __init__(self, device: torch.device, seconds: float = 0.0, spent: float = 0.0):
        self._device, self._before = device, seconds
        self.spent = spent
        self._here = 0.0
        self._began: float | None = time.perf_counter()  # None where it stands

    @property
    def seconds(self) -> float:
        """Seconds of training so far, those of measuring left out."""
        if self._began is None:
            return self._before
        return self._before + time.perf_counter() - self._began - self._here

    def stop(self) -> None:
        """Stand still: no training is under way."""
        self._before, self._began = self.seconds, None

    def start(self) -> None:
        """Go on after a stop; a clock that goes stays as it is."""
        if self._began is None:
            self._began, self._here = time.perf_counter(), 0.0

    @contextmanager
    def apart(self) -> Generator[None]:
        """Count the seconds of the block as measuring, also where it raises."""
        began = now(self._device)
        try:
            yield
            now(self._device)  # waits
        finally:
            took = time.perf_counter() - began
            self.spent += took
            self._here += took


def now(device: torch.device) -> float:
    """Return the time in seconds, once a device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
