"""How far a measurement is: one line on stderr, rewritten in place, only on a terminal."""

import shutil
import sys
from types import TracebackType
from typing import TYPE_CHECKING, Self

import click

from sharpscope.results.trace import with_error

if TYPE_CHECKING:
    from sharpscope.estimators import Progress


class Line:
    """A line that is rewritten in place and gone at the end; silent off a terminal.

    Args:
        quiet: Never show anything.
    """

    def __init__(self, *, quiet: bool = False):
        self.quiet = quiet
        self.live = not quiet and sys.stderr.isatty()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.clear()

    def show(self, text: str) -> None:
        """Replace the line; what does not fit is cut, so that it stays one line."""
        if self.live:
            width = shutil.get_terminal_size().columns - 1
            click.echo(f"\r\x1b[2K{text[:width]}", err=True, nl=False)

    def stage(self, text: str) -> None:
        """Begin a stage of a long story, which is worth a line of its own off a terminal."""
        if self.live:
            self.show(text)
        elif not self.quiet:
            click.echo(text, err=True)

    def clear(self) -> None:
        """Take the line away."""
        if self.live:
            click.echo("\r\x1b[2K", err=True, nl=False)


class Watch:
    """Shows the progress of one measurement, with the time left after two products.

    Args:
        line: Where to show it.
        what: Which measurement it is.
        bound: Whether ``expected`` is a bound that convergence undercuts, not a forecast.
    """

    def __init__(self, line: Line, what: str, *, bound: bool = False):
        self.line = line
        self.what = what
        self.about = "at most" if bound else "about"
        line.show(f"{what}: checking that the model stands still")

    def tell(self, what: str) -> None:
        """Show what is being done."""
        self.line.show(f"{self.what}: {what}")

    def __call__(self, progress: "Progress") -> None:
        """Show how far it is."""
        parts = [f"{self.what}: {progress.products} of {self.about} {progress.expected} products"]
        if progress.value is not None:
            parts.append(with_error(progress.value, progress.standard_error))
        if progress.seconds_left is not None:
            parts.append(f"{self.about} {duration(progress.seconds_left)} left")
        self.line.show(", ".join(parts))


def duration(seconds: float) -> str:
    """Return a time in words, as exact as a forecast is.

    Example:
        >>> duration(41.3), duration(200), duration(8000)
        ('40 s', '3 min', '2 h 13 min')
    """
    if seconds < 10:
        return f"{max(1, round(seconds))} s"
    if seconds < 90:
        return f"{5 * round(seconds / 5)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
