"""Flatness of each encoder while models trained: runs overlaid, seeds as a mean with its band."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from sharpscope.checks import listed, one_of
from sharpscope.errors import MisuseError
from sharpscope.figures.along import along_training
from sharpscope.figures.curves import Curve, draw_curve, fit_scale
from sharpscope.figures.events import entries_of, mark_events, mark_failures, shapes_of
from sharpscope.figures.monitor_captions import WORDS, caption_monitored
from sharpscope.figures.naming import named
from sharpscope.figures.panels import check_drawable, legend, panels
from sharpscope.figures.style import color_of, looks
from sharpscope.figures.watched import (
    WATCHED,
    by_epoch,
    check_watched,
    lines_of,
    measured,
    modalities_of,
    thresholds,
)
from sharpscope.results import MonitorRecord

THRESHOLD = "stability threshold"
_ROOM = 0.04  # of the range of a number, so that a marker at an end of it is whole
Lines = Mapping[tuple[str, str], list[tuple[Curve, list[MonitorRecord]]]]


@looks()
def draw_flatness(
    records: Sequence[MonitorRecord], *, width: str = "text", quantity: str = "trace"
) -> Figure:
    """Return a number of each encoder over training, a panel each, runs overlaid on one scale.

    Seeds of a method that were measured at the same steps are their mean with its 95 % interval;
    other runs are a line each with the interval of their own. The scale is logarithmic where all
    values are above 0 and span more than a factor of 30.

    Args:
        records: What monitors wrote.
        width: ``column``, ``text`` or ``page``.
        quantity: ``trace``, ``per_parameter``, ``lambda_max``, ``trained_lambda_max``, ``share``,
            ``alignment`` or ``gradient_norm``.

    Raises:
        MisuseError: If a run has no measurement yet, or none of this quantity.
    """
    check_drawable(records, width)
    one_of("quantity", quantity, WATCHED)
    check_watched(records)
    there = measured(records)
    if quantity not in there:
        others = f"; quantity may be {listed(there)}" if there else ""
        raise MisuseError(f"no monitor measured {quantity}{others}")
    groups, epochs, shapes = named(records), by_epoch(records), shapes_of(records)
    lines: Lines = {
        (modality, name): found
        for modality in modalities_of(records)
        for name, own in groups.items()
        if (found := lines_of(own, modality, quantity, epochs=epochs))
    }
    modalities = list(dict.fromkeys(modality for modality, _ in lines))
    figure, axes = panels(len(modalities), width, sharex=True, sharey=True)
    for place, modality in zip(axes, modalities, strict=True):
        place.set_title(modality)
        for name in groups:
            for line, behind in lines.get((modality, name), ()):
                draw_curve(place, line, name, list(groups))
                events = [(r, e) for r in behind for e in r.events if e["modality"] == modality]
                mark_events(place, events, line, shapes, epochs=epochs)
        for record in records:
            mark_failures(place, record, epochs=epochs)
        along_training(place, records, epochs=epochs)
    every = [line for found in lines.values() for line, _ in found]
    values = [value for line in every for value in line.values]
    places = dict(zip(modalities, axes, strict=True))
    values += _draw_thresholds(places, groups, quantity, epochs=epochs)
    keep_range(axes, quantity, every, values)
    axes[0].set_ylabel(WATCHED[quantity].label)
    legend(figure, axes, [*groups, THRESHOLD, *entries_of(shapes)])
    return figure


def caption_flatness(records: Sequence[MonitorRecord], *, quantity: str = "trace") -> str:
    """Return what the figure shows, with data, settings and what was marked."""
    check_watched(records)
    what = f"{WORDS[quantity]} of each encoder over training"
    return caption_monitored(records, what, [quantity])


def keep_range(
    axes: Sequence[Any], quantity: str, lines: Sequence[Curve], values: Sequence[float]
) -> None:
    """Choose the scale of a number: its own range where it has one, else by its values.

    Args:
        axes: Panels of one scale, with everything drawn.
        quantity: What is drawn.
        lines: Whose bands stay in the picture.
        values: All that the scale must hold.
    """
    low, high = WATCHED[quantity].ends
    if low is None or high is None or not low <= min(values) <= max(values) <= high:
        fit_scale(axes[0], lines, values)
        return
    room = _ROOM * (high - low)
    for place in axes:
        place.set_ylim(low - room, high + room)
        if low < 0:
            place.axhline(0, color="0.6", linewidth=0.5, zorder=0)


def draw_threshold(axes: Any, at: Sequence[float], values: Sequence[float], color: str) -> None:
    """Draw the threshold of stability as it was over training."""
    # A schedule changes it at some step: until the next measurement, what is known is the last.
    looks = {"linestyle": (0, (4, 2)), "linewidth": 0.8, "drawstyle": "steps-post"}
    axes.plot(at, values, color=color, label=THRESHOLD, **looks)


def _draw_thresholds(
    axes: Mapping[str, Any],
    groups: Mapping[str, Sequence[MonitorRecord]],
    quantity: str,
    *,
    epochs: bool,
) -> list[float]:
    """Draw the threshold of each run, once where they agree, and return all values."""
    values: list[float] = []
    for modality, place in axes.items():
        found = {
            name: list(
                dict.fromkeys(thresholds(one, modality, quantity, epochs=epochs) for one in own)
            )
            for name, own in groups.items()
        }
        alike = len({one[1][-1] for several in found.values() for one in several if one[1]}) == 1
        for name, several in found.items():
            for at, level in filter(all, several):  # those that there are
                color = "black" if alike else color_of(name, list(groups))
                draw_threshold(place, at, level, color)
                values += level
    return values
