"""Which modality dominates while a model trains, and what says so."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from matplotlib.figure import Figure

from sharpscope.errors import MisuseError
from sharpscope.figures.captions import caption, means_of, runs_of, seeds_of
from sharpscope.figures.curves import Ends, Point, curve, cut_told, draw_curve, lacking, within
from sharpscope.figures.naming import check_distinct, named
from sharpscope.figures.panels import SIDE_BY_SIDE, check_drawable, legend, panels, whole_epochs
from sharpscope.figures.style import looks
from sharpscope.figures.summary import is_number
from sharpscope.results import RunRecord

_ROW = 1.25  # inches


class _Quantity(NamedTuple):
    label: str
    told: str
    ends: Ends  # of its range, where it has one


_QUANTITIES: Mapping[str, _Quantity] = {
    "dominant": _Quantity(
        "steps dominated",
        "steps dominated: share of the steps of an epoch in which the modality was m*",
        (0.0, 1.0),
    ),
    "scores": _Quantity("score", "score: what m* is the largest of, mean over steps", (None, None)),
    "alignment": _Quantity(
        "alignment γ",
        "γ: cosine of the gradients of a modality's own loss and of the fusion loss with respect "
        "to its encoder, mean over steps",
        (-1.0, 1.0),
    ),
    "shares": _Quantity(
        "share v", "v: Shapley share of the performance in a batch, mean over steps", (None, None)
    ),
}


@looks()
def draw_dominance(results: Sequence[RunRecord], *, width: str = "text") -> Figure:
    """Return what runs recorded of each modality, a column for each method, a row for each number.

    Seeds of a method are one mean with its 95 % interval.

    Args:
        results: Records of runs.
        width: ``column``, ``text`` or ``page``.

    Raises:
        MisuseError: If a run recorded none of it, or there are more methods than columns.
    """
    check_drawable(results, width)
    check_recorded(results)
    groups = named(results)
    check_distinct(groups, lambda run: ("dominance",))
    shown = [what for what in _QUANTITIES if any(run.course(what) for run in results)]
    most = SIDE_BY_SIDE[width]
    if len(groups) > most:
        raise MisuseError(
            f"at width {width!r} there is room for {most} methods side by side; got {len(groups)} "
            f"({', '.join(groups)}): draw them in several figures"
        )
    names = list(dict.fromkeys(name for run in results for name in run.modalities))
    places = len(shown) * len(groups)
    figure, axes = panels(places, width, height=_ROW, most=len(groups), sharex=True, sharey="row")
    for row, what in enumerate(shown):
        for column, (name, runs) in enumerate(groups.items()):
            place = axes[row * len(groups) + column]
            _lines(place, runs, what, names)
            if column == 0:
                place.set_ylabel(_label(results, what))
            if row == 0:
                place.set_title(name)
            if row == len(shown) - 1:
                whole_epochs(place)
    legend(figure, axes, names)
    return figure


def check_recorded(results: Sequence[RunRecord]) -> None:
    """Refuse runs of methods that do not look at which modality dominates.

    Raises:
        MisuseError: If there is one.
    """
    silent = [run for run in results if not any(run.course(what) for what in _QUANTITIES)]
    if silent:
        told = ", ".join(dict.fromkeys(str(run.recipe["method"]) for run in silent))
        raise MisuseError(
            f"runs of {told} record nothing of which modality dominates; those of masam and msam do"
        )


def caption_dominance(results: Sequence[RunRecord]) -> str:
    """Return what the figure shows, with units and settings."""
    told = [_QUANTITIES[what].told for what in _QUANTITIES if any(r.course(what) for r in results)]
    groups = named(results)
    names = list(dict.fromkeys(name for run in results for name in run.modalities))
    lines = {
        (group, what, name): found
        for group, runs in groups.items()
        for what in _QUANTITIES
        for name in names
        if all(found := [course(run, what, name) for run in runs])
    }
    return caption(
        f"Dominance over training, {runs_of(results)}",
        "; ".join(told),
        means_of(groups, "a line is one run and has no band"),
        cut_told(
            ((curve(found), _QUANTITIES[what].ends) for (_, what, _), found in lines.items()),
            "the ends of a share, 0 and 1, and of a cosine, -1 and 1",
        ),
        lacking(
            {
                f"{group}, {_QUANTITIES[what].label} of {name}": found
                for (group, what, name), found in lines.items()
            }
        ),
        seeds_of(results),
    )


def _label(results: Sequence[RunRecord], what: str) -> str:
    scores = {run.settings.get("score") for run in results if run.course("scores")}
    return "APS" if what == "scores" and scores == {"aps"} else _QUANTITIES[what].label


def _lines(axes: Any, runs: Sequence[RunRecord], what: str, names: Sequence[str]) -> None:
    ends = low, high = _QUANTITIES[what].ends
    for name in names:
        found = [course(run, what, name) for run in runs]
        if all(found):
            draw_curve(axes, within(curve(found), ends), name, names)
    if not axes.lines:
        axes.text(0.5, 0.5, "not recorded", transform=axes.transAxes, ha="center", color="0.5")
        return
    if what == "alignment":
        axes.axhline(0, color="0.6", linewidth=0.5, zorder=0)
    bottom, top = axes.get_ylim()
    axes.set_ylim(  # an interval may pass the ends of a range that a number cannot
        bottom if low is None else max(bottom, low - 0.04),
        top if high is None else min(top, high + 0.04),
    )


def course(run: RunRecord, what: str, name: str) -> dict[int, Point]:
    """Return what the epochs of a run have of one modality, by epoch; dominance as a share."""
    every = run.course(what)
    found: dict[int, Point] = {}
    for place, entry in enumerate(run.history):
        value = every.get(name, [None] * len(run.history))[place]
        if what == "dominant":
            steps = sum(counts[place] or 0 for counts in every.values())
            value = (value or 0) / steps if steps else None
        found[entry["epoch"]] = Point(float("nan") if value is None else value)
    return found if any(is_number(point.value) for point in found.values()) else {}
