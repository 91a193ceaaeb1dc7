"""Bars of what each modality contributes: shares, metrics, alignment."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from sharpscope.checks import one_of
from sharpscope.errors import MisuseError
from sharpscope.figures.alike import check_alike, setting
from sharpscope.figures.captions import caption, data_of, methods_of, seeds_of, setting_of
from sharpscope.figures.naming import each_named
from sharpscope.figures.style import WIDTHS, color_of, hatch_of, looks
from sharpscope.results.contribution import METRIC_WORDS, ContributionResult

_ROW = 1.75  # inches
_KINDS = {
    "without": "without it",
    "alone": "it alone",
    "readout": "readout",
    "probe": "probe",
}


def draw_contribution(results: Sequence[ContributionResult], *, width: str = "text") -> Figure:
    """Return bars of shares, metrics and alignment, one row per checkpoint, one scale for all.

    Error bars are one standard error over the data. Where no result has an alignment, its panels
    are left out.

    Args:
        results: Of one or several checkpoints.
        width: ``text`` (NeurIPS, ICLR) or ``page`` (both columns).

    Raises:
        MisuseError: If there is no result or no such width, or the results are of other data,
            losses, metrics or settings.
    """
    one_of("width", width, WIDTHS)
    if not results:
        raise MisuseError("there is no result to draw")
    check_contribution(results)
    with looks():
        figure = Figure(figsize=(WIDTHS[width], _ROW * len(results) + 0.25), layout="constrained")
        aligned = _aligned(results)
        ratios = [1, 2.4, 1] if aligned else [1, 2.4]
        axes = figure.subplots(
            len(results), len(ratios), squeeze=False, sharey="col", width_ratios=ratios
        )
        names = list(dict.fromkeys(name for result in results for name in result.modalities))
        for row, result, title in zip(axes, results, each_named(results), strict=True):
            _shares(row[0], result, names)
            _metrics(row[1], result, names)
            if aligned:
                _alignment(row[2], result, names)
            if len(results) > 1:
                row[1].set_title(title, loc="center")
        handles, labels = axes[0][1].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
        return figure


def check_contribution(results: Sequence[ContributionResult]) -> None:
    """Refuse contributions whose shares, metrics or alignment no one scale can show.

    Raises:
        MisuseError: If there are any.
    """
    check_alike(
        results,
        metric=lambda result: result.metric,
        performance=_kind,
        normalization=setting("normalize"),
        mask=setting("mask"),
        number_of_samples=lambda result: f"{result.samples:,}",
    )


def _shares(axes: Any, result: ContributionResult, names: Sequence[str]) -> None:
    _bars(axes, [(name, name, result.shares, result.share_error) for name in names], names)
    axes.axhline(1 / len(result.modalities), color="0.4", linestyle=":", linewidth=0.8)
    axes.set_ylabel(f"Shapley share of {_kind(result)}")


def _metrics(axes: Any, result: ContributionResult, names: Sequence[str]) -> None:
    shown = [kind for kind in _KINDS if getattr(result, kind)]
    if len(result.modalities) == 2:  # one alone is the other one masked
        shown.remove("alone")
    bars = [
        (_KINDS[kind], name, getattr(result, kind), getattr(result, f"{kind}_error"))
        for kind in shown
        for name in names
    ]
    _bars(axes, bars, names)
    if result.whole is not None:
        axes.axhline(
            result.whole, color="black", linestyle="--", linewidth=0.8, label="all modalities"
        )
    axes.set_ylabel(f"{METRIC_WORDS[result.metric]}, {result.provenance.get('split', 'data')}")


def _aligned(results: Sequence[ContributionResult]) -> bool:
    """Whether any modality of any result has an alignment."""
    return any(value is not None for result in results for value in result.alignment.values())


def _alignment(axes: Any, result: ContributionResult, names: Sequence[str]) -> None:
    _bars(axes, [(n, n, result.alignment, result.alignment_error) for n in names], names)
    axes.axhline(0, color="black", linewidth=0.6)
    axes.set_ylabel("alignment γ (cosine)")


def caption_contribution(results: Sequence[ContributionResult]) -> str:
    """Return what the figure shows, with units and settings."""
    samples = data_of(results).partition("mean over ")[2]
    masks, how = setting_of(results, "mask"), setting_of(results, "normalize")
    shares = f"{_kind(results[0])} ({how})" if how else _kind(results[0])
    probes = any(result.probe for result in results)
    aligned = _aligned(results)
    middle = "middle" if aligned else "right"
    return caption(
        f"What each modality contributes, on {samples}",
        f"left: Shapley shares of {shares}, which add up to 1; the dotted line is an equal share",
        f"{middle}: {METRIC_WORDS[results[0].metric]} without a modality, by the joint model's "
        f"readout of it{', and by a fresh linear probe on its features' if probes else ''}; the "
        "dashed line has all modalities",
        "right: alignment γ, the cosine of the gradients of a modality's own loss and of the "
        "fusion loss"
        if aligned
        else "",
        f"absent modalities: {masks}; error bars are one standard error over items by the "
        f"bootstrap{', of γ over batches by the jackknife' if aligned else ''}",
        methods_of(results),
        seeds_of(results),
    )


Bar = tuple[str, str, Mapping[str, "float | None"], Mapping[str, "float | None"]]


def _bars(axes: Any, bars: Sequence[Bar], names: Sequence[str]) -> None:
    """Draw bars in groups, each with its error; what was not measured leaves its place empty."""
    groups = list(dict.fromkeys(group for group, *_ in bars))
    single = all(group == name for group, name, *_ in bars)
    step = 0.8 if single else 0.8 / len(names)
    told: set[str] = set()
    for group, name, values, errors in bars:
        value, error = values.get(name), errors.get(name)
        if value is None:
            continue
        place = groups.index(group) + (
            0.0 if single else (names.index(name) - (len(names) - 1) / 2) * step
        )
        axes.bar(
            place,
            value,
            step * 0.92,
            yerr=error,
            color=color_of(name, names),
            hatch=hatch_of(name, names),
            edgecolor="white",
            linewidth=0,
            error_kw={"elinewidth": 0.8, "ecolor": "black"},
            label=None if name in told else name,
        )
        told.add(name)
    axes.set_xticks(np.arange(len(groups)), groups)
    axes.margins(x=0.08)


def _kind(result: ContributionResult) -> str:
    kind = str(result.settings.get("kind", "accuracy"))
    return {"neg_loss": "-loss", "true_prob": "P(true)"}.get(kind, kind)
