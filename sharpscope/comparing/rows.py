"""The rows of a comparison's table, in words and numbers rounded to their errors."""

import re
from dataclasses import dataclass

from sharpscope.results.comparison import (
    Comparison,
    Difference,
    Entry,
    Interval,
    Verdict,
    ratio_text,
    signed,
)
from sharpscope.results.record import significant, within
from sharpscope.results.trace import with_error

ABSENT = "–"
# An end that rounds to 0 has no sign.
_ZERO = re.compile(r"^[+-](0(?:\.0+)?)$")


@dataclass(frozen=True)
class Block:
    """The rows of one quantity.

    Attributes:
        title: What it is, and its unit.
        rows: Their cells, as many as ``heads``; modality and name first.
    """

    title: str
    rows: tuple[tuple[str, ...], ...]


def heads(found: Comparison) -> tuple[str, ...]:
    """Return the heads of the columns."""
    runs = ("runs",) if found.grouped else ()
    return (
        "modality",
        "group" if found.grouped else "checkpoint",
        *runs,
        "train loss",
        "value ± seeds" if found.grouped else "value ± probes",
        *(("probe error",) if found.grouped else ()),
        "data error",
        f"x {found.reference}",
        "difference ± error",
        "95 % interval",
        "verdict",
    )


def blocks(found: Comparison) -> list[Block]:
    """Return the rows by quantity."""
    return [
        Block(
            title(found, quantity),
            tuple(
                row(found, entry)
                for modality in found.modalities(quantity)
                for name in found.names
                if (entry := found.entry(quantity, modality, name)) is not None
            ),
        )
        for quantity in found.quantities
    ]


def title(found: Comparison, quantity: str) -> str:
    """Return a quantity's name with its unit."""
    label = found.labels.get(quantity, quantity)
    return f"{label[:1].upper()}{label[1:]} ({found.units.get(quantity, '')})".replace("Λ", "λ")


def row(found: Comparison, entry: Entry) -> tuple[str, ...]:
    """Return the cells of one number."""
    other = found.difference(entry.quantity, entry.modality, entry.name)
    loss = with_error(entry.train_loss, entry.train_loss_error)
    if not entry.train_loss_error:
        loss = significant(entry.train_loss, 3)
    shown = None if found.grouped and entry.runs == 1 else entry.error
    return (
        entry.modality,
        entry.name,
        *((str(entry.runs),) if found.grouped else ()),
        ABSENT if entry.train_loss is None else loss,
        number(entry.value, shown, entry.bound, None if found.grouped else entry.data_error),
        *((error(entry.probe_error),) if found.grouped else ()),
        error(entry.data_error),
        *_differing(other),
    )


def number(
    value: float | None, noise: float | None, bound: float = 0.0, data: float | None = None
) -> str:
    """Return a number with its error; without one, to the places that data or bound allow."""
    if noise:
        return with_error(value, noise)
    if data and data > bound:
        cut = with_error(value, data).split(" ±")[0]
        return significant(value, 3) if cut.startswith("(") else cut
    return within(value, bound, 4) if bound else significant(value)


def error(value: float | None) -> str:
    """Return an error to two digits; 0 where nothing is random."""
    if value is None:
        return ABSENT
    return f"{value:#.2g}".rstrip(".") if value else "0"


def ends(interval: Interval | None, noise: float | None) -> str:
    """Return an interval to the places of the error."""
    if interval is None:
        return ABSENT
    if not noise:
        return " to ".join(significant(end) for end in interval)
    cut = [signed(end, noise).split(" ±")[0] for end in interval]
    if any(end.startswith("(") for end in cut):
        cut = [significant(end, 3) for end in interval]
    return " to ".join(_ZERO.sub(r"\1", end) for end in cut)


def _differing(found: Difference | None) -> tuple[str, ...]:
    if found is None:
        return ("", "", "", "reference")
    if found.difference is None:
        return (ABSENT, ABSENT, ABSENT, Verdict.NOT_FINITE)
    return (
        ratio_text(found) or ABSENT,
        signed(found.difference, found.error)
        if found.error is not None
        else f"{signed(found.difference, None)} ± {ABSENT}",
        ends(found.interval, found.error),
        str(found.verdict),
    )
