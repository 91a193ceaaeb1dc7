"""What contours, profiles and surfaces share: a quantity, an order, and what they are called."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from sharpscope.checks import one_of
from sharpscope.errors import MisuseError
from sharpscope.figures.alike import check_alike
from sharpscope.figures.captions import caption, data_of, methods_of, said, seeds_of
from sharpscope.figures.naming import each_named, modalities_of, named
from sharpscope.figures.panels import check_drawable
from sharpscope.results import LandscapeResult
from sharpscope.results.contribution import METRIC_WORDS

QUANTITIES = ("loss", "metric")
_DIRECTIONS = {
    "random": "random Gaussian directions",
    "eigen": "top Hessian eigenvectors",
    "encoders": "one random direction of each encoder",
    "pca": "principal components of the checkpoints of the runs",
    "line": "directions between checkpoints",
}


def check_planes(
    results: Sequence[LandscapeResult], width: str, quantity: str, axes: tuple[int, ...]
) -> None:
    """Raise unless all are grids of one number of axes, loss and split that have the quantity.

    Raises:
        MisuseError: If they are not.
    """
    check_drawable(results, width)
    one_of("quantity", quantity, QUANTITIES)
    found = {result.values.ndim for result in results}
    if len(found) > 1 or not found <= set(axes):
        wanted = "lines, or planes" if len(axes) > 1 else "planes"
        raise MisuseError(
            f"a figure of landscapes shows {wanted}; got results with "
            f"{' and '.join(map(str, sorted(found)))} axes"
        )
    check_alike(results)
    if quantity == "metric" and not one_metric(results):
        raise MisuseError(
            "quantity 'metric' needs landscapes that measured one metric; got "
            f"{said(sorted(str(result.metric) for result in results))}"
        )


def one_metric(results: Sequence[LandscapeResult]) -> bool:
    """Whether all measured a metric beside the loss, and the same one."""
    metrics = {result.metric for result in results}
    measured = all(result.metric_values is not None for result in results)
    return measured and len(metrics) == 1 and None not in metrics


def grid_of(result: LandscapeResult, quantity: str) -> Any:
    """Return the grid of a quantity, what is not finite masked."""
    values: Any = result.values if quantity == "loss" else result.metric_values
    return np.ma.masked_invalid(values)


def label_of(results: Sequence[LandscapeResult], quantity: str) -> str:
    """Return what the scale shows."""
    if quantity == "metric":
        metric = str(results[0].metric)
        return METRIC_WORDS.get(metric, metric)
    return f"{said(result.loss for result in results)} loss"


def arranged(
    results: Sequence[LandscapeResult], most: int
) -> tuple[int, int, list[LandscapeResult]]:
    """Return rows, columns and results in order: a row for each method, a column for each encoder.

    Where that does not come out even, is too wide, or there is one encoder alone, they stand one
    after the other.
    """
    names = modalities_of(results)
    rows = [
        [result for name in names for result in found if result.modality == name]
        for found in named(results).values()
    ]
    if all(len(row) == len(names) for row in rows) and 1 < len(names) <= most:
        return len(rows), len(names), [result for row in rows for result in row]
    columns = min(len(results), most)
    return -(-len(results) // columns), columns, list(results)


def titles_of(results: Sequence[LandscapeResult]) -> list[str]:
    """Return a title for each: its method, if they are of several, and its encoder."""
    names = each_named(results)
    several = len(set(names)) > 1
    titles = [
        f"{name} · {result.modality}" if several else result.modality
        for name, result in zip(names, results, strict=True)
    ]
    if len({result.seed for result in results}) == 1:
        return titles
    return [
        f"{title}, seed {result.seed}" if titles.count(title) > 1 else title
        for title, result in zip(titles, results, strict=True)
    ]


def axis_labels(result: LandscapeResult) -> list[str]:
    """Return the name of each axis, with the share of the variance that it explains."""
    if not result.explained:
        return list(result.labels)
    shares = zip(result.labels, result.explained, strict=False)
    return [f"{label} ({share:.1%} of variance)" for label, share in shares]


def settings_sentences(
    results: Sequence[LandscapeResult], quantities: Sequence[str] = ("loss",)
) -> list[str]:
    """Return the sentences of a caption that every figure of landscapes needs."""
    kinds = _each(results, lambda r: _DIRECTIONS.get(r.axes, r.axes))
    # The others have a length of their own.
    drawn = [r for r in results if r.axes in ("random", "encoders")]
    normalized = [r for r in drawn if r.settings.get("normalize") is not None]
    how = (
        f", {_each(normalized, lambda r: str(r.settings['normalize']))} normalization"
        if normalized
        else ""
    )
    orthogonal = (
        ", orthogonal" if drawn and all(r.settings.get("orthogonal") for r in drawn) else ""
    )
    shape = _each(results, lambda r: " x ".join(str(n) for n in reversed(r.values.shape)))
    statistics = {str(value) for r in results if (value := r.settings.get("statistics"))}
    reach = ", ".join(
        f"{name} {_each(results, lambda r, name=name: _reach(getattr(r, name)))}"
        for name in ("x", "y", "z")[: results[0].values.ndim]
    )
    measured = data_of(results)
    if "metric" in quantities:
        metric = f"{label_of(results, 'metric')} of the fused prediction"
        both = len(quantities) > 1
        measured = f"{measured}, and {metric}" if both else f"{metric}; {measured}"
    lacking = [np.any([np.ma.getmaskarray(grid_of(r, q)) for q in quantities], 0) for r in results]
    holes = sum(int(mask.sum()) for mask in lacking)
    return [
        measured,
        f"{shape} points along {kinds}{how}{orthogonal}, {reach} in units of the direction",
        f"BatchNorm statistics {said(sorted(statistics))}" if statistics else "",
        methods_of(results),
        f"{holes} {'point is' if holes == 1 else 'points are'} not finite and left out"
        if holes
        else "",
        seeds_of(results),
    ]


def _each(results: Sequence[LandscapeResult], tell: Callable[[LandscapeResult], str]) -> str:
    """Return what is told of all; of each kind with its panels, where it is not one thing."""
    found: dict[str, list[str]] = {}
    for result, title in zip(results, titles_of(results), strict=True):
        found.setdefault(tell(result), []).append(title)
    if len(found) == 1:
        return next(iter(found))
    return said(f"{told} ({', '.join(titles)})" for told, titles in found.items())


def _reach(coordinates: np.ndarray) -> str:
    """Return ``±1``, or both ends where an axis does not reach as far both ways."""
    low, high = float(coordinates.min()), float(coordinates.max())
    return f"±{high:.3g}" if np.isclose(low, -high) else f"{low:.3g} to {high:.3g}"


def caption_of(
    head: str, results: Sequence[LandscapeResult], quantities: Sequence[str], *more: str
) -> str:
    """Return a caption that begins and ends as told."""
    measured, *others = settings_sentences(results, quantities)
    return caption(f"{head}: {measured}", *others, *more)
