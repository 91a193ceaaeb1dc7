"""What goes to stdout: one JSON value, or text for people."""

import json
import sys
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager, redirect_stdout
from textwrap import fill
from typing import TYPE_CHECKING, Any, Literal

import click

if TYPE_CHECKING:
    from rich.console import Console

Justify = Literal["left", "right"]


@contextmanager
def own_stdout() -> Generator[None]:
    """Send what the user's model or loader prints to stderr: stdout is for the result."""
    with redirect_stdout(sys.stderr):
        yield


def emit_json(value: Any) -> None:
    """Print exactly one JSON value; what is not finite becomes null."""
    from sharpscope.results.record import plain

    click.echo(json.dumps(plain(value), indent=1, ensure_ascii=False, allow_nan=False))


def emit_lines(lines: Iterable[str] = ("",)) -> None:
    """Print text, wrapped at the width of the terminal; long words such as paths stay whole."""
    width = _console().width
    for line in lines:
        click.echo(fill(line, width, break_long_words=False, break_on_hyphens=False))


def emit_command(lead: str, command: str) -> None:
    """Print a command to type, never wrapped, so that it can be copied."""
    click.echo(f"{lead}{command}")


def emit_facts(title: str, facts: Iterable[tuple[str, str]]) -> None:
    """Print a title and, aligned under it, names and values."""
    rows = list(facts)
    width = max(len(name) for name, _ in rows)
    # A value is never wrapped: a path or a number must be whole to be copied.
    _console().print(title, style="bold", markup=False, soft_wrap=True)
    for name, value in rows:
        click.echo(f"  {name:{width}}  {value}")


def emit_table(
    columns: Sequence[tuple[str, Justify]], rows: Iterable[Sequence[str]], *, gap: int = 2
) -> None:
    """Print a table; a cell is never cut, so a narrow terminal shows long lines."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, gap, 0, 0))
    for header, justify in columns:
        table.add_column(Text(header), justify=justify, no_wrap=True, vertical="bottom")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    # Rendered as wide as it needs, then written line by line.
    console = _console(10_000)
    with console.capture() as captured:
        console.print(table)
    for line in captured.get().splitlines():
        click.echo(line.rstrip())


def _console(width: int | None = None) -> "Console":
    from rich.console import Console

    return Console(highlight=False, width=width, emoji=False)
