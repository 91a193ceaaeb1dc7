"""Training as the command line shows it."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sharpscope.errors import MisuseError
from sharpscope.results import MonitorRecord
from sharpscope.results.base import plain
from sharpscope.results.monitor import read_lines, read_monitor
from sharpscope.training import Epoch
from sharpscope_cli.progress import Line, duration
from sharpscope_cli.results import beside

if TYPE_CHECKING:
    from sharpscope.monitor import FlatnessMonitor, Schedule
    from sharpscope.recipes import Recipe


class EpochWatch:
    """Shows each epoch with the loss and the time left.

    Attributes:
        measured: The last measurement of a monitor, in words.
        spent: Seconds of measuring until then.
    """

    def __init__(self, line: Line, what: str):
        self.line = line
        self.what = what
        self.measured, self.spent = "", 0.0
        self._epoch = "before the first epoch"
        line.show(f"{what}: loading the data")

    def __call__(self, epoch: Epoch) -> None:
        """Show how far training is."""
        left = (epoch.epochs - epoch.epoch) * (epoch.seconds + self.spent) / epoch.epoch
        self._epoch = (
            f"epoch {epoch.epoch} of {epoch.epochs}, loss {epoch.loss:.4g}, "
            f"about {duration(left)} left"
        )
        self._show()

    def tell(self, measured: str, spent: float) -> None:
        """Show a measurement beside it from now on, and count its time in what is left.

        Args:
            measured: In words.
            spent: Seconds of measuring so far.
        """
        self.measured, self.spent = measured, spent
        self._show()

    def _show(self) -> None:
        beside = f" · {self.measured}" if self.measured else ""
        self.line.show(f"{self.what}: {self._epoch}{beside}")


def schedule(monitor: bool, when: str | None, budget: float | None) -> "Schedule | None":
    """Return when the monitor measures, None where none was asked for; before any work.

    Raises:
        MisuseError: If its options come without it, or cannot be meant.
    """
    if not monitor:
        for name, value in (("--when", when), ("--budget", budget)):
            if value is not None:
                raise MisuseError(f"{name} is about --monitor: add that")
        return None
    from sharpscope.monitor.schedule import schedule_of

    return schedule_of(when or "auto", 0.05 if budget is None else budget)


def watching(
    recipe: "Recipe", path: Path, progress: EpochWatch, when: "Schedule", *, resume: bool
) -> "FlatnessMonitor":
    """Return a monitor that writes beside a checkpoint and shows its last measurement."""
    from sharpscope.monitor import Sink, monitor_of
    from sharpscope.monitor.live import in_words
    from sharpscope.results.monitor import MEASUREMENT

    class Shown(Sink):
        def write(self, line: Mapping[str, Any]) -> None:
            if line["kind"] == MEASUREMENT:
                progress.tell(in_words(line), line["spent"])

    return monitor_of(
        recipe,
        when=when,
        out=beside(path),
        resume=resume,
        replace=not resume,  # as the checkpoint that it lies beside
        sinks=[Shown()],
        seed=recipe.seed,
    )


def check_beside(path: Path, recipe: "Recipe", *, goes_on: bool) -> None:
    """Refuse what lies where a monitor writes beside a checkpoint, and is not of this command.

    It would be replaced, gone on with, or shown as if it were of the new checkpoint.

    Args:
        path: The checkpoint.
        recipe: What is trained.
        goes_on: Whether the monitor of this run goes on with the file.

    Raises:
        MisuseError: If it is no monitor's, of no recipe, or of another one than it goes on with.
    """
    found = beside(path)
    if not found.is_file() or not found.stat().st_size:
        return
    advice = "move it away, or name another file with --out"
    try:
        theirs = _recipe_in(found)
    except MisuseError as error:
        raise MisuseError(f"{error}; {advice}") from error
    if theirs is None:
        raise MisuseError(f"{found} is of a run that sharpscope train did not make; {advice}")
    if goes_on and theirs not in ({}, plain(recipe.to_dict())):
        raise MisuseError(
            f"{found} is of another recipe than the one given; repeat its arguments, move it away, "
            "or leave out --monitor"
        )


def drop_stale(path: Path, recipe: "Recipe") -> Path | None:
    """Remove what a monitor wrote of another run than the checkpoint that is now at a path.

    A run of the same recipe is the same one to the bit.

    Returns:
        What was removed.
    """
    found = beside(path)
    if not found.is_file() or _recipe_in(found) == plain(recipe.to_dict()):
        return None
    found.unlink()
    return found


def _recipe_in(path: Path) -> Mapping[str, Any] | None:
    """Return the recipe of a monitored run, None where it has none; empty where no line is whole.

    Raises:
        MisuseError: If the file is no monitor's.
    """
    return read_monitor(path).provenance.get("recipe") if read_lines(path) else {}


def watched(record: MonitorRecord) -> str:
    """Return what a monitor found, in a sentence's end."""
    count = len(record.measurements)
    told = [f"{count} measurement{'' if count == 1 else 's'} of {record.seconds:.1f} s in all"]
    if record.events:
        told.append(f"{len(record.events)} event{'' if len(record.events) == 1 else 's'}")
    if record.failures:
        told.append(f"{len(record.failures)} failed: {record.failures[-1]['reason']}")
    return ", ".join(told)
