"""A metric over the values of one setting: of the method, or the rate of wrong labels."""

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from sharpscope.checks import listed
from sharpscope.errors import MisuseError
from sharpscope.figures.captions import caption, runs_of, said, seeds_of, setting_of
from sharpscope.figures.naming import check_distinct, named, setting_words
from sharpscope.figures.panels import check_drawable, legend, panels
from sharpscope.figures.style import color_of, line_of, looks, marker_of
from sharpscope.figures.summary import Summary, over_seeds
from sharpscope.figures.ticks import logarithmic
from sharpscope.results import RunRecord
from sharpscope.results.contribution import METRIC_WORDS

NOISE = "label_noise"
METRICS = (*METRIC_WORDS, "loss")
_SPAN = 20.0  # values that span a larger factor stand on a logarithmic scale


@looks()
def draw_sensitivity(
    results: Sequence[RunRecord],
    *,
    width: str = "text",
    quantity: str | None = None,
    setting: str | None = None,
) -> Figure:
    """Return a test metric over the values of one setting, a line for each method.

    Error bars are one standard error over seeds. A method without that setting is a level line.

    Args:
        results: Runs that differ in it; a panel for each data set.
        width: ``column``, ``text`` or ``page``.
        quantity: A metric of the fused prediction; mean average precision where labels do not
            exclude each other, else accuracy.
        setting: Its name in the recipe; the only one that varies if left out.

    Raises:
        MisuseError: If none varies, several do and none is named, or a run lacks the metric.
    """
    check_drawable(results, width)
    setting = varying_setting(results, setting)
    quantity = quantity or default_metric(results)
    every = named(results, apart=(setting,))
    check_distinct(every, lambda run: (f"{setting} = {run.settings.get(setting)}",))
    # A panel says which data set it is of; a line does not repeat it.
    parts = {data: named(found, apart=(setting,)) for data, found in by_data(results).items()}
    names = list(dict.fromkeys(name for groups in parts.values() for name in groups))
    figure, axes = panels(len(parts), width, height=1.9)
    for place, (data, groups) in zip(axes, parts.items(), strict=True):
        for name, runs in groups.items():
            _line(place, runs, setting, quantity, name, names)
        values = [float(r.settings[setting]) for r in results if setting in r.settings]
        if min(values) > 0 and max(values) > _SPAN * min(values):
            logarithmic(place, "x")
        if len(parts) > 1:
            place.set_title(data)
        place.set_xlabel(setting_words(setting))
    axes[0].set_ylabel(f"test {METRIC_WORDS.get(quantity, quantity)}")
    legend(figure, axes, names)
    return figure


@looks()
def draw_noise(
    results: Sequence[RunRecord], *, width: str = "text", quantity: str | None = None
) -> Figure:
    """Return a test metric over the rate of wrong training labels, a line for each method.

    Args:
        results: Runs that differ in it.
        width: ``column``, ``text`` or ``page``.
        quantity: As for ``draw_sensitivity``.

    Raises:
        MisuseError: If they do not differ in it.
    """
    return draw_sensitivity(results, width=width, quantity=quantity, setting=NOISE)


def varying_setting(results: Sequence[RunRecord], setting: str | None = None) -> str:
    """Return the setting along x.

    Raises:
        MisuseError: If it does not vary, or several do and none is named.
    """
    found = [name for name in varying(results) if setting is not None or name != NOISE]
    if setting is not None:
        if setting not in found:
            there = f"; what differs is {listed(found)}" if found else ""
            raise MisuseError(f"setting {setting!r} has one value in all runs of a method{there}")
        return setting
    if len(found) != 1:
        raise MisuseError(
            "the runs of no method differ in a number among their settings"
            if not found
            else f"the runs differ in {listed(found).replace(' or ', ' and ')}: name the setting "
            "along x"
        )
    return found[0]


def check_varying(results: Sequence[RunRecord]) -> None:
    """Refuse runs that differ in nothing to put along x.

    Raises:
        MisuseError: If they do not.
    """
    if not [name for name in varying(results) if name != NOISE]:
        varying_setting(results)


def check_noise(results: Sequence[RunRecord]) -> None:
    """Refuse runs with one rate of label noise.

    Raises:
        MisuseError: If they are such.
    """
    varying_setting(results, NOISE)


