"""Every kind of figure by name: what draws it, what its caption says, what it needs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from sharpscope.checks import listed, one_of
from sharpscope.errors import MisuseError
from sharpscope.figures import (
    alignment,
    bars,
    comparison,
    contribution,
    course,
    density,
    dominance,
    flatness,
    landscape,
    profiles,
    sensitivity,
    surfaces,
    unimodal,
    watch,
)
from sharpscope.figures.alike import check_alike
from sharpscope.figures.kind import Checks, Kind
from sharpscope.figures.naming import epoch_of
from sharpscope.figures.planes import QUANTITIES
from sharpscope.figures.watched import WATCHED, check_watched
from sharpscope.results import Record


def _grids(*axes: int) -> Checks:
    def check(results: Sequence[Any]) -> None:
        if {result.values.ndim for result in results} - set(axes):
            raise MisuseError(f"landscapes of {listed(map(str, axes))} axes are needed")
        check_alike(results)

    return check


def _one_epoch(results: Sequence[Any]) -> None:
    """Refuse kept checkpoints of a run, which are a course and no bars."""
    if len({epoch_of(result) for result in results} - {None}) > 1:
        raise MisuseError("results of several epochs are drawn over training")
    bars.check_bars(results)


_RUN, _PLANE = ("sharpscope/train",), ("sharpscope/landscape",)
_SHARE = ("sharpscope/contribution",)
MONITORS = ("sharpscope/monitor",)

KINDS: Mapping[str, Kind] = {
    "dominance": Kind(
        draw=dominance.draw_dominance,
        caption=dominance.caption_dominance,
        schemas=(*_RUN, *MONITORS),
        needs="training runs of masam or msam, or monitors that were told of their steps",
        check=dominance.check_recorded,
    ),
    "alignment": Kind(
        draw=alignment.draw_alignment,
        caption=alignment.caption_alignment,
        schemas=(*_RUN, *_SHARE),
        needs="training runs of masam, or contributions of kept checkpoints",
        check=alignment.check_aligned,
    ),
    "course": Kind(
        draw=course.draw_course,
        caption=course.caption_course,
        schemas=("sharpscope/trace",),
        needs="traces of kept checkpoints",
        check=course.check_epochs,
        quantities=tuple(course.QUANTITIES),
    ),
    "bars": Kind(
        draw=bars.draw_bars,
        caption=bars.caption_bars,
        schemas=tuple(dict.fromkeys(what.kind.schema for what in bars.QUANTITIES.values())),
        needs="traces, eigenvalues, sharpness or gaps, each method at one epoch",
        check=_one_epoch,
        quantities=tuple(bars.QUANTITIES),
    ),
    "density": Kind(
        draw=density.draw_density,
        caption=density.caption_density,
        schemas=("sharpscope/density",),
        needs="spectral densities",
        check=check_alike,
    ),
    "contours": Kind(
        draw=landscape.draw_landscape,
        caption=landscape.caption_landscape,
        schemas=_PLANE,
        needs="landscapes that are planes",
        check=_grids(2),
        quantities=QUANTITIES,
        options=("colors",),
    ),
    "surfaces": Kind(
        draw=surfaces.draw_surfaces,
        caption=surfaces.caption_surfaces,
        schemas=_PLANE,
        needs="landscapes that are planes",
        check=_grids(2),
        quantities=QUANTITIES,
        options=("ceiling", "colors"),
    ),
    "profiles": Kind(
        draw=profiles.draw_profiles,
        caption=profiles.caption_profiles,
        schemas=_PLANE,
        needs="landscapes that are lines",
        check=_grids(1),
        quantities=QUANTITIES,
    ),
    "contribution": Kind(
        draw=contribution.draw_contribution,
        caption=contribution.caption_contribution,
        schemas=_SHARE,
        needs="contributions",
        check=contribution.check_contribution,
    ),
    "forest": Kind(
        draw=comparison.draw_comparison,
        caption=comparison.caption_comparison,
        schemas=("sharpscope/compare",),
        needs="one comparison",
        check=comparison.check_single,
        options=("scale",),
    ),
    "unimodal": Kind(
        draw=unimodal.draw_unimodal,
        caption=unimodal.caption_unimodal,
        schemas=_SHARE,
        needs="contributions of at least two modalities",
        check=check_alike,
        quantities=tuple(unimodal.QUANTITIES),
    ),
    "sensitivity": Kind(
        draw=sensitivity.draw_sensitivity,
        caption=sensitivity.caption_sensitivity,
        schemas=_RUN,
        needs="training runs of a method that differ in a setting",
        check=sensitivity.check_varying,
        quantities=sensitivity.METRICS,
        options=("setting",),
    ),
    "noise": Kind(
        draw=sensitivity.draw_noise,
        caption=sensitivity.caption_noise,
        schemas=_RUN,
        needs="training runs that differ in label_noise",
        check=sensitivity.check_noise,
        quantities=sensitivity.METRICS,
    ),
    "watch": Kind(
        draw=watch.draw_watch,
        caption=watch.caption_watch,
        schemas=MONITORS,
        needs="what a monitor wrote of one run",
        check=watch.check_single,
    ),
    "flatness": Kind(
        draw=flatness.draw_flatness,
        caption=flatness.caption_flatness,
        schemas=MONITORS,
        needs="what monitors wrote of runs",
        check=check_watched,
        quantities=tuple(WATCHED),
    ),
}
# What a record draws where no kind is named: the first of these that fits.
USUAL = ("density", "contours", "profiles", "contribution", "bars", "watch", "dominance")


def draw(results: Sequence[Record], kind: str | None = None, **how: Any) -> Figure:
    """Return the figure of records, the usual one of theirs where no kind is named.

    Args:
        results: Records that one figure can show.
        kind: One of ``KINDS``.
        how: Options of the function that draws it, such as ``width``.

    Raises:
        MisuseError: If there is no such figure of them.

    Example:
        >>> import sharpscope as ss
        >>> draw([ss.load("late.json"), ss.load("masam.json")], "surfaces")  # doctest: +SKIP
    """
    chosen = kind_of(results, kind, usual=True)
    return KINDS[chosen].draw(results, **checked(chosen, how))


def caption_of(results: Sequence[Record], kind: str | None = None, **how: Any) -> str:
    """Return the caption of that figure: data, settings, seeds, ranges, what bands and bars are.

    Args:
        results: As for ``draw``.
        kind: As for ``draw``.
        how: As for ``draw``.

    Raises:
        MisuseError: If there is no such figure of them.
    """
    chosen = kind_of(results, kind, usual=True)
    shown = {name: value for name, value in checked(chosen, how).items() if name != "width"}
    return KINDS[chosen].caption(results, **shown)


def kind_of(results: Sequence[Record], kind: str | None = None, *, usual: bool = False) -> str:
    """Return the kind of figure that records make.

    Args:
        results: Records.
        kind: The one asked for.
        usual: Whether the usual one is taken where several fit and none is asked for.

    Raises:
        MisuseError: If they make none, not the one asked for, or several and none is asked for.
    """
    if not results:
        raise MisuseError("there is no result to draw")
    told = ", ".join(dict.fromkeys(record.schema for record in results))
    why = {name: _refusal(entry, results) for name, entry in KINDS.items()}
    fitting = [name for name, reason in why.items() if reason is None]
    there = f"; they make {listed(fitting)}" if fitting else ""
    if kind is not None:
        if Path(kind).suffix:
            raise MisuseError(f"kind is what to draw; to save a figure as well, pass out={kind!r}")
        one_of("kind", kind, KINDS)
        if why[kind] is not None:
            raise MisuseError(
                f"kind {kind!r} is drawn from {KINDS[kind].needs}; got {told} ({why[kind]}){there}"
            )
        return kind
    if not fitting:
        near = [f"{name}: {why[name]}" for name in KINDS if why[name] != _SCHEMA]
        raise MisuseError(f"no figure shows {told}" + (f" ({'; '.join(near)})" if near else ""))
    if usual:
        fitting = [name for name in USUAL if name in fitting][:1] or fitting
    if len(fitting) > 1:
        raise MisuseError(
            f"these results make several kinds of figure: choose kind {listed(fitting)}"
        )
    return fitting[0]


def checked(kind: str, how: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that are given, if this kind of figure takes them.

    Raises:
        MisuseError: If it does not.
    """
    given = {name: value for name, value in how.items() if value is not None}
    entry = KINDS[kind]
    takes = {"width", *entry.options, *(["quantity"] if entry.quantities else [])}
    for name in given:
        if name not in takes:
            others = [other for other, one in KINDS.items() if _takes(one, name)]
            there = f"; {listed(others)} do" if others else ""
            raise MisuseError(f"{name} means nothing to kind {kind!r}{there}")
    if "quantity" in given:
        one_of("quantity", given["quantity"], entry.quantities, f"of kind {kind}")
    return given


_SCHEMA = "of another kind of result"


def _takes(kind: Kind, name: str) -> bool:
    return name in kind.options or (name == "quantity" and bool(kind.quantities))


def _refusal(kind: Kind, results: Sequence[Record]) -> str | None:
    """Return why records do not make this kind of figure; None if they do."""
    if {record.schema for record in results} - set(kind.schemas):
        return _SCHEMA
    try:
        kind.check(results)
    except MisuseError as error:
        return str(error)
    return None
