"""What was measured while a model trained: a file that grows by lines, and the record of it."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Self

from sharpscope.errors import MisuseError
from sharpscope.results.base import Record, plain
from sharpscope.results.run import by_modality

SUFFIX = ".jsonl"
BESIDE = ".monitor.jsonl"  # of OUT.pt: OUT.monitor.jsonl
# The kinds of lines in the file, each with the step it is of.
BEGIN, MEASUREMENT, STEPS, EVENT, FAILURE, RESUME, END = (
    "begin",
    "measurement",
    "steps",
    "event",
    "failure",
    "resume",
    "end",
)
Line = Mapping[str, Any]
_STEP = {"step": (int, float)}
# What readers count on in each line, as JSON has it.
_NEEDED: dict[str, dict[str, Any]] = {
    MEASUREMENT: {**_STEP, "encoders": dict},
    EVENT: {**_STEP, "signal": str, "modality": str},
    **dict.fromkeys((FAILURE, RESUME, END), _STEP),
}


@dataclass(frozen=True, kw_only=True, repr=False)
class MonitorRecord(Record):
    """Flatness over a training run.

    Attributes:
        modalities: The encoders that were watched, in the model's order.
        parameters: Scalar parameters of each.
        settings: Of the monitor.
        provenance: Device, dtype and versions; the recipe, where the run has one; the ``file``
            that it was read from.
        measurements: One entry each: ``step``, ``epoch`` (with the share of it that is done; None
            where nobody told), ``loss`` on the measuring batches, ``seconds`` of training so far,
            ``spent`` seconds of measuring so far, ``products``, ``encoders`` and ``coupling``.
            Of each encoder: ``trace``, ``standard_error``, ``interval``, ``share`` (of the sum of
            all traces), ``share_error``, ``per_parameter``, ``per_gradient_norm``,
            ``times_squared_norm``, ``lambda_max``, ``residual``, ``threshold`` (of stability; None
            where there is none), ``trained_loss`` (which the threshold is of; None where nobody
            told), ``trained_lambda_max`` and ``trained_residual`` (where that loss is not the
            fusion loss), ``alignment`` γ, ``gradient_norm``, ``outcome`` and what it cost.
            Of each pair: ``share`` 2‖H_ab‖²/‖H_SS‖² and ``error``.
        history: What the steps of M-SAM or MASAM said, an entry for each stretch of them: ``step``
            and ``epoch`` at its end, how many ``steps``, and as in the history of a run
            ``dominant``, ``alignment``, ``shares`` and ``scores``.
        events: ``step``, ``signal``, ``modality``, ``value``, ``limit`` and ``text``.
        failures: ``step`` and ``reason`` of each measurement that failed, and of the first failure
            of a signal or a schedule.
        ended: Whether the run came to its end.
        seconds: Of measuring in all.
    """

    schema: ClassVar[str] = "sharpscope/monitor"

    modalities: tuple[str, ...]
    parameters: Mapping[str, int] = field(default_factory=dict[str, int])
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    provenance: Mapping[str, Any] = field(default_factory=dict[str, Any])
    measurements: tuple[Mapping[str, Any], ...] = ()
    history: tuple[Mapping[str, Any], ...] = ()
    events: tuple[Mapping[str, Any], ...] = ()
    failures: tuple[Mapping[str, Any], ...] = ()
    ended: bool = False
    seconds: float

    def course(self, modality: str, what: str) -> list[float | None]:
        """Return a number of an encoder at each measurement; None where it was not measured."""
        return [entry["encoders"].get(modality, {}).get(what) for entry in self.measurements]

    def said(self, what: str) -> dict[str, list[float | None]]:
        """Return what steps said of each modality; None where a stretch of them said none of it.

        Args:
            what: ``dominant``, ``alignment``, ``shares`` or ``scores``.
        """
        return by_modality(self.history, self.modalities, what)

    def pair(self, names: str, what: str = "share") -> list[float | None]:
        """Return a number of a pair such as ``cxr+ehr`` at each measurement."""
        return [entry.get("coupling", {}).get(names, {}).get(what) for entry in self.measurements]

    @property
    def steps(self) -> list[int]:
        """The step of each measurement."""
        return [entry["step"] for entry in self.measurements]

    @property
    def epochs(self) -> list[float] | None:
        """The epoch of each measurement; None where one is not known."""
        found = [entry.get("epoch") for entry in self.measurements]
        return None if None in found else [float(epoch or 0) for epoch in found]

    @classmethod
    def of_lines(cls, lines: Iterable[Line], *, tag: str | None = None) -> Self:
        """Return the record of a file's lines.

        What a run wrote after the step at which it was taken up again is left out: it was
        trained once more.

        Raises:
            MisuseError: If the first line is not the beginning of such a file.
        """
        rows = list(lines)
        if not rows or rows[0].get("kind") != BEGIN or rows[0].get("schema") != cls.schema:
            raise MisuseError(f"the first line is not the beginning of a {cls.schema} file")
        head, kept = rows[0], _once(rows)
        of = {kind: tuple(_bare(row) for row in kept if row["kind"] == kind) for kind in _LISTED}
        return cls.from_dict(
            {
                **{name: head.get(name, {}) for name in ("parameters", "settings", "provenance")},
                "modalities": head.get("modalities", ()),
                "measurements": list(of[MEASUREMENT]),
                "history": list(of[STEPS]),
                "events": list(of[EVENT]),
                "failures": list(of[FAILURE]),
                "ended": kept[-1]["kind"] == END,
                "seconds": max((float(row.get("spent") or 0.0) for row in kept), default=0.0),
                "tag": tag,
            }
        )

    def __repr__(self) -> str:
        last = f", step {self.steps[-1]:,}" if self.measurements else ""
        count = len(self.measurements)
        failed = f"{len(self.failures)} failed, " if self.failures else ""
        return (
            f"MonitorRecord({', '.join(self.modalities)}: {count} "
            f"measurement{'' if count == 1 else 's'}{last}, {failed}{len(self.events)} events, "
            f"{self.seconds:.1f} s)"
        )


_LISTED = (MEASUREMENT, STEPS, EVENT, FAILURE)


def _bare(row: Line) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != "kind"}


def _once(rows: Sequence[Line]) -> list[Line]:
    """Return the lines without those of steps that were trained again."""
    kept: list[Line] = []
    for row in rows:
        if row["kind"] == RESUME:
            kept = [old for old in kept if old["kind"] == BEGIN or old["step"] <= row["step"]]
        kept.append(row)
    return kept


def read_lines(path: str | Path) -> list[dict[str, Any]]:
    """Return the lines of a file that grows; a torn last one, of a process killed, is left out.

    Raises:
        MisuseError: If the file cannot be read, or a line is not one that a monitor writes.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise MisuseError(f"cannot read {path}: {error.strerror}") from error
    *whole, _ = content.split(b"\n")  # what follows the last newline is not whole
    found: list[dict[str, Any]] = []
    for number, line in enumerate(whole, start=1):
        try:
            row: Any = json.loads(line)
        except ValueError:
            row = None
        if wrong := _wrong(row):
            what = "is damaged" if found else "is no file of a monitor"
            raise MisuseError(f"{path} {what}: line {number} is {wrong}")
        found.append(row)
    return found