def varying(results: Sequence[RunRecord]) -> list[str]:
    """Return the settings with numbers in which runs of one method on one data set differ."""
    alike: dict[tuple[Any, ...], list[RunRecord]] = {}
    for run in results:
        key = (run.recipe["dataset"], run.recipe["preset"], run.recipe["method"])
        alike.setdefault(key, []).append(run)
    found: dict[str, None] = {}
    for runs in alike.values():
        for name, value in runs[0].settings.items():
            if isinstance(value, int | float) and len({r.settings.get(name) for r in runs}) > 1:
                found[name] = None
    return list(found)


def default_metric(results: Sequence[RunRecord]) -> str:
    """Return the metric of the field: another one where labels do not exclude each other."""
    scores = results[0].metrics.get("test", {}).get("fusion", {})
    return "macro_auprc" if "auprc" in scores else "accuracy"


def caption_sensitivity(
    results: Sequence[RunRecord], *, quantity: str | None = None, setting: str | None = None
) -> str:
    """Return what the figure shows, with units and settings."""
    setting = varying_setting(results, setting)
    quantity = quantity or default_metric(results)
    counts = sorted({len(found) for found in _points(results, setting, quantity)})
    level = [run for run in results if setting not in run.settings]
    kind = setting_of(results, "noise_kind")
    return caption(
        f"Test {METRIC_WORDS.get(quantity, quantity)} of the fused prediction over "
        f"{setting_words(setting)}, {runs_of(results)}",
        f"{kind} label noise is in the training split alone".strip() if setting == NOISE else "",
        f"each point is the mean over {said(counts, ending='or')} seeds, "
        "error bars are one standard error of it"
        if counts[-1] > 1
        else "each point is one run, without an error",
        f"level lines are methods without {setting_words(setting)}" if level else "",
        seeds_of(results),
    )


def caption_noise(results: Sequence[RunRecord], *, quantity: str | None = None) -> str:
    """Return what the figure shows, with units and settings."""
    return caption_sensitivity(results, quantity=quantity, setting=NOISE)


def by_data(results: Sequence[RunRecord]) -> dict[str, list[RunRecord]]:
    """Return runs by data set and preset."""
    found: dict[str, list[RunRecord]] = {}
    for run in results:
        found.setdefault(f"{run.recipe['dataset']}:{run.recipe['preset']}", []).append(run)
    return found


def _points(results: Sequence[RunRecord], setting: str, quantity: str) -> list[list[float]]:
    groups = named(results, apart=(setting,))
    return [
        values for runs in groups.values() for values in _by_value(runs, setting, quantity).values()
    ]


def _by_value(runs: Sequence[RunRecord], setting: str, quantity: str) -> dict[Any, list[float]]:
    found: dict[Any, list[float]] = {}
    for run in runs:
        scores = run.metrics.get("test", {}).get("fusion", {})
        if not isinstance(scores.get(quantity), int | float):
            there = [name for name, value in scores.items() if isinstance(value, int | float)]
            raise MisuseError(
                f"quantity {quantity!r} is no test metric of {run!r}; it has {listed(there)}"
            )
        found.setdefault(run.settings.get(setting), []).append(scores[quantity])
    return found


def _line(
    axes: Any,
    runs: Sequence[RunRecord],
    setting: str,
    quantity: str,
    name: str,
    names: Sequence[str],
) -> None:
    color, line = color_of(name, names), line_of(name, names)
    found = _by_value(runs, setting, quantity)
    means: dict[Any, Summary] = {value: over_seeds(found[value]) for value in found}
    if None in means:
        level = means[None]
        axes.axhline(level.value, color=color, linestyle=line, label=name)
        if level.error is not None:
            ends = level.value - level.error, level.value + level.error
            axes.axhspan(*ends, color=color, alpha=0.18, linewidth=0)
        return
    values = sorted(means)
    axes.errorbar(
        values,
        [means[value].value for value in values],
        yerr=None
        if all(means[value].error is None for value in values)
        else [means[value].error or 0.0 for value in values],
        color=color,
        linestyle=line,
        marker=marker_of(name, names),
        markersize=3,
        elinewidth=0.8,
        label=name,
    )
