"""One run at a glance: flatness of its encoders, their shares, alignment and coupling."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from sharpscope.errors import MisuseError
from sharpscope.figures.along import along_training
from sharpscope.figures.captions import said
from sharpscope.figures.curves import Curve, draw_curve, fit_scale
from sharpscope.figures.events import (
    entries_of,
    mark_events,
    mark_failures,
    number_of,
    shapes_of,
)
from sharpscope.figures.flatness import THRESHOLD, draw_threshold, keep_range
from sharpscope.figures.monitor_captions import caption_monitored
from sharpscope.figures.panels import check_drawable, legend
from sharpscope.figures.style import WIDTHS, color_of, looks
from sharpscope.figures.watched import (
    bounded,
    by_epoch,
    check_watched,
    lines_of,
    measured,
    pairs_of,
    thresholds,
    whole_shares,
)
from sharpscope.results import MonitorRecord

_ROW = 1.3  # inches
_LABEL, _ENTRY = 0.3, 0.14  # inches of the label of x, and of a row of the legend
_MARKED = 40  # markers on a line as wide as the figure
_LABELS = {
    "trace": "trace\n(loss / parameter²)",
    "lambda_max": "λ$_\\mathrm{max}$\n(loss / parameter²)",
    "trained_lambda_max": "λ$_\\mathrm{max}$ of the\ntrained loss",
    "share": "share of\nthe trace",
    "alignment": "alignment γ\n(cosine)",
    "coupling": "coupling\nshare",
}
_APART = 0.13  # between the names of two shares, in heights of the panel


@looks()
def draw_watch(records: Sequence[MonitorRecord], *, width: str = "text") -> Figure:
    """Return what a monitor measured of one run: a row for each number, encoders overlaid.

    Trace, λ_max, the threshold of stability beside λ_max of the loss that is trained, the share of
    the trace, alignment γ and the coupling of pairs. Rows without data are left out; events are
    marked on their encoder.

    Args:
        records: One run.
        width: ``column``, ``text`` or ``page``.

    Raises:
        MisuseError: If there are several, or it has no measurement yet.
    """
    check_drawable(records, width)
    check_single(records)
    (record,) = records
    epochs, shapes = by_epoch(records), shapes_of(records)
    pairs = pairs_of(record, epochs=epochs)
    rows = [what for what in measured(records) if what in _LABELS]
    rows += ["coupling"] if pairs else []
    figure = Figure(figsize=(WIDTHS[width], _ROW * len(rows)), layout="constrained")
    axes = list(figure.subplots(len(rows), 1, squeeze=False, sharex=True)[:, 0])
    for what, place in zip(rows, axes, strict=True):
        place.set_ylabel(_LABELS[what])
        if what == "share":
            _stack(place, record, epochs=epochs)
        elif what == "coupling":
            _couple(place, pairs, record.modalities)
        else:
            for name, line in _lines(place, record, what, epochs=epochs).items():
                events = [
                    (record, event)
                    for event in record.events
                    if event["modality"] == name and what == _row_of(event, rows)
                ]
                mark_events(place, events, line, shapes, epochs=epochs)
        mark_failures(place, record, epochs=epochs)
    along_training(axes[-1], records, epochs=epochs)
    figure.align_ylabels()
    order = [*record.modalities, *map(_pair, pairs), THRESHOLD, *entries_of(shapes)]
    entries = legend(figure, axes, order)
    figure.set_figheight(_ROW * len(rows) + _LABEL + _ENTRY * entries)
    return figure


def caption_watch(records: Sequence[MonitorRecord]) -> str:
    """Return what the figure shows, with data, settings and what was marked."""
    check_single(records)
    (record,) = records
    what = f"Flatness of {said(record.modalities)} over training"
    shown = [quantity for quantity in measured(records) if quantity in _LABELS]
    told = ["the trace with its share of the sum over encoders"] if "trace" in shown else []
    told += ["λ_max"] if "lambda_max" in shown else []
    told += ["λ_max of the loss that is trained"] if "trained_lambda_max" in shown else []
    if "alignment" in shown:
        told.append("γ (cosine of the gradients of an encoder's own loss and of the fusion loss)")
    if pairs_of(record, epochs=False):
        shown.append("coupling")
        told.append("the coupling share (2‖H_ab‖²/‖H‖²) of each pair of encoders")
    if record.tag:
        what = f"{what} in {record.tag}"
    return caption_monitored(records, f"{what}: {said(told)}", shown, bare=["share"])


def check_single(records: Sequence[MonitorRecord]) -> None:
    """Refuse several runs, and one without a measurement.

    Raises:
        MisuseError: If it is so.
    """
    if len(records) > 1:
        raise MisuseError("several runs are drawn as kind flatness")
    check_watched(records)


def _row_of(event: Mapping[str, Any], rows: Sequence[str]) -> str:
    """Return the row that an event stands in: of its number, or the first where that is not."""
    number = number_of(str(event["signal"]), rows)
    return number if number in rows else rows[0]


def _lines(axes: Any, record: MonitorRecord, what: str, *, epochs: bool) -> dict[str, Curve]:
    """Draw a number of each encoder, and return its lines."""
    lines = {
        name: found[0][0]
        for name in record.modalities
        if (found := lines_of([record], name, what, epochs=epochs))
    }
    for name, line in lines.items():
        draw_curve(axes, line, name, record.modalities, most=_most(axes))
    values = [value for line in lines.values() for value in line.values]
    if what == bounded(record):
        levels = {name: thresholds(record, name, what, epochs=epochs) for name in lines}
        alike = len(set(levels.values())) == 1
        for name, (at, level) in levels.items():
            if at:
                draw_threshold(
                    axes, at, level, "black" if alike else color_of(name, record.modalities)
                )
                values += level
    keep_range([axes], what, list(lines.values()), values)
    return lines


def _stack(axes: Any, record: MonitorRecord, *, epochs: bool) -> None:
    """Draw shares as bands that add to 1, each with its name at the right end."""
    at = (record.epochs if epochs else record.steps) or []
    shares = np.array(list(whole_shares(record))).T
    colors = [color_of(name, record.modalities) for name in record.modalities]
    axes.stackplot(at, shares, colors=colors, alpha=0.75, edgecolor="white", linewidth=0.6)
    axes.set_ylim(0, 1)
    whole = np.flatnonzero(np.isfinite(shares).all(axis=0))
    if not whole.size:
        return
    last = shares[:, whole[-1]]
    heights = _spread((np.cumsum(last) - last / 2).tolist())
    for name, height in zip(record.modalities, heights, strict=True):
        axes.annotate(
            name, (1.01, height), xycoords="axes fraction", va="center", fontsize=6.5
        )  # for print without colors


def _spread(heights: Sequence[float]) -> list[float]:
    """Return heights from the bottom up, moved until names at them do not touch."""
    found: list[float] = []
    for height in heights:
        found.append(max(height, found[-1] + _APART) if found else max(height, _APART / 2))
    over = found[-1] - (1 - _APART / 2)
    for place in reversed(range(len(found))):
        highest = 1 - _APART / 2 if place == len(found) - 1 else found[place + 1] - _APART
        found[place] = min(found[place], highest) if over > 0 else found[place]
    return found


def _couple(axes: Any, pairs: Mapping[str, Curve], modalities: Sequence[str]) -> None:
    """Draw the coupling share of pairs, in other colors than those of encoders."""
    names = [_pair(name) for name in pairs]
    for name, line in zip(names, pairs.values(), strict=True):
        draw_curve(axes, line, name, [*modalities, *names], most=_most(axes))
    fit_scale(axes, list(pairs.values()), [v for line in pairs.values() for v in line.values])


def _pair(name: str) -> str:
    return name.replace("+", " + ")


def _most(axes: Any) -> int:
    """Return how many markers a line as wide as the figure has room for."""
    return round(_MARKED * axes.figure.get_size_inches()[0] / WIDTHS["text"])
