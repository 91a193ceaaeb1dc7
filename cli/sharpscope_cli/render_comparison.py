"""Comparisons as text for people."""

from sharpscope.comparing.rows import blocks, heads
from sharpscope.results.comparison import Comparison
from sharpscope_cli.output import Column, emit_groups, emit_lines

PAIRED = (
    "± of a value is one standard error of its random draws; ± of a difference holds probe and "
    "data error together, what both models share taken out. The interval holds 95 % by Student's "
    "t; within noise: it holds 0."
)
SEEDS = (
    "± is one standard error over runs; probe and data error of the same mean stand beside it and "
    "are not in it. The interval holds 95 % by Student's t; within noise: it holds 0, or the "
    "interval of probe and data errors does."
)
_NARROW = {
    "train loss": "train\nloss",
    "value ± probes": "value\n± probes",
    "value ± seeds": "value\n± seeds",
    "probe error": "probe\nerror",
    "data error": "data\nerror",
    "difference ± error": "difference\n± error",
    "95 % interval": "95 %\ninterval",
}


def show_comparison(found: Comparison, *, quiet: bool = False) -> None:
    """Print a table for each quantity, then every difference in words, then the notes."""
    split = f" {found.split}" if found.split else ""
    emit_lines(
        [f"{found.loss} loss on {found.samples:,}{split} samples, against {found.reference}"]
    )
    names = heads(found)
    # Runs are told once, and verdicts in the sentences below.
    shown = [place for place, name in enumerate(names) if name not in ("runs", "verdict")]
    columns: list[Column] = [(_NARROW.get(names[p], names[p]), "right") for p in shown[1:]]
    columns[0] = (columns[0][0], "left")
    if found.grouped:
        runs = (f"{name} {_runs(found, name)}" for name in found.names)
        emit_lines([f"Runs: {', '.join(runs)}"])
    for block in blocks(found):
        emit_lines(["", block.title])
        groups: dict[str, list[list[str]]] = {}
        for row in block.rows:
            groups.setdefault(row[0], []).append([row[place] for place in shown[1:]])
        emit_groups(columns, groups)
    emit_lines(["", *found.sentences])
    if quiet:
        return
    emit_lines(["", *(f"Note: {note}" for note in found.notes)])
    emit_lines([SEEDS if found.grouped else PAIRED])


def _runs(found: Comparison, name: str) -> int:
    return max((entry.runs for entry in found.entries if entry.name == name), default=0)
