"""A forest plot: numbers of checkpoints or methods, and how far each is from the reference."""

from collections.abc import Sequence
from textwrap import fill
from typing import Any

from matplotlib.figure import Figure

from sharpscope.checks import one_of
from sharpscope.errors import MisuseError
from sharpscope.figures.style import WIDTHS, color_of, looks, marker_of
from sharpscope.results.comparison import (
    Comparison,
    Difference,
    Entry,
    Interval,
    Verdict,
    ratio_text,
)
from sharpscope.results.record import significant

SCALES = ("ratio", "difference")
_LINE = 0.17  # inches for a line of the plot
_FRAME = 0.65  # inches for the axis and the title of a row
_GAP, _HEAD = 1.35, 0.85  # lines between two modalities, and of them below the head
_LETTERS = {"text": 34, "column": 22, "page": 42}  # of a label's line
_TIED = "\N{NO-BREAK SPACE}"  # where a label is not broken: inside a unit
Lines = dict[tuple[str, str], float]


@looks()
def draw_comparison(
    found: Comparison | Sequence[Comparison], *, width: str = "text", scale: str | None = None
) -> Figure:
    """Return a row for each quantity: values with one standard error, and intervals of the rest.

    On the left each number; on the right its ratio to the reference, or its difference, with the
    95 % interval. A hollow mark is within noise, or has no interval.

    Args:
        found: A comparison.
        width: ``column``, ``text`` or ``page``.
        scale: ``ratio`` or ``difference``; by default the ratio where each has an interval.

    Raises:
        MisuseError: If there is nothing finite to draw, or no such width or scale.
    """
    one = _single(found)
    one_of("width", width, WIDTHS)
    if scale is not None:
        one_of("scale", scale, SCALES)
    shown = [q for q in one.quantities if any(e.value is not None for e in _of(one.entries, q))]
    if not shown:
        raise MisuseError("there is no comparison to draw: no number is finite")
    places = {quantity: _places(one, quantity) for quantity in shown}
    heights = [_FRAME + _LINE * (max(lines.values()) + 1) for lines in places.values()]
    figure = Figure(figsize=(WIDTHS[width], sum(heights)), layout="constrained")
    axes = figure.subplots(len(shown), 2, squeeze=False, sharey="row", height_ratios=heights)
    for (left, right), quantity in zip(axes, shown, strict=True):
        lines, how = places[quantity], scale or _scale(one, quantity)
        left.set_xlabel(_values(left, one, quantity, lines))
        right.set_xlabel(_differences(right, one, quantity, lines, how))
        for panel in (left, right):
            told = panel.get_xlabel().split("\n")
            lines = [fill(line, _LETTERS[width], break_long_words=False) for line in told]
            panel.set_xlabel("\n".join(lines).replace(_TIED, " "))
    return figure


def caption_comparison(
    found: Comparison | Sequence[Comparison], *, scale: str | None = None
) -> str:
    """Return what the figure shows, with settings.

    Args:
        found: As for ``draw_comparison``.
        scale: As for ``draw_comparison``.
    """
    one = _single(found)
    split = f" {one.split}" if one.split else ""
    what = ", ".join(one.labels[quantity] for quantity in one.quantities)
    told = [
        f"{what[:1].upper()}{what[1:]} of the {one.loss} loss on {one.samples:,}{split} samples",
        f"Left: values with one standard error {_bars(one)}",
        f"Right: {scale or 'ratio or difference'} against {one.reference}, with 95 % intervals by "
        f"Student's t{_paired(one)}; hollow marks are within noise or undecided",
        *_left_out(one, scale),
        *_runs(one),
    ]
    if one.train_loss is not None:
        told.append(f"All at train loss {significant(one.train_loss)}")
    else:
        losses = {e.name: e.train_loss for e in one.entries if e.train_loss is not None}
        listed = ", ".join(f"{name} {significant(loss, 3)}" for name, loss in losses.items())
        told += [f"Train loss: {listed}"] if listed else []
    return ". ".join(told) + "."


def _bars(found: Comparison) -> str:
    """Return what the bars of the values are of."""
    measured = "of probes and data together, as far as known"
    several = {entry.seed_error is not None for entry in found.entries if entry.value is not None}
    if several == {True}:
        return "over runs"
    return f"over runs, or for a single run {measured}" if True in several else measured


def _paired(found: Comparison) -> str:
    """Return what pairs differences; of each quantity, where it is not the same of all."""
    known: dict[str, str] = {}
    for quantity in found.quantities:
        shown = [d for d in _of(found.differences, quantity) if d.interval is not None]
        ways = dict.fromkeys(" and ".join(d.paired) or "nothing" for d in shown)
        known[quantity] = " or ".join(ways)
    if set(known.values()) <= {"nothing", ""}:
        return ""
    if len(set(known.values())) == 1:
        return f", paired by {next(iter(known.values()))}"
    told = (f"{found.labels[quantity]} by {how}" for quantity, how in known.items() if how)
    return f", paired ({', '.join(told)})"


