"""The trace of each encoder over training, from the kept checkpoints of runs."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from sharpscope.checks import one_of
from sharpscope.errors import MisuseError
from sharpscope.figures.alike import axis_of, check_alike, check_one_mean, matrix_of, prefix_of
from sharpscope.figures.captions import caption, data_of, means_of, methods_of, seeds_of
from sharpscope.figures.curves import Point, curve, draw_curve, fit_scale, lacking
from sharpscope.figures.naming import check_distinct, epoch_of, modalities_of, named, seed_of
from sharpscope.figures.panels import check_drawable, legend, panels, whole_epochs
from sharpscope.figures.style import looks
from sharpscope.results import TraceResult

QUANTITIES: Mapping[str, str] = {
    "per_parameter": "trace / parameter",
    "trace": "trace (loss / parameter²)",
    "per_gradient_norm": "trace / ‖∇L‖",
    "times_squared_norm": "trace · ‖θ‖²",
}


@looks()
def draw_course(
    results: Sequence[TraceResult], *, width: str = "text", quantity: str = "per_parameter"
) -> Figure:
    """Return traces over epochs, a panel for each encoder, methods overlaid, one scale for all.

    Bands are 95 % intervals: over the probes of a single run, over seeds where there are several.
    The scale is logarithmic where all values are above 0 and span more than a factor of 30.

    Args:
        results: Of kept checkpoints (``sharpscope train --keep-every N``).
        width: ``column``, ``text`` or ``page``.
        quantity: ``per_parameter``, ``trace``, ``per_gradient_norm`` or ``times_squared_norm``.

    Raises:
        MisuseError: If epochs are not known, nothing is finite, or losses or splits differ.
    """
    check_drawable(results, width)
    one_of("quantity", quantity, QUANTITIES)
    check_epochs(results)
    check_alike(results)
    groups = named(results, epochs=False)
    check_distinct(groups, lambda result: (result.modality, f"epoch {epoch_of(result)}"))
    check_one_mean(groups)
    modalities = modalities_of(results)
    lines = {
        (modality, name): curve(_runs(found, modality, quantity))
        for modality in modalities
        for name, found in groups.items()
        if any(result.modality == modality for result in found)
    }
    values = [value for line in lines.values() for value in line.values]
    if not values:
        raise MisuseError(f"there is no trace to draw: no {quantity} is finite")
    figure, axes = panels(len(modalities), width, sharex=True, sharey=True)
    for place, modality in zip(axes, modalities, strict=True):
        place.set_title(modality)
        for name in groups:
            if (modality, name) in lines:
                draw_curve(place, lines[modality, name], name, list(groups))
        whole_epochs(place)
    fit_scale(axes[0], lines.values(), values)
    axes[0].set_ylabel(axis_of(results[0], QUANTITIES[quantity]))
    legend(figure, axes)
    return figure


def check_epochs(results: Sequence[TraceResult]) -> None:
    """Refuse results that are not of several epochs.

    Raises:
        MisuseError: If they are not.
    """
    if any(epoch_of(result) is None for result in results):
        raise MisuseError("a trace over training needs results whose checkpoints store an epoch")
    if len({epoch_of(result) for result in results}) < 2:
        raise MisuseError(
            "a trace over training needs at least two epochs, such as those of sharpscope train "
            "--keep-every N"
        )


def caption_course(results: Sequence[TraceResult], *, quantity: str = "per_parameter") -> str:
    """Return what the figure shows, with units and settings."""
    check_alike(results)
    groups = named(results, epochs=False)
    check_one_mean(groups)
    means = means_of(groups, "bands are 95 % intervals over random probes by Student's t")
    bare = any(result.interval is None for result in results)
    matrix = prefix_of(results[0]) or f"{matrix_of(results[0])} "
    lines = {
        f"{name}, {modality}": _runs(found, modality, quantity)
        for name, found in groups.items()
        for modality in modalities_of(found)
    }
    return caption(
        f"{matrix}trace of each encoder over training, as {QUANTITIES[quantity]}: "
        f"{data_of(results)}",
        f"method {' and '.join(dict.fromkeys(result.method for result in results))}",
        means,
        lacking(lines),
        methods_of(results),
        "no band where fewer than 10 probes were drawn" if bare and "probes" in means else "",
        seeds_of(results),
    )


def _runs(
    results: Sequence[TraceResult], modality: str, quantity: str
) -> list[Mapping[int, Point]]:
    by_seed: dict[int | None, dict[int, Point]] = {}
    for result in results:
        epoch = epoch_of(result)
        if result.modality == modality and epoch is not None:
            by_seed.setdefault(seed_of(result), {})[epoch] = _point(result, quantity)
    return list(by_seed.values())


def _point(result: TraceResult, quantity: str) -> Point:
    """Return the number and its interval, which every normalization scales alike."""
    value = result.value if quantity == "trace" else result.normalized.get(quantity)
    if value is None or result.value is None:
        return Point(float("nan"))
    if result.interval is None or not result.value:
        return Point(value)
    low, high = (end * value / result.value for end in result.interval)
    return Point(value, min(low, high), max(low, high))
