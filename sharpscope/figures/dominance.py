"""Which modality dominates while a model trains, and what says so."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from matplotlib.figure import Figure

from sharpscope.errors import MisuseError
from sharpscope.figures.along import along_steps
from sharpscope.figures.captions import caption, means_of, methods_of, runs_of, seeds_of
from sharpscope.figures.curves import Ends, Point, curve, cut_told, draw_curve, lacking, within
from sharpscope.figures.naming import check_distinct, named, recipe_of
from sharpscope.figures.panels import SIDE_BY_SIDE, check_drawable, legend, panels, whole_epochs
from sharpscope.figures.style import looks
from sharpscope.figures.summary import is_number
from sharpscope.results import MonitorRecord, RunRecord

Dominated = RunRecord | MonitorRecord
_SHARED = 0.5  # of every seed's points that must be at the others' places to make a mean
_ROW = 1.25  # inches


class _Quantity(NamedTuple):
    label: str
    told: str
    ends: Ends  # of its range, where it has one


_QUANTITIES: Mapping[str, _Quantity] = {
    "dominant": _Quantity(
        "steps dominated",
        "steps dominated: share of the steps {} in which the modality was m*",
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
def draw_dominance(results: Sequence[Dominated], *, width: str = "text") -> Figure:
    """Return what runs recorded of each modality, a column for each method, a row for each number.

    Seeds of a method are one mean with its 95 % interval.

    Args:
        results: Records of runs, or what monitors wrote that were told of the steps.
        width: ``column``, ``text`` or ``page``.

    Raises:
        MisuseError: If a run recorded none of it, runs do not share their epochs or steps, or there
            are more methods than columns.
    """
    check_drawable(results, width)
    check_recorded(results)
    groups = named(results)
    check_distinct(groups, lambda run: ("dominance",))
    shown = [what for what in _QUANTITIES if any(said_of(run, what) for run in results)]
    epochs = all(map(by_epoch, results))
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
            if row == len(shown) - 1 and epochs:
                whole_epochs(place)
            elif row == len(shown) - 1:
                along_steps(place)
    legend(figure, axes, names)
    return figure


def check_recorded(results: Sequence[Dominated]) -> None:
    """Refuse runs of which is not recorded which modality dominates, and those of unlike places.

    Raises:
        MisuseError: If there is one.
    """
    silent = [run for run in results if not any(said_of(run, what) for what in _QUANTITIES)]
    methods = [str(run.recipe["method"]) for run in silent if isinstance(run, RunRecord)]
    if methods:
        raise MisuseError(
            f"runs of {', '.join(dict.fromkeys(methods))} record nothing of which modality "
            "dominates; those of masam and msam do"
        )
    if silent:
        raise MisuseError(
            f"the monitor of {silent[0].tag or 'the run'} was told of no steps of msam or masam: "
            "give it record=optimizer.step(...)"
        )
    if len({by_epoch(run) for run in results}) > 1:
        raise MisuseError(
            "some runs know their epochs and others their steps alone: draw them apart, or tell "
            "the monitor of epochs"
        )
    for name, runs in named(results).items():
        places = [set(_places(run)) for run in runs]
        shared = set[float]().union(*places[:1]).intersection(*places)
        if any(len(shared) < _SHARED * len(own) for own in places):
            raise MisuseError(
                f"seeds of {name} wrote of their steps at other places and have no mean: draw one "
                "of them, or watch them with when='epoch'"
            )


def caption_dominance(results: Sequence[Dominated]) -> str:
    """Return what the figure shows, with units and settings."""
    shown = [what for what in _QUANTITIES if any(said_of(run, what) for run in results)]
    runs = [run for run in results if isinstance(run, RunRecord)]
    of = " and ".join(
        ["of an epoch"] * bool(runs) + ["since the point before"] * (len(runs) < len(results))
    )
    told = [_QUANTITIES[what].told.format(of) for what in shown]
    groups = named(results)
    names = list(dict.fromkeys(name for run in results for name in run.modalities))
    lines = {
        (group, what, name): found
        for group, own in groups.items()
        for what in _QUANTITIES
        for name in names
        if all(found := [course(run, what, name) for run in own])
    }
    return caption(
        f"Dominance over training, {runs_of(runs)}" if runs else "Dominance over training",
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
            },
            "epoch" if all(map(by_epoch, results)) else "step",
        ),
        "" if runs else methods_of(results),
        seeds_of(results),
    )


def _label(results: Sequence[Dominated], what: str) -> str:
    recipes = [recipe_of(run) or {} for run in results if said_of(run, "scores")]
    scores = {recipe.get("settings", {}).get("score") for recipe in recipes}
    return "APS" if what == "scores" and scores == {"aps"} else _QUANTITIES[what].label


def _lines(axes: Any, runs: Sequence[Dominated], what: str, names: Sequence[str]) -> None:
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


def said_of(run: Dominated, what: str) -> dict[str, list[float | None]]:
    """Return what was recorded of each modality, at each place of the history."""
    return run.course(what) if isinstance(run, RunRecord) else run.said(what)


def by_epoch(run: Dominated) -> bool:
    """Whether every entry of the history knows its epoch."""
    return all(entry.get("epoch") is not None for entry in run.history)


def _places(run: Dominated) -> list[float]:
    """Return where along x each entry of the history stands."""
    word = "epoch" if by_epoch(run) else "step"
    return [entry[word] for entry in run.history]


def course(run: Dominated, what: str, name: str) -> dict[float, Point]:
    """Return what a run has of one modality, by epoch or step; dominance as a share."""
    every = said_of(run, what)
    found: dict[float, Point] = {}
    for place, at in enumerate(_places(run)):
        value = every.get(name, [None] * len(run.history))[place]
        if what == "dominant":
            steps = sum(counts[place] or 0 for counts in every.values())
            value = (value or 0) / steps if steps else None
        found[at] = Point(float("nan") if value is None else value)
    return found if any(is_number(point.value) for point in found.values()) else {}