def _wrong(row: Any) -> str:
    """Return what a line is instead of one of the file; nothing where it is one."""
    if not isinstance(row, dict) or not isinstance(row.get("kind"), str):
        return "not a JSON object with a kind"
    for name, kind in _NEEDED.get(row["kind"], {}).items():
        if not isinstance(row.get(name), kind):
            return f"of kind {row['kind']!r} and has no {name} that can be read"
    return ""


def as_line(row: Line) -> bytes:
    """Return one line of the file; what is not finite is null."""
    return (json.dumps(plain(row), ensure_ascii=False) + "\n").encode()


def read_monitor(path: str | Path) -> MonitorRecord:
    """Read the file that a monitor writes, also while it grows.

    Raises:
        MisuseError: If it cannot be read or is none.
    """
    path = Path(path)
    try:
        return in_file(read_lines(path), path)
    except MisuseError as error:
        raise MisuseError(f"{path} cannot be shown: {error}") from error


def in_file(lines: Iterable[Line], path: Path) -> MonitorRecord:
    """Return the record of a file's lines, tagged with its name.

    Raises:
        MisuseError: If the first line is not the beginning of such a file.
    """
    name = path.name.removesuffix(SUFFIX).removesuffix(".monitor")
    found = MonitorRecord.of_lines(lines, tag=name)
    # By which figures know that the tag is the file's name, so that seeds of a method are one line.
    return replace(found, provenance={**found.provenance, "file": str(path)})
