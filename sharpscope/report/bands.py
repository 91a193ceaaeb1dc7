"""The table of a report cut into bands that fit a page: groups of columns, one below the other."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sharpscope.report.table import Row, Table
from sharpscope.results.quantities import Quantity

# What fits, in characters at the sizes that the style sheet has: the page as wide as it gets, and
# paper. On a screen less wide than a page a band scrolls in its own box.
SCREEN, PAPER = 136, 95
_PADDING = 2.0
_SMALL = 0.9
_ELSEWHERE = ("Generalization", "Contribution")


@dataclass(frozen=True, kw_only=True)
class Block:
    """Rows under one head.

    Args:
        checkpoint: Whose they are.
        about: Which loss over which items their numbers are of; empty where each says so itself.
        rows: The encoders.
    """

    checkpoint: str
    about: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, kw_only=True)
class Band:
    """Columns that stand side by side.

    Args:
        groups: The columns under their common heads.
        blocks: The rows that have some of them.
        first: Whether this is the band that counts the parameters.
    """

    groups: dict[str, tuple[Quantity, ...]]
    blocks: tuple[Block, ...]
    first: bool

    @property
    def columns(self) -> tuple[Quantity, ...]:
        """All columns, in order."""
        return tuple(column for columns in self.groups.values() for column in columns)

    @property
    def label(self) -> str:
        """What it holds, for those who hear the page."""
        return f"table of numbers: {', '.join(self.groups).lower() or 'parameters'}"


def bands(table: Table, room: float) -> tuple[Band, ...]:
    """Return the table in bands; a group is never torn, even where it alone is too wide.

    Args:
        table: The table.
        room: Characters that fit side by side.
    """
    rows = [row for rows in table.rows.values() for row in rows]
    found: list[dict[str, tuple[Quantity, ...]]] = [{}]
    names = max((len(line) for row in rows for line in (row.modality, *row.notes)), default=0)
    taken = start = max(names, len("encoder")) + _PADDING
    taken += len("parameters") + _PADDING
    groups = dict.fromkeys(column.group for column in table.columns)
    for group in sorted(groups, key=_ELSEWHERE.__contains__):
        columns = tuple(column for column in table.columns if column.group == group)
        width = sum(_width(column, rows) for column in columns)
        # Numbers of other data stand under a head of their own.
        other = bool(found[-1]) and (group in _ELSEWHERE) != (next(iter(found[-1])) in _ELSEWHERE)
        if found[-1] and (taken + width > room or other):
            found.append({})
            taken = start
        found[-1][group] = columns
        taken += width
    return tuple(
        Band(groups=groups, blocks=tuple(_blocks(table, groups, first=not place)), first=not place)
        for place, groups in enumerate(found)
    )


def _blocks(
    table: Table, groups: dict[str, tuple[Quantity, ...]], *, first: bool
) -> Iterator[Block]:
    """Yield the rows that have a number in the groups; the first band has those without any."""
    keys = {column.key for columns in groups.values() for column in columns}
    elsewhere = bool(groups) and set(groups) <= set(_ELSEWHERE)
    for checkpoint, rows in table.rows.items():
        own = [row for row in rows if keys & set(row.cells) or (first and not row.cells)]
        about = ["" if elsewhere else row.about for row in own]
        for words in dict.fromkeys(about):
            alike = (row for row, of in zip(own, about, strict=True) if of == words)
            yield Block(checkpoint=checkpoint, about=words, rows=tuple(alike))


def _width(column: Quantity, rows: Sequence[Row]) -> float:
    """Return the least characters of a column; heads wrap at spaces, remarks between parts."""
    widest = max(map(len, column.head.split()))
    for row in rows:
        if cell := row.cells.get(column.key):
            flag = len("[1]") if column.key in row.flags else 0
            small = max(map(len, cell.parts), default=0)
            widest = max(widest, len(cell.text) + flag, round(_SMALL * small))
    return max(widest, *(round(_SMALL * len(word)) for word in (column.unit or "-").split())) + (
        _PADDING
    )
