"""Where a monitor writes: lines of JSON, CSV, TensorBoard, or any function of yours."""

import csv
import inspect
import io
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sharpscope.errors import MisuseError
from sharpscope.lazy import imported
from sharpscope.results.files import check_writable, write_whole
from sharpscope.results.monitor import BEGIN, EVENT, FAILURE, MEASUREMENT, as_line, read_lines

Line = Mapping[str, Any]
# Numbers of each encoder that go into columns and scalars.
NUMBERS = (
    "trace",
    "standard_error",
    "share",
    "per_parameter",
    "lambda_max",
    "residual",
    "trained_lambda_max",
    "threshold",
    "alignment",
    "gradient_norm",
    "products",
)


class Sink(ABC):
    """Somewhere to write to."""

    @abstractmethod
    def write(self, line: Line) -> None:
        """Take one line: a beginning, a measurement, an event, a failure or an end."""

    def close(self) -> None:  # noqa: B027 (most have nothing left to write)
        """Write what is left."""


class JSONLines(Sink):
    """A file to which lines are only ever added, each in one write.

    A process that is killed leaves at most one line that is not whole, which readers leave out and
    which is cut off when the file is gone on with.

    Args:
        path: The file.
        going_on: Whether it goes on with a file that is there.
        replacing: Whether the first line takes the place of a file that is there.

    Attributes:
        before: The lines that were there and are gone on with.

    Raises:
        MisuseError: If the file is there and is neither to be gone on with nor replaced, cannot be
            written, or is no file of a monitor.
    """

    def __init__(self, path: str | Path, *, going_on: bool = False, replacing: bool = False):
        self.path = Path(path)
        check_writable(self.path)
        self._replacing, self.before = replacing, list[dict[str, Any]]()
        if replacing:
            return
        there = self.path.is_file() and self.path.stat().st_size > 0
        if there and not going_on:
            raise MisuseError(
                f"{self.path} holds a run already: name another file, move it away, or pass "
                "resume=True to go on with it"
            )
        self.before = read_lines(self.path) if there else []
        if self.before and self.before[0]["kind"] != BEGIN:
            raise MisuseError(f"{self.path} is no file of a monitor: it would be damaged")
        if there:
            _cut_torn(self.path)

    def write(self, line: Line) -> None:
        """Add a line at once."""
        if self._replacing:  # whole, or what was there is as before
            write_whole(self.path, lambda file: file.write(as_line(line)))
            self._replacing = False
            return
        # Opened for each line: a file that was moved away is not written to behind its back, and
        # nothing waits in a buffer when the process dies.
        place = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            before, text = os.fstat(place).st_size, as_line(line)
            if os.write(place, text) != len(text):  # a full disk: no half of a line is left
                os.ftruncate(place, before)
                raise OSError("the disk took a part of the line")
        finally:
            os.close(place)


def _cut_torn(path: Path) -> None:
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        with path.open("r+b") as file:
            file.truncate(whole)


class CSV(Sink):
    """A table: a row for each encoder of each measurement.

    Args:
        path: The file; rows are added to one that is there, in the order of its header.

    Raises:
        MisuseError: If it cannot be written, or lacks columns, such as one of an older version.
    """

    COLUMNS: tuple[str, ...] = ("step", "epoch", "loss", "seconds", "modality", *NUMBERS)

    def __init__(self, path: str | Path):
        self.path = Path(path)
        check_writable(self.path)
        self._header()

    def write(self, line: Line) -> None:
        """Add the rows of a measurement."""
        if line["kind"] != MEASUREMENT:
            return
        text, header = io.StringIO(), self._header()
        columns = header or self.COLUMNS
        table = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
        if not header:
            table.writeheader()
        elif not self.path.read_bytes().endswith(b"\n"):  # a row that is torn stays by itself
            text.write("\n")
        for name, entry in line["encoders"].items():
            table.writerow({**line, **entry, "modality": name})
        with self.path.open("a", encoding="utf-8") as file:
            file.write(text.getvalue())

    def _header(self) -> list[str]:
        """Return the columns of the file that is there; none where there is nothing in it."""
        if not self.path.is_file():
            return []
        with self.path.open(encoding="utf-8", errors="replace", newline="") as file:
            header = next(csv.reader(file), [])
        lacking = [name for name in self.COLUMNS if name not in header] if header else []
        if lacking:
            raise MisuseError(
                f"{self.path} lacks the columns {', '.join(lacking)}, whose numbers would be lost: "
                "name another file, or move it away"
            )
        return header


