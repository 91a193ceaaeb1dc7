"""The book of a monitor: what it has found, and the places where it is written."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from sharpscope.errors import MisuseError
from sharpscope.monitor.measuring import Measuring
from sharpscope.monitor.signals import Event
from sharpscope.monitor.sinks import JSONLines, Sink
from sharpscope.results import MonitorRecord, check_writable
from sharpscope.results.monitor import (
    BEGIN,
    END,
    EVENT,
    FAILURE,
    MEASUREMENT,
    RESUME,
    STEPS,
    SUFFIX,
    in_file,
)

Line = dict[str, Any]


class Book:
    """Keeps the lines of a run and passes them on.

    Args:
        out: The file of JSON lines.
        sinks: Other places.
        resume: Whether to go on with the file; None decides by the first step.
        replace: Whether the first line replaces a file that is not gone on with.

    Attributes:
        going_on: Whether this run goes on with an earlier one.

    Raises:
        MisuseError: If ``out`` has another ending than ``.jsonl``, or cannot be written.
    """

    def __init__(
        self,
        out: str | Path | None,
        sinks: Sequence[Sink],
        *,
        resume: bool | None,
        replace: bool = False,
    ):
        self.out = None if out is None else Path(out)
        if self.out is not None:
            if self.out.suffix != SUFFIX:
                raise MisuseError(f"out must end in {SUFFIX}; got {self.out}")
            check_writable(self.out)
        self._sinks, self._resume, self._replace = list(sinks), resume, replace
        self._lines: list[Line] = []
        self.going_on = False

    def open(self, step: int, first: Line) -> tuple[float, float]:
        """Open the file, and return seconds of training and of measuring before.

        Args:
            step: That training begins with.
            first: The line that a file begins with.

        Raises:
            MisuseError: If the file is of another run, or of other encoders.
        """
        going_on = step > 0 if self._resume is None else self._resume
        before: list[Line] = []
        if self.out is not None:
            replacing = self._replace and not going_on
            file = JSONLines(self.out, going_on=going_on, replacing=replacing)
            before = file.before
            self._sinks.insert(0, file)
        if not before:
            self._add(first)
            return 0.0, 0.0
        if before[0]["modalities"] != first["modalities"]:
            raise MisuseError(
                f"{self.out} is of the encoders {', '.join(before[0]['modalities'])}, and this run "
                f"watches {', '.join(first['modalities'])}: name another file"
            )
        self.going_on, self._lines = True, before
        timed = [line for line in before if "seconds" in line and line["step"] <= step]
        spent = max((float(line.get("spent") or 0.0) for line in before), default=0.0)
        self.again(step)
        return float(timed[-1]["seconds"] or 0.0) if timed else 0.0, spent

    def again(self, step: int) -> None:
        """Write that training is taken up again after ``step``."""
        self._add({"kind": RESUME, "step": step})

    def measurement(self, entry: Mapping[str, Any]) -> None:
        """Write a measurement."""
        self._add({"kind": MEASUREMENT, **entry})

    def steps(self, entry: Mapping[str, Any]) -> None:
        """Write what the steps since the last time said of each modality."""
        self._add({"kind": STEPS, **entry})

    def event(self, event: Event) -> None:
        """Write an event."""
        self._add({"kind": EVENT, **asdict(event)})

    def failure(
        self, step: int, epoch: float | None, reason: str, spent: float, *, once: bool = False
    ) -> None:
        """Write why something failed, and warn of the first: it may be so to the end.

        Args:
            step: Steps of the optimizer so far.
            epoch: Epochs so far, where they are known.
            reason: What failed and why.
            spent: Seconds of measuring so far.
            once: Whether this will not be told again, and is warned of in any case.
        """
        known = any(line["kind"] == FAILURE for line in self._lines)
        line = {"kind": FAILURE, "step": step, "epoch": epoch, "reason": reason, "spent": spent}
        self._add(line)
        if once or not known:
            told = f"the monitor at step {step:,}: {reason}; training goes on"
            warnings.warn(told, stacklevel=2)

    def end(
        self,
        step: int,
        epoch: float | None,
        seconds: float,
        spent: float,
        *,
        ended: bool = True,
    ) -> MonitorRecord:
        """Write that training has ended, if it has, close all places and return the record."""
        line = {"kind": END, "step": step, "epoch": epoch, "seconds": seconds, "spent": spent}
        if self._lines and ended:
            self._add(line)
        for sink in self._sinks:
            try:
                sink.close()
            except Exception as error:
                self._lost(sink, error)
        return self.record()

    def record(self) -> MonitorRecord:
        """Return the record of the lines so far; an empty one where another process writes."""
        if not self._lines:
            return MonitorRecord(modalities=(), seconds=0.0)
        if self.out is None:
            return MonitorRecord.of_lines(self._lines)
        return in_file(self._lines, self.out)

    def _add(self, line: Line) -> None:
        self._lines.append(line)
        self._pass_on(line)

    def _pass_on(self, line: Line) -> None:
        """Write a line everywhere; a place that fails is given up, and training goes on."""
        for sink in list(self._sinks):
            try:
                sink.write(line)
            except Exception as error:
                self._sinks.remove(sink)
                self._lost(sink, error)

    @staticmethod
    def _lost(sink: Sink, error: Exception) -> None:
        where = getattr(sink, "path", None) or type(sink).__name__
        warnings.warn(
            f"the monitor writes no more to {where}: {type(error).__name__}: {error}", stacklevel=2
        )


def beginning(
    measuring: Measuring,
    settings: Mapping[str, Any],
    provenance: Mapping[str, Any],
    absent: Mapping[str, str],
) -> Line:
    """Return the first line of a file: what is measured, how and on what."""
    subject = measuring.subject
    of = subject.owners.of
    kinds = {p.dtype for name in measuring.modalities for p in of(name).values()}
    own = subject.dtype or next(iter(kinds))
    return {
        "kind": BEGIN,
        "schema": MonitorRecord.schema,
        "version": version("sharpscope"),
        "step": 0,
        "modalities": list(measuring.modalities),
        "parameters": {n: sum(p.numel() for p in of(n).values()) for n in measuring.modalities},
        "settings": {**settings, "measure": list(measuring.measure), "absent": dict(absent)},
        "provenance": {
            **subject.provenance,
            **provenance,
            "device": str(subject.device),
            "dtype": str(own).removeprefix("torch."),
            "batches": len(subject.batches),  # pyright: ignore[reportArgumentType]
            "versions": {name: version(name) for name in ("sharpscope", "torch")},
            "threads": torch.get_num_threads(),
        },
    }
