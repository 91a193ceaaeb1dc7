"""A file that a monitor writes, followed while it grows."""

import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sharpscope.checks import nearest
from sharpscope.errors import MisuseError
from sharpscope.results import MonitorRecord
from sharpscope.results.monitor import BESIDE, read_lines, read_monitor
from sharpscope_cli.output import emit_lines
from sharpscope_cli.results import CHECKPOINTS, beside

if TYPE_CHECKING:
    from rich.live import Live


def monitor_of(run: Path) -> Path:
    """Return the file of a run: itself, or the one beside a checkpoint.

    Raises:
        MisuseError: If there is none.
    """
    if run.suffix in CHECKPOINTS:
        path = beside(run)
        if not path.is_file():
            raise MisuseError(
                f"no monitor writes beside {run}: {path.name}, which sharpscope train --monitor "
                f"writes, is not there{_near(path)}"
            )
        return path
    if run.is_dir():
        inside = sorted(one.name for one in run.glob(f"*{BESIDE}"))
        there = f" of {len(inside)}, such as {inside[0]}" if inside else ""
        raise MisuseError(f"{run} is a folder: name one run{there}")
    if not run.exists():
        raise MisuseError(f"no such file: {run}{_near(run)}")
    if run.suffix != ".jsonl":
        raise MisuseError(
            f"{run} is neither a {BESIDE} file nor a checkpoint ({', '.join(CHECKPOINTS)})"
        )
    return run


def _near(path: Path) -> str:
    folder = path.parent
    names = [one.name for one in folder.iterdir()] if folder.is_dir() else []
    return nearest(path.name, [name for name in names if name != path.name])  # a link to nowhere


class Drawing:
    """A figure that follows a run.

    Args:
        path: Where it goes; None for no figure.
    """

    def __init__(self, path: Path | None):
        self.path = path
        self.drawn = False
        self.trouble = ""

    def __call__(self, record: MonitorRecord) -> None:
        """Draw it anew, whole or not at all; what fails must not end the watching."""
        if self.path is None or not record.measurements:
            return
        from sharpscope.figures.writing import write_figure

        try:
            write_figure([record], self.path, "watch")
        except MisuseError as error:
            self.trouble = str(error)
        else:
            self.drawn, self.trouble = True, ""

    def tell(self, *, quiet: bool) -> None:
        """Say where it is.

        Raises:
            MisuseError: If it could not be drawn.
        """
        if self.trouble:
            raise MisuseError(self.trouble)
        if self.drawn and not quiet:
            emit_lines([f"Drew {self.path}"])


def follow(path: Path, drawing: Drawing, *, every: float, once: bool, quiet: bool) -> MonitorRecord:
    """Return the record at its end, or at once, with a live table on stderr until then.

    Args:
        path: The file.
        drawing: Called with the record at each new line.
        every: Seconds between looks.
        once: Whether one look is enough.
        quiet: No table and no word before the end.

    Raises:
        MisuseError: If the file cannot be read, or is none of a monitor.
    """
    try:
        return _follow(path, drawing, every=every, once=once, quiet=quiet)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("The training goes on.") from None


def _follow(
    path: Path, drawing: Drawing, *, every: float, once: bool, quiet: bool
) -> MonitorRecord:
    seen, record, told = None, _NOTHING, False
    with ExitStack() as stack:
        live = None if once or quiet else _live(stack)
        while True:
            now = _stamp(path)
            if now != seen:
                seen, record = now, _read(path)
                drawing(record)
            if once or record.ended:
                return record
            if live is not None:
                _update(live, record, path, drawing.trouble)
            elif not quiet and not told and not record.measurements:
                told = True
                click.echo(_waits(path), err=True)
            time.sleep(every)


_NOTHING = MonitorRecord(modalities=(), seconds=0.0)


def _waits(path: Path) -> str:
    """Return that there is nothing to show yet."""
    return f"{path} has no measurement yet; waiting for the first"


def _read(path: Path) -> MonitorRecord:
    """Return the record; an empty one while not even the first line is whole."""
    if not read_lines(path):
        return _NOTHING.tagged(path.name.removesuffix(BESIDE))
    return read_monitor(path)


def _stamp(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError as error:
        raise MisuseError(f"cannot read {path}: {error.strerror}") from error
    return found.st_size, found.st_mtime_ns


def _live(stack: ExitStack) -> "Live | None":
    """Return a part of the terminal that is drawn over; None off a terminal."""
    import sys

    if not sys.stderr.isatty():
        return None
    from rich.console import Console
    from rich.live import Live

    console = Console(stderr=True, highlight=False, emoji=False)
    return stack.enter_context(Live(console=console, auto_refresh=False, transient=True))


def _update(live: "Live", record: MonitorRecord, path: Path, trouble: str) -> None:
    from rich.text import Text

    from sharpscope_cli.progress import duration
    from sharpscope_cli.render_monitor import head_of, table_of, tail_of

    age = max(0.0, time.time() - _stamp(path)[1] / 1e9)
    lines = [_waits(path), *tail_of(record)]
    if record.measurements:
        lines = [head_of(record), "", *table_of(record), "", *tail_of(record)]
    lines += ["", f"Last line {duration(age)} ago. Ctrl-C ends watching; the training goes on."]
    lines += [f"No figure: {trouble}"] if trouble else []
    # A line that does not fit is cut, and what is below the screen is not drawn.
    # Headers are bold where stdout is a terminal too.
    shown = Text.from_ansi("\n".join(lines), no_wrap=True, overflow="ellipsis")
    live.update(shown, refresh=True)
