"""Training as the command line shows it."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sharpscope.errors import MisuseError
from sharpscope.results import MonitorRecord
from sharpscope.training import Epoch
from sharpscope_cli.progress import Line, duration

if TYPE_CHECKING:
    from sharpscope.monitor import FlatnessMonitor, Schedule
    from sharpscope.recipes import Recipe


class EpochWatch:
    """Shows each epoch with the loss and the time left.

    Attributes:
        measured: The last measurement of a monitor, in words.
    """

    def __init__(self, line: Line, what: str):
        self.line = line
        self.what = what
        self.measured = ""
        self._epoch = "before the first epoch"
        line.show(f"{what}: loading the data")

    def __call__(self, epoch: Epoch) -> None:
        """Show how far training is."""
        left = (epoch.epochs - epoch.epoch) * epoch.seconds / epoch.epoch
        self._epoch = (
            f"epoch {epoch.epoch} of {epoch.epochs}, loss {epoch.loss:.4g}, "
            f"about {duration(left)} left"
        )
        self._show()

    def tell(self, measured: str) -> None:
        """Show a measurement beside it from now on."""
        self.measured = measured
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

    steps = int(when) if when and when.isdigit() else when
    return schedule_of(steps or "auto", 0.05 if budget is None else budget)


def watching(
    recipe: "Recipe", path: Path, progress: EpochWatch, when: "Schedule", *, resume: bool
) -> "FlatnessMonitor":
    """Return a monitor that writes beside a checkpoint and shows its last measurement."""
    from sharpscope.monitor import Sink, beside, monitor_of
    from sharpscope.monitor.live import in_words
    from sharpscope.results.monitor import MEASUREMENT

    class Shown(Sink):
        def write(self, line: Mapping[str, Any]) -> None:
            if line["kind"] == MEASUREMENT:
                progress.tell(in_words(line))

    out = beside(path)
    found = monitor_of(
        recipe,
        when=when,
        out=out,
        resume=resume,
        sinks=[Shown()],
        seed=recipe.seed,
    )
    if not resume:  # as the checkpoint that it lies beside, it is that of this run from now on
        out.unlink(missing_ok=True)
    return found


def watched(record: MonitorRecord) -> str:
    """Return what a monitor found, in a sentence's end."""
    count = len(record.measurements)
    told = [f"{count} measurement{'' if count == 1 else 's'} of {record.seconds:.1f} s in all"]
    if record.events:
        told.append(f"{len(record.events)} event{'' if len(record.events) == 1 else 's'}")
    if record.failures:
        told.append(f"{len(record.failures)} failed: {record.failures[-1]['reason']}")
    return ", ".join(told)
