"""What monitors measured while models trained, with their events under the pointer."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from sharpscope.errors import MisuseError
from sharpscope.figures.events import number_of, shapes_of
from sharpscope.figures.interactive.house import DASHES, INK, Scale, faint, figure
from sharpscope.figures.interactive.marks import Line, add_events, add_failures, add_thresholds
from sharpscope.figures.monitor_captions import WORDS, caption_monitored
from sharpscope.figures.naming import named
from sharpscope.figures.style import COLORS
from sharpscope.figures.watched import (
    by_epoch,
    check_watched,
    lines_of,
    measured,
    modalities_of,
)
from sharpscope.results import MonitorRecord

_SHOWN = ("trace", "lambda_max", "trained_lambda_max", "alignment", "share")
_SPAN = 30.0
_SQUARED = ("trace", "lambda_max", "trained_lambda_max")


def told_apart(records: Sequence[MonitorRecord]) -> list[MonitorRecord]:
    """Return the runs that have a measurement, under names of their own where two share one."""
    found = [record for record in records if measured([record])]
    try:
        check_watched(found)
    except MisuseError:
        names = [str(record.provenance.get("file") or record.tag or "run") for record in found]
        several = Counter(names)
        return [
            record.tagged(name if several[name] == 1 else f"{name} ({place})")
            for place, (name, record) in enumerate(zip(names, found, strict=True), start=1)
        ]
    return found


def caption_monitors(records: Sequence[MonitorRecord]) -> str:
    """Return what the figures show."""
    shown = [quantity for quantity in measured(records) if quantity in _SHOWN]
    what = "Flatness of each encoder over training; a color is an encoder, dashes are runs"
    return caption_monitored(records, what, shown, bare=["share"])


def monitors(records: Sequence[MonitorRecord]) -> tuple[go.Figure, ...]:
    """Return a figure of each number over training, and shares as bands that add to 1."""
    shown = [what for what in measured(records) if what in _SHOWN and what != "share"]
    return (
        *(_course(records, what, shown) for what in shown),
        *_stacks(records),
    )


def _course(records: Sequence[MonitorRecord], quantity: str, shown: Sequence[str]) -> go.Figure:
    epochs = by_epoch(records)
    panel = figure(WORDS[quantity])
    lines = list(_lines(records, quantity, epochs=epochs))
    alone = len({one.run for one in lines}) == 1
    for one in lines:
        _draw(panel, one, "epoch" if epochs else "step", alone=alone)
    if not alone:
        _explain(panel, lines)
    values = [value for one in lines for value in one.curve.values]
    values += add_thresholds(panel, records, quantity, epochs=epochs)
    shapes = {
        signal: shape
        for signal, shape in shapes_of(records).items()
        if quantity == (number if (number := number_of(signal, shown)) in shown else shown[0])
    }
    add_events(panel, lines, shapes, epochs=epochs)
    if quantity == shown[0]:
        add_failures(panel, records, min(values), epochs=epochs)
    panel.update_xaxes(title="epoch" if epochs else "step")
    low, high = min(values), max(values)
    scale = Scale(low=low, high=high if high > low else low + 1.0, log=0 < _SPAN * low < high)
    axis: dict[str, Any] = {"range": [-1.05, 1.05]} if quantity == "alignment" else {}
    if scale.log:
        axis = scale.axis() | scale.ticks()
    unit = " (loss / parameter²)" if quantity in _SQUARED else ""
    panel.update_yaxes(title=f"{WORDS[quantity]}{unit}", **axis)
    return panel


def _lines(records: Sequence[MonitorRecord], quantity: str, *, epochs: bool) -> Iterator[Line]:
    groups = named(records)
    modalities = modalities_of(records)
    for run, (name, own) in enumerate(groups.items()):
        for color, modality in enumerate(modalities):
            for curve, runs in lines_of(own, modality, quantity, epochs=epochs):
                label = f"{name} · {modality}" if len(groups) > 1 else modality
                yield Line(
                    name=label, run=run, modality=modality, color=color, curve=curve, runs=runs
                )


def _draw(panel: go.Figure, one: Line, word: str, *, alone: bool) -> None:
    curve = one.curve
    banded = [
        (x, low, high)
        for x, low, high in zip(curve.x, curve.low, curve.high, strict=True)
        if low is not None and high is not None
    ]
    if banded:
        x, low, high = (list(ends) for ends in zip(*banded, strict=True))
        panel.add_scatter(
            x=[*x, *reversed(x)],
            y=[*high, *reversed(low)],
            fill="toself",
            fillcolor=faint(one.color),
            line={"width": 0},
            mode="lines",
            legendgroup=one.name,
            showlegend=False,
            hoverinfo="skip",
            name=one.name,
        )
    panel.add_scatter(
        x=curve.x,
        y=curve.values,
        customdata=[
            "" if low is None or high is None else f"<br>95 % interval {low:.4g} to {high:.4g}"
            for low, high in zip(curve.low, curve.high, strict=True)
        ],
        mode="lines+markers",
        marker={"size": 4},
        line={
            "color": COLORS[one.color % len(COLORS)],
            "dash": DASHES[one.run % len(DASHES)],
            "width": 2,
        },
        legendgroup=one.name,
        showlegend=alone,
        name=one.name,
        hovertemplate=f"{word} %{{x:.6~g}}<br><b>%{{y:.4g}}</b>%{{customdata}}",
    )


def _explain(panel: go.Figure, lines: Sequence[Line]) -> None:
    """Put colors and dashes into the legend, where an entry for each line would fill the panel."""
    entries = {one.modality: {"color": COLORS[one.color % len(COLORS)]} for one in lines} | {
        one.name.rpartition(" · ")[0]: {"color": INK, "dash": DASHES[one.run % len(DASHES)]}
        for one in lines
    }
    for name, looks in entries.items():
        panel.add_scatter(
            x=[None],
            y=[None],
            mode="lines",
            line=looks | {"width": 2},
            name=name,
            legendgroup=name,  # without groups, entries that fill a row are put below each other
        )


def _stacks(records: Sequence[MonitorRecord]) -> Iterator[go.Figure]:
    """Yield the shares of each run, or of each mean over seeds, as bands that add to 1."""
    epochs = by_epoch(records)
    groups: dict[tuple[str, ...], dict[str, Line]] = {}
    for one in _lines(records, "share", epochs=epochs):
        key = tuple(str(id(record)) for record in one.runs)
        groups.setdefault(key, {})[one.modality] = one
    named_runs = Counter(next(iter(lines.values())).run for lines in groups.values())
    for lines in groups.values():
        first = next(iter(lines.values()))
        run = first.name.rpartition(" · ")[0]
        if named_runs[first.run] > 1:  # seeds that were measured at other steps
            run = first.runs[0].tag or run
        shares = _whole(lines)
        if not shares:
            continue
        panel = figure(f"share{f' · {run}' if run else ' of the trace'}")
        for place, (modality, one) in enumerate(lines.items()):
            panel.add_scatter(
                x=list(shares),
                y=[share[place] for share in shares.values()],
                mode="lines",
                stackgroup="shares",
                line={"color": COLORS[one.color % len(COLORS)], "width": 0.5},
                name=modality,
                hovertemplate="%{x:.6~g}<br><b>%{y:.1%}</b>",
            )
        panel.update_xaxes(title="epoch" if epochs else "step")
        panel.update_yaxes(title="share of the trace", range=[0, 1])
        yield panel


def _whole(lines: Mapping[str, Line]) -> dict[float, list[float]]:
    """Return the shares by x where they divide a whole, which a negative trace does not."""
    known = [dict(zip(one.curve.x, one.curve.values, strict=True)) for one in lines.values()]
    shared = sorted(set(known[0]).intersection(*known))
    found = {x: [values[x] for values in known] for x in shared}
    return {x: shares for x, shares in found.items() if all(0 <= share <= 1 for share in shares)}