def _left_out(found: Comparison, scale: str | None) -> list[str]:
    """Return which differences have no ratio to draw."""
    if scale != "ratio":
        return []
    names = [
        f"{found.labels[d.quantity]} of {d.name} ({d.modality})"
        for d in found.differences
        if d.difference is not None and ratio_text(d) is None
    ]
    return [f"Without a ratio, and not drawn: {', '.join(names)}"] if names else []


def _runs(found: Comparison) -> list[str]:
    """Return how many runs are behind each group."""
    if not found.grouped:
        return []
    told: list[str] = []
    for name in found.names:
        counts = sorted({entry.runs for entry in found.entries if entry.name == name})
        told.append(f"{name} {' or '.join(map(str, counts))}")
    return [f"Runs: {', '.join(told)}"]


def check_single(found: Sequence[Comparison]) -> None:
    """Refuse several comparisons in one figure.

    Raises:
        MisuseError: If it is not one.
    """
    if len(found) != 1:
        raise MisuseError(f"a forest plot is of one comparison; got {len(found)}")


def _single(found: Comparison | Sequence[Comparison]) -> Comparison:
    if isinstance(found, Comparison):
        return found
    check_single(found)
    return found[0]


def _of(parts: Sequence[Any], quantity: str) -> list[Any]:
    return [part for part in parts if part.quantity == quantity]


def _places(found: Comparison, quantity: str) -> Lines:
    """Return the line of each modality and name, from the top, with a gap between modalities."""
    lines: Lines = {}
    line = _HEAD - _GAP
    for modality in found.modalities(quantity):
        line += _GAP
        for name in found.names:
            lines[modality, name] = line
            line += 1
    return lines


def _scale(found: Comparison, quantity: str) -> str:
    shown = [d for d in _of(found.differences, quantity) if d.interval is not None]
    return "ratio" if shown and all(d.ratio_interval is not None for d in shown) else "difference"


def _values(axes: Any, found: Comparison, quantity: str, lines: Lines) -> str:
    """Draw the numbers; return what their axis is called."""
    entries: list[Entry] = _of(found.entries, quantity)
    for entry in entries:
        if entry.value is None:
            continue
        error = entry.seed_error
        if error is None:
            error = ((entry.probe_error or 0.0) ** 2 + (entry.data_error or 0.0) ** 2) ** 0.5
        _mark(axes, entry, found, lines, entry.value, (entry.value - error, entry.value + error))
    axes.set_ylim(max(lines.values()) + 0.7, -0.7)
    axes.set_yticks(list(lines.values()), [name for _, name in lines])
    axes.tick_params(axis="y", length=0)
    for modality in found.modalities(quantity):
        top = lines[modality, found.names[0]]
        axes.annotate(
            modality,
            # Among the names of its rows: inside the panel it would look like a row's label.
            (0, top - _HEAD),
            xycoords=("axes fraction", "data"),
            xytext=(-3.5, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            fontweight="bold",
        )
    axes.margins(x=0.12)
    label = found.labels[quantity].replace("λ_max", "λ$_\\mathrm{max}$")
    return f"{label}\n({_unit(found, quantity)})"


def _unit(found: Comparison, quantity: str) -> str:
    """Return a unit that stays on one line."""
    return found.units[quantity].replace(" ", _TIED)


def _differences(axes: Any, found: Comparison, quantity: str, lines: Lines, scale: str) -> str:
    """Draw how far numbers are from the reference; return what their axis is called."""
    ratio = scale == "ratio"
    axes.axvline(1.0 if ratio else 0.0, color="0.6", linewidth=0.6, zorder=0)
    differences: list[Difference] = _of(found.differences, quantity)
    for one in differences:
        value = one.ratio if ratio else one.difference
        band = one.ratio_interval if ratio else one.interval
        if value is not None and not (ratio and ratio_text(one) is None):
            hollow = one.verdict is not Verdict.DIFFERENT
            _mark(axes, one, found, lines, value, band, hollow=hollow)
    axes.tick_params(axis="y", length=0)
    axes.margins(x=0.12)
    what = f"ratio to {found.reference}" if ratio else f"difference from {found.reference}"
    unit = "" if ratio else f" ({_unit(found, quantity)})"
    known = any(one.interval is not None for one in differences)
    return f"{what}{unit},\n{'95 % interval' if known else 'no interval known'}"


def _mark(
    axes: Any,
    what: Entry | Difference,
    found: Comparison,
    lines: Lines,
    value: float,
    band: Interval | None,
    *,
    hollow: bool = False,
) -> None:
    color = color_of(what.name, found.names)
    low, high = (value, value) if band is None else band
    axes.errorbar(
        [value],
        [lines[what.modality, what.name]],
        xerr=[[max(0.0, value - low)], [max(0.0, high - value)]],
        fmt=marker_of(what.name, found.names),
        color=color,
        markerfacecolor="white" if hollow else color,
        markersize=3.5,
        elinewidth=0.9,
    )
