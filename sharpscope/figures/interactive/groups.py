"""Which results belong into one interactive figure, and what its caption says."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import plotly.graph_objects as go

from sharpscope.errors import MisuseError
from sharpscope.figures.captions import caption, data_of, said, seeds_of, spanned
from sharpscope.figures.interactive.bars import bars, whiskers
from sharpscope.figures.interactive.courses import courses
from sharpscope.figures.interactive.house import Scale
from sharpscope.figures.interactive.lines import densities, profiles
from sharpscope.figures.interactive.surface import surfaces
from sharpscope.figures.interactive.volume import volumes
from sharpscope.figures.planes import settings_sentences
from sharpscope.results import DensityResult, LandscapeResult, Record, Result, RunRecord

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
        Panels(title="Numbers side by side", caption=_bars_caption(results), figures=bars(results)),
        *_landscapes(landscapes, 2, "Loss surfaces", surfaces),
        *_landscapes(landscapes, 1, "Loss profiles", profiles),
        *_landscapes(landscapes, 3, "Loss in volumes", volumes),
        *_densities(_of(records, DensityResult)),
        *_courses(_of(records, RunRecord)),
    ]
    found = [panels for panels in found if panels.figures]
    if not found:
        raise MisuseError("there is no result to draw that has a finite number")
    return tuple(found)


def _of(records: Sequence[Record], kind: type[Some]) -> list[Some]:
    return [record for record in records if isinstance(record, kind)]


def _bars_caption(results: Sequence[Result]) -> str:
    told = whiskers(results)
    named = {
        whisker: said(head for head, other in told.items() if other == whisker)
        for whisker in dict.fromkeys(told.values())
    }
    bounds = "; ".join(f"of {heads} {whisker}" for whisker, heads in named.items())
    return caption(
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
            key = (result.axes, str(result.settings.get("normalize")), result.loss)
            groups.setdefault(key, []).append(result)
    return [
        Panels(
            title=title if len(groups) == 1 else f"{title}, {group[0].axes} directions",
            caption=_landscape_caption(group),
            figures=draw(group),
        )
        for group in groups.values()
    ]


def _landscape_caption(results: Sequence[LandscapeResult]) -> str:
    scale = Scale.of(results)
    kind = "" if scale is None else " logarithmic" if scale.log else " linear"
    paths = any(result.path_x is not None for result in results)
    return caption(
        *settings_sentences(results, "loss"),
        "the parameters of the encoder named move; everything else stands still",
        f"one{kind} scale for all",
        _MARKS if results[0].y is not None else "",
        "lines are paths of training, projected into the plane" if paths else "",
    )


def _densities(results: Sequence[DensityResult]) -> list[Panels]:
    if not results:
        return []
    told = caption(
        f"Spectral density of the Hessian of the {data_of(results)}",
        "Bands are one standard error over runs; eigenvalues are smoothed by a Gaussian of width σ "
        f"= {spanned((result.sigma for result in results), '.2g')}",
        seeds_of(results),
    )
    return [Panels(title="Spectral densities", caption=told, figures=densities(results))]


def _courses(records: Sequence[RunRecord]) -> list[Panels]:
    if not records:
        return []
    told = caption("What the epochs of training recorded", seeds_of(records))
    return [Panels(title="Training", caption=told, figures=courses(records))]
