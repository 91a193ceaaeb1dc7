"""What a monitor measured last, as a table for people."""

from collections.abc import Mapping
from typing import Any

import click

from sharpscope.results import MonitorRecord
from sharpscope.results.record import significant
from sharpscope.results.trace import with_error
from sharpscope_cli.output import Column, emit_lines, table_lines
from sharpscope_cli.render import ABSENT

_LAST = 5  # events and failures that are listed
_EXPLAINED = (
    "± is one standard error: of the trace and the share over random probes, of γ over batches. γ "
    "is the cosine of the gradients of an encoder's own loss and of the fusion loss; – is not "
    "measured. Unit of trace and λ_max: loss per squared parameter unit."
)


def show_monitor(record: MonitorRecord, *, quiet: bool = False) -> None:
    """Print the last measurement, what happened, and what measuring cost."""
    emit_lines([head_of(record), *([""] if record.measurements else [])])
    for line in table_of(record):  # a number is never wrapped
        click.echo(line)
    emit_lines(["", *tail_of(record)] if record.measurements else tail_of(record))
    if record.measurements and not quiet:
        emit_lines(["", _EXPLAINED])


def head_of(record: MonitorRecord) -> str:
    """Return which run it is and where it stands."""
    name = f"{record.tag}: " if record.tag else ""
    state = "ended" if record.ended else "not ended"
    if not record.measurements:
        return f"{name}no measurement yet, {state}"
    last = record.measurements[-1]
    parts = [f"step {last['step']:,}"]
    if last.get("epoch") is not None:
        parts.append(f"epoch {last['epoch']:.4g}")
    if last.get("loss") is not None:
        samples = record.settings.get("samples")
        on = f" on {samples:,} samples" if isinstance(samples, int) else ""
        parts.append(f"loss {significant(last['loss'])}{on}")
    count = len(record.measurements)
    parts.append(f"{count} measurement{'' if count == 1 else 's'}")
    return f"{name}{', '.join(parts)}, {state}"


def table_of(record: MonitorRecord) -> list[str]:
    """Return the lines of a table: an encoder in each row, without columns that hold nothing."""
    if not record.measurements:
        return []
    encoders: Mapping[str, Any] = record.measurements[-1]["encoders"]
    columns: dict[str, list[str]] = {
        "trace ± error": [_with(e, "trace", "standard_error") for e in encoders.values()],
        "λ_max": [_number(e.get("lambda_max")) for e in encoders.values()],
        "λ_max of the\ntrained loss": [
            _number(e.get("trained_lambda_max")) for e in encoders.values()
        ],
        "stability\nthreshold": [_number(e.get("threshold")) for e in encoders.values()],
        "γ": [_with(e, "alignment", "alignment_error") for e in encoders.values()],
        "share": [_percent(e) for e in encoders.values()],
        "products": [_count(e.get("products")) for e in encoders.values()],
    }
    shown = {head: cells for head, cells in columns.items() if set(cells) != {ABSENT}}
    heads: list[Column] = [("encoder", "left"), *((head, "right") for head in shown)]
    return table_lines(heads, [list(row) for row in zip(encoders, *shown.values(), strict=True)])


def tail_of(record: MonitorRecord) -> list[str]:
    """Return the cost of measuring, then the last events and failures."""
    lines: list[str] = []
    if record.measurements:
        trained = record.measurements[-1].get("seconds")
        cost = f"Measuring took {record.seconds:.1f} s"
        if trained:
            share = record.seconds / trained
            part = f"{100 * share:.1f} % of" if share < 1 else f"{share:,.1f} times"
            cost += f", {part} the {_seconds(trained)} of training so far"
        lines.append(f"{cost}.")
    lines += _listed("event", [(e["step"], e.get("text") or e["signal"]) for e in record.events])
    return lines + _listed("failure", [(f["step"], f.get("reason", "")) for f in record.failures])


def _listed(word: str, entries: list[tuple[int, str]]) -> list[str]:
    """Return the last entries, newest last, and how many there were."""
    if not entries:
        return []
    several = f"{len(entries)} {word}{'' if len(entries) == 1 else 's'}"
    told = several if len(entries) <= _LAST else f"{several}, the last {_LAST}"
    return [f"{told}:", *(f"  step {step:,}: {text}" for step, text in entries[-_LAST:])]


def _with(entry: Mapping[str, Any], name: str, error: str) -> str:
    value = entry.get(name)
    return ABSENT if value is None else with_error(value, entry.get(error))


def _number(value: float | None) -> str:
    return ABSENT if value is None else significant(value)


def _count(value: float | None) -> str:
    return ABSENT if value is None else f"{value:g}"


def _percent(entry: Mapping[str, Any]) -> str:
    share, error = entry.get("share"), entry.get("share_error")
    if share is None:
        return ABSENT
    return f"{with_error(100 * share, None if error is None else 100 * error)} %"


def _seconds(value: float) -> str:
    return f"{value:,.0f} s" if value >= 100 else f"{significant(value, 3)} s"