class Calling(Sink):
    """A function ``log(numbers, step)``, such as ``wandb.log``, or MLflow's.

    Names are ``sharpscope/image/trace``, ``sharpscope/coupling/image+text``,
    ``sharpscope/loss`` and ``sharpscope/event/sharpening/image`` (1 where it rang).

    Args:
        log: The function. The step is passed as the keyword ``step`` where it takes one, and as
            the second argument where it needs one.

    Raises:
        MisuseError: If it cannot be called in any of these ways.
    """

    def __init__(self, log: Callable[..., Any]):
        self._log, self._how = log, _way_to_call(log)

    def write(self, line: Line) -> None:
        """Pass the numbers of a measurement or an event on."""
        numbers = flat(line)
        if numbers:
            arguments, keywords = self._how(line["step"])
            self._log(numbers, *arguments, **keywords)


def _way_to_call(
    log: Callable[..., Any],
) -> Callable[[int], tuple[tuple[Any, ...], dict[str, Any]]]:
    """Return what makes the arguments beside the numbers, of a step."""
    # A second argument that may be left out means something else, such as progress bars.
    ways = (lambda step: ((), {"step": step}), lambda _: ((), {}), lambda step: ((step,), {}))
    try:
        signature = inspect.signature(log)
    except ValueError:  # of a builtin, which tells none
        return ways[0]
    for way in ways:
        arguments, keywords = way(0)
        try:
            signature.bind({}, *arguments, **keywords)
        except TypeError:
            continue
        return way
    raise MisuseError(
        f"a sink that is a function must take (numbers, step) or (numbers); got one of {signature}"
    )


class TensorBoard(Sink):
    """Scalars and texts for TensorBoard.

    Args:
        folder: Where its files go; or a ``SummaryWriter`` of yours, which stays open.

    Raises:
        MisuseError: If the package ``tensorboard`` is not installed.
    """

    def __init__(self, folder: str | Path | Any):
        self._own = isinstance(folder, str | Path)
        self._folder = str(folder)
        self._writer: Any = None if self._own else folder
        if self._own:
            try:
                self._make: Any = imported("torch.utils.tensorboard").SummaryWriter
            except ImportError as error:
                raise MisuseError(
                    "TensorBoard needs the package tensorboard: pip install tensorboard"
                ) from error

    def write(self, line: Line) -> None:
        """Add scalars of a measurement; texts of events and failures."""
        if self._writer is None:  # only now: of several processes one writes
            self._writer = self._make(self._folder)
        for name, value in flat(line).items():
            self._writer.add_scalar(name, value, line["step"])
        if line["kind"] in (EVENT, FAILURE):
            told = line.get("text") or line.get("reason")
            self._writer.add_text(f"sharpscope/{line['kind']}", str(told), line["step"])
        self._writer.flush()

    def close(self) -> None:
        """Close the writer, if it was made here."""
        if self._own and self._writer is not None:
            self._writer.close()
            self._writer = None


def flat(line: Line) -> dict[str, float]:
    """Return the numbers of a line under one name each; what is not known is left out.

    Example:
        >>> flat({"kind": "event", "step": 3, "signal": "imbalance", "modality": "cxr"})
        {'sharpscope/event/imbalance/cxr': 1.0}
    """
    if line["kind"] == EVENT:
        return {f"sharpscope/event/{line['signal']}/{line['modality']}": 1.0}
    if line["kind"] != MEASUREMENT:
        return {}
    found: dict[str, Any] = {"sharpscope/loss": line.get("loss")}
    for name, entry in line["encoders"].items():
        found |= {f"sharpscope/{name}/{number}": entry.get(number) for number in NUMBERS}
    for pair, entry in line.get("coupling", {}).items():
        found[f"sharpscope/coupling/{pair}"] = entry.get("share")
    return {name: float(value) for name, value in found.items() if value is not None}
