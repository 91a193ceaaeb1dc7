"""How the gradients of a modality's own loss and of the fusion loss align over training."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from sharpscope.errors import MisuseError
from sharpscope.figures.alike import check_alike, check_one_mean
from sharpscope.figures.captions import (
    caption,
    data_of,
    means_of,
    methods_of,
    runs_of,
    seeds_of,
)
from sharpscope.figures.curves import Point, curve, cut_told, draw_curve, lacking, within
from sharpscope.figures.dominance import course
from sharpscope.figures.naming import check_distinct, epoch_of, named
from sharpscope.figures.panels import check_drawable, legend, panels, whole_epochs
from sharpscope.figures.style import looks
from sharpscope.results import ContributionResult, RunRecord

Aligned = RunRecord | ContributionResult
COSINE = (-1.0, 1.0)
_ROOM = 0.04  # beyond the ends, so that a marker there is whole


@looks()
def draw_alignment(results: Sequence[Aligned], *, width: str = "text") -> Figure:
    """Return γ over epochs, a panel for each modality, methods overlaid, one scale for all.

    Args:
        results: Records of runs of masam, which take γ in every step; or contributions of kept
            checkpoints, which any method has. Seeds are one mean with its 95 % interval.
        width: ``column``, ``text`` or ``page``.

    Raises:
        MisuseError: If a run recorded none, an epoch is not known, or both kinds are mixed.
    """
    check_drawable(results, width)
    check_aligned(results)
    groups = named(results, epochs=False)
    check_distinct(groups, lambda record: ("alignment", epoch_of(record)))
    modalities = list(dict.fromkeys(name for record in results for name in record.modalities))
    figure, axes = panels(len(modalities), width, sharex=True, sharey=True)
    for place, modality in zip(axes, modalities, strict=True):
        place.set_title(modality)
        for name, records in groups.items():
            found = _runs(records, modality)
            if all(found):
                draw_curve(place, within(curve(found), COSINE), name, list(groups))
        place.axhline(0, color="0.6", linewidth=0.5, zorder=0)
        whole_epochs(place)
    bottom, top = axes[0].get_ylim()
    axes[0].set_ylim(max(bottom, COSINE[0] - _ROOM), min(top, COSINE[1] + _ROOM))
    axes[0].set_ylabel("alignment γ (cosine)")
    legend(figure, axes)
    return figure


def check_aligned(results: Sequence[Aligned]) -> None:
    """Refuse what does not tell γ over epochs.

    Raises:
        MisuseError: If something does not.
    """
    runs = [result for result in results if isinstance(result, RunRecord)]
    measured = [result for result in results if isinstance(result, ContributionResult)]
    if runs and measured:
        raise MisuseError(
            "γ of a run is a mean over training steps and γ of a contribution one over a "
            "split: draw one kind"
        )
    silent = [str(run.recipe["method"]) for run in runs if not run.course("alignment")]
    if silent:
        raise MisuseError(
            f"runs of {', '.join(dict.fromkeys(silent))} record no alignment; those of masam do, "
            "and sharpscope contribution measures it on the kept checkpoints of any run"
        )
    if any(not result.alignment for result in measured):
        raise MisuseError("a contribution without alignment has nothing to draw over epochs")
    if measured and len({epoch_of(result) for result in measured} - {None}) < 2:
        raise MisuseError(
            "alignment over epochs needs contributions of at least two kept checkpoints "
            "(sharpscope train --keep-every N)"
        )
    check_alike(measured, number_of_samples=lambda result: f"{result.samples:,}")
    check_one_mean(named(measured, epochs=False))


def caption_alignment(results: Sequence[Aligned]) -> str:
    """Return what the figure shows, with units and settings."""
    runs = [result for result in results if isinstance(result, RunRecord)]
    measured = [result for result in results if isinstance(result, ContributionResult)]
    groups = named(results, epochs=False)
    modalities = dict.fromkeys(name for result in results for name in result.modalities)
    lines = {
        f"{group}, {name}": own
        for group, found in groups.items()
        for name in modalities
        if all(own := _runs(found, name))
    }
    where = f"mean over the steps of an epoch, in train mode; {runs_of(runs)}" if runs else ""
    if measured:
        samples = data_of(measured).partition("mean over ")[2]
        where = f"over {samples}, in eval mode"
    band = (
        "bands are the error over batches, times 1.96"
        if measured
        else "a line is one run and has no band"
    )
    return caption(
        "Alignment γ: cosine of the gradients of a modality's own loss and of the fusion loss "
        f"with respect to its encoder, {where}",
        means_of(groups, band),
        cut_told(
            ((curve(found), COSINE) for found in lines.values()), "-1 and 1, the ends of a cosine"
        ),
        lacking(lines),
        methods_of(measured),
        seeds_of(results),
    )


def _runs(records: Sequence[Aligned], modality: str) -> list[Mapping[float, Point]]:
    """Return γ of a modality by epoch: of each run, or of the checkpoints of each seed."""
    by_seed: dict[int | None, dict[float, Point]] = {}
    found: list[Mapping[float, Point]] = []
    for record in records:
        if isinstance(record, RunRecord):
            found.append(course(record, "alignment", modality))
            continue
        value, error = record.alignment.get(modality), record.alignment_error.get(modality)
        epoch = epoch_of(record)
        if epoch is not None and modality in record.modalities:
            value = float("nan") if value is None else value
            half = 1.96 * error if error is not None else None
            low, high = (None, None) if half is None else (value - half, value + half)
            recipe = record.provenance.get("recipe") or {}
            by_seed.setdefault(recipe.get("seed"), {})[epoch] = Point(value, low, high)
    return found or list(by_seed.values())
