"""Which results belong into one interactive figure, and what its caption says."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import plotly.graph_objects as go

from sharpscope.errors import MisuseError
from sharpscope.figures.alike import matrix_of
from sharpscope.figures.captions import caption, data_of, said, seeds_of, spanned
from sharpscope.figures.interactive.bars import bars, whiskers
from sharpscope.figures.interactive.courses import courses
from sharpscope.figures.interactive.house import Scale
from sharpscope.figures.interactive.lines import densities, profiles
from sharpscope.figures.interactive.monitors import caption_monitors, monitors, told_apart
from sharpscope.figures.interactive.sides import key_of, sides
from sharpscope.figures.interactive.sides import told as told_of
from sharpscope.figures.interactive.surface import surfaces
from sharpscope.figures.interactive.volume import volumes
from sharpscope.figures.planes import settings_sentences
from sharpscope.figures.whose import names_of
from sharpscope.results import (
    DensityResult,
    LandscapeResult,
    MonitorRecord,
    Record,
    Result,
    RunRecord,
)

Some = TypeVar("Some", bound=Record)
_MARKS = "the cross is the model; what is not finite is a hole"


@dataclass(frozen=True, kw_only=True)
class Panels:
    """Figures that are looked at together, under one caption.

    Args:
        title: What they show.
        caption: Data, settings, scale and errors, in sentences.
        figures: One for each panel; those that are compared share one scale.
    """

    title: str
    caption: str
    figures: tuple[Any, ...]  # of plotly, which has no types


def look(records: Sequence[Record]) -> tuple[Panels, ...]:
    """Return interactive figures of results of any kinds, those of one kind together.

    Args:
        records: Results and records of training runs.

    Raises:
        MisuseError: If there is nothing in them to draw.

    Example:
        >>> look([ss.load("cxr.json")])[0].figures[0].show()  # doctest: +SKIP
    """
    results = _of(records, Result)
    landscapes = _of(records, LandscapeResult)
    found = [
        *_numbers(results),
        *_landscapes(landscapes, 2, "Loss surfaces", surfaces),
        *_landscapes(landscapes, 1, "Loss profiles", profiles),
        *_landscapes(landscapes, 3, "Loss in volumes", volumes),
        *_densities(_of(records, DensityResult)),
        *_courses(_of(records, RunRecord)),
        *_monitors(_of(records, MonitorRecord)),
    ]
    found = [panels for panels in found if panels.figures]
    if not found:
        raise MisuseError("there is no result to draw that has a finite number")
    return tuple(found)


def _of(records: Sequence[Record], kind: type[Some]) -> list[Some]:
    return [record for record in records if isinstance(record, kind)]


def _numbers(results: Sequence[Result]) -> list[Panels]:
    """Return bars, those of other data or of another matrix as other figures."""
    names = names_of(results)
    groups = sides(results, names)
    titles = _titles("Numbers side by side", [key_of(group[0]) for group in groups])
    return [
        Panels(title=title, caption=_bars_caption(group), figures=bars(group, names))
        for title, group in zip(titles, groups, strict=True)
    ]


def _titles(title: str, keys: Sequence[tuple[str, ...]]) -> list[str]:
    """Return a title for each group: what differs between them, and a number where nothing does."""
    if not keys:
        return []
    differing = [place for place in range(len(keys[0])) if len({k[place] for k in keys}) > 1]
    found = [", ".join([title, *(key[n] for n in differing if key[n])]) for key in keys]
    return [
        f"{one} ({found[: n + 1].count(one)})" if found.count(one) > 1 else one
        for n, one in enumerate(found)
    ]


def _bars_caption(results: Sequence[Result]) -> str:
    told = whiskers(results)
    named = {
        whisker: said(head for head, other in told.items() if other == whisker)
        for whisker in dict.fromkeys(told.values())
    }
    bounds = "; ".join(f"of {heads} {whisker}" for whisker, heads in named.items())
    return caption(
        told_of(results),
        "larger is sharper for curvature and sharpness",
        f"error bars: {bounds}" if bounds else "",
        seeds_of(results),
    )


def _landscapes(
    results: Sequence[LandscapeResult],
    axes: int,
    title: str,
    draw: Callable[[Sequence[LandscapeResult]], tuple[go.Figure, ...]],
) -> list[Panels]:
    """Return figures of the landscapes with so many axes; other directions are other figures."""
    groups: dict[tuple[Any, ...], list[LandscapeResult]] = {}
    for result in results:
        if result.values.ndim == axes:
            normalize = result.settings.get("normalize")
            how = f"{normalize} normalization" if normalize else ""
            key = (f"{result.axes} directions", how, data_of([result]))
            groups.setdefault(key, []).append(result)
    return [
        Panels(
            title=name,
            caption=_landscape_caption(group),
            figures=draw(group),
        )
        for name, group in zip(_titles(title, list(groups)), groups.values(), strict=True)
    ]


def _landscape_caption(results: Sequence[LandscapeResult]) -> str:
    scale = Scale.of(results)
    kind = "" if scale is None else " logarithmic" if scale.log else " linear"
    paths = any(result.path_x is not None for result in results)
    return caption(
        *settings_sentences(results),
        "the parameters of the encoder named move; everything else stands still",
        f"one{kind} scale for all",
        _MARKS if results[0].y is not None else "",
        "lines are paths of training, projected into the plane" if paths else "",
    )


def _densities(results: Sequence[DensityResult]) -> list[Panels]:
    groups: dict[tuple[str, ...], list[DensityResult]] = {}
    for result in results:
        groups.setdefault((data_of([result]), matrix_of(result)), []).append(result)
    return [
        Panels(title=title, caption=_density_caption(group), figures=densities(group))
        for title, group in zip(
            _titles("Spectral densities", list(groups)), groups.values(), strict=True
        )
    ]


def _density_caption(results: Sequence[DensityResult]) -> str:
    return caption(
        f"Spectral density of the {matrix_of(results[0])}: {data_of(results)}",
        "Bands are one standard error over runs; eigenvalues are smoothed by a Gaussian of width σ "
        f"= {spanned((result.sigma for result in results), '.2g')}",
        seeds_of(results),
    )


def _courses(records: Sequence[RunRecord]) -> list[Panels]:
    if not records:
        return []
    told = caption("What the epochs of training recorded", seeds_of(records))
    return [Panels(title="Training", caption=told, figures=courses(records))]


def _monitors(records: Sequence[MonitorRecord]) -> list[Panels]:
    shown = told_apart(records)
    if not shown:
        return []
    return [
        Panels(
            title="Flatness over training",
            caption=caption_monitors(shown),
            figures=monitors(shown),
        )
    ]
