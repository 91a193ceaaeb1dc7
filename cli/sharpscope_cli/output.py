"""What goes to stdout: one JSON value, or text for people."""

import json
import sys
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from textwrap import fill
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import click

if TYPE_CHECKING:
    from rich.console import Console

Justify = Literal["left", "right"]
Column: TypeAlias = tuple[str, Justify]


@contextmanager
def own_stdout() -> Generator[None]:
    """Send what the user's model or loader prints to stderr: stdout is for the result."""
    with redirect_stdout(sys.stderr):
        yield


def emit_json(value: Any) -> None:
    """Print exactly one JSON value; what is not finite becomes null."""
    from sharpscope.results.base import plain

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


def emit_table(columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> None:
    """Print a table; a cell is never cut, so a narrow terminal shows long lines."""
    for line in table_lines(columns, list(rows)):
        click.echo(line)


def emit_groups(columns: Sequence[Column], groups: Mapping[str, Sequence[Sequence[str]]]) -> None:
    """Print a table whose rows stand in groups, each under its name.

    Columns that do not fit the width (of the terminal; 80 where there is none) come in a second
    table below, with the first column again.
    """
    rows = [[f"  {row[0]}", *row[1:]] for group in groups.values() for row in group]
    widths = [
        max(len(line) for text in (header, *cells) for line in text.splitlines())
        for (header, _), *cells in zip(columns, *rows, strict=True)
    ]
    room = _console().width
    parts = [[0]]
    for place in range(1, len(columns)):
        wider = [*parts[-1], place]
        if len(wider) == 2 or sum(widths[p] + 1 for p in wider) - 1 <= room:
            parts[-1] = wider
        else:
            parts.append([0, place])
    for number, part in enumerate(parts):
        cells = [[row[place] for place in part] for row in rows]
        shown = table_lines([columns[place] for place in part], cells, gap=1)
        header, body = shown[: len(shown) - len(rows)], iter(shown[len(shown) - len(rows) :])
        for line in ([""] if number else []) + header:
            click.echo(line)
        for name, group in groups.items():
            _console().print(name, style="bold", markup=False, soft_wrap=True)
            for _ in group:
                click.echo(next(body))


def table_lines(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], *, gap: int = 2
) -> list[str]:
    """Return the lines of a table: its header's, then one for each row."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, gap, 0, 0))
    for header, justify in columns:
        table.add_column(Text(header), justify=justify, no_wrap=True, vertical="bottom")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    # Rendered as wide as it needs.
    console = _console(10_000)
    with console.capture() as captured:
        console.print(table)
    return [line.rstrip() for line in captured.get().splitlines()]


def _console(width: int | None = None) -> "Console":
    from rich.console import Console

    return Console(highlight=False, width=width, emoji=False)
