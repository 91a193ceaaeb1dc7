"""How well each modality does by itself: a point for each method."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

from matplotlib.figure import Figure

from sharpscope.checks import one_of
from sharpscope.errors import MisuseError
from sharpscope.figures.alike import check_alike, check_one_mean
from sharpscope.figures.captions import (
    ERROR_OVER_SEEDS,
    caption,
    data_of,
    methods_of,
    named_counts,
    said,
    seeds_of,
    setting_of,
)
from sharpscope.figures.naming import check_distinct, named
from sharpscope.figures.panels import check_drawable, entries_of, legend, panels
from sharpscope.figures.style import color_of, looks, marker_of
from sharpscope.figures.summary import Summary, over_seeds
from sharpscope.results import ContributionResult
from sharpscope.results.contribution import METRIC_WORDS

QUANTITIES: Mapping[str, str] = {
    "probe": "of a fresh linear probe on the frozen features of one encoder",
    "readout": "of the joint model's own logits, the part that its Shapley values give a modality",
    "alone": "of the joint model with the other modalities masked",
}


@looks()
def draw_unimodal(
    results: Sequence[ContributionResult], *, width: str = "text", quantity: str = "probe"
) -> Figure:
    """Return the metric of one modality against that of another, a marker for each method.

    Upper right is better in both; on the diagonal both are alike. Error bars are one standard
    error: over seeds where a method has several, else over the items.

    Args:
        results: Contributions, of at least two modalities; a panel for each pair.
        width: ``column``, ``text`` or ``page``.
        quantity: ``probe``, ``readout`` or ``alone``.

    Raises:
        MisuseError: If the quantity was not measured, or modalities, metrics or splits differ.
    """
    check_drawable(results, width)
    check_unimodal(results, quantity)
    groups = named(results)
    check_distinct(groups, lambda result: ("contribution",))
    check_one_mean(groups)
    pairs = list(combinations(results[0].modalities, 2))
    figure, axes = panels(len(pairs), width, height=2.2)
    for place, (first, second) in zip(axes, pairs, strict=True):
        for name, found in groups.items():
            x, y = _summary(found, quantity, first), _summary(found, quantity, second)
            place.errorbar(
                x.value,
                y.value,
                xerr=x.error,
                yerr=y.error,
                linestyle="none",
                marker=marker_of(name, list(groups)),
                color=color_of(name, list(groups)),
                markersize=5,
                markeredgecolor="black",
                markeredgewidth=0.4,
                ecolor="0.35",
                elinewidth=0.7,
                label=name,
            )
        _square(place)
        place.set_xlabel(f"{first} alone: {_words(results)}")
        place.set_ylabel(f"{second} alone: {_words(results)}")
    if len(pairs) == 1 and width != "column" and len(groups) > 1:
        axes[0].set_anchor("W")
        entries = entries_of(axes)
        place = {"loc": "upper left", "bbox_to_anchor": (1.03, 1.0)}
        axes[0].legend(list(entries.values()), list(entries), **place)
    else:
        legend(figure, axes, list(groups))
    return figure


def check_unimodal(results: Sequence[ContributionResult], quantity: str) -> None:
    """Refuse results that have no place in one scatter.

    Raises:
        MisuseError: If there is one.
    """
    one_of("quantity", quantity, QUANTITIES)
    check_alike(results)
    for what, found in (
        ("set of modalities", {"+".join(result.modalities) for result in results}),
        ("metric", {result.metric for result in results}),
    ):
        if len(found) > 1:
            raise MisuseError(f"one scatter shows one {what}; got {said(sorted(found))}")
    if len(results[0].modalities) < 2:
        raise MisuseError("a scatter of modalities needs two of them")
    for result in results:
        values = getattr(result, quantity)
        if any(values.get(name) is None for name in result.modalities):
            others = [q for q in QUANTITIES if all(getattr(r, q) for r in results)]
            raise MisuseError(
                f"quantity {quantity!r} was not measured in all results; they all have "
                f"{said(others) or 'none of the others'}"
            )


def caption_unimodal(results: Sequence[ContributionResult], *, quantity: str = "probe") -> str:
    """Return what the figure shows, with units and settings."""
    several = named_counts(results)
    samples = data_of(results).partition("mean over ")[2]
    masks = setting_of(results, "mask")
    return caption(
        f"Each modality alone: {_words(results)} {QUANTITIES[quantity]}, on {samples}",
        f"absent modalities: {masks}" if quantity != "probe" else "",
        f"points are means over seeds ({several}), {ERROR_OVER_SEEDS}"
        if several
        else "error bars are one standard error over items, by the bootstrap",
        "both axes span the same range, and on the grey diagonal both modalities do equally well",
        methods_of(results),
        seeds_of(results),
    )


def _words(results: Sequence[ContributionResult]) -> str:
    return METRIC_WORDS.get(results[0].metric, results[0].metric)


def _summary(results: Sequence[ContributionResult], quantity: str, name: str) -> Summary:
    values = [getattr(result, quantity)[name] for result in results]
    return over_seeds(
        values, [getattr(result, f"{quantity}_error").get(name) for result in results]
    )


def _square(axes: Any) -> None:
    """Give both axes the same span, and draw where they are equal."""
    axes.margins(0.12)
    limits = axes.get_xlim(), axes.get_ylim()
    half = max(high - low for low, high in limits) / 2
    (left, right), (bottom, top) = limits
    axes.axline((0, 0), slope=1, color="0.75", linewidth=0.7, zorder=0)
    axes.set_xlim((left + right) / 2 - half, (left + right) / 2 + half)
    axes.set_ylim((bottom + top) / 2 - half, (bottom + top) / 2 + half)
    axes.set_box_aspect(1)
    axes.locator_params(nbins=5)
