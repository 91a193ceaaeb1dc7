"""Bars of sharpness per method: a panel for each number, a group for each encoder."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from sharpscope.checks import one_of
from sharpscope.errors import MisuseError
from sharpscope.figures.alike import Read, axis_of, check_alike, check_one_mean, matrix_of
from sharpscope.figures.captions import (
    ERROR_OVER_SEEDS,
    caption,
    counted,
    data_of,
    methods_of,
    said,
    seeds_of,
    spanned,
)
from sharpscope.figures.naming import check_distinct, modalities_of, named, seed_of
from sharpscope.figures.panels import check_drawable, legend, panels
from sharpscope.figures.style import color_of, hatch_of, looks
from sharpscope.figures.summary import is_number, over_seeds
from sharpscope.results import EigenResult, GapResult, Result, SharpnessResult, TraceResult
from sharpscope.results.contribution import METRIC_WORDS

Number = tuple["float | None", "float | None"]


class Quantity(NamedTuple):
    """A number of one kind of result, with its error and what its axis and the caption say."""

    kind: type[Result]
    read: Callable[[Any], Number]
    label: str
    error: str  # of a single result
    joint: bool = False  # whether it is one number of the whole model


def _per_parameter(result: TraceResult) -> Number:
    error = result.standard_error
    return (
        result.normalized.get("per_parameter"),
        None if error is None else error / result.parameters,
    )


def _largest(result: EigenResult) -> Number:
    error = None
    if result.data_errors is not None and result.largest in result.eigenvalues:
        error = result.data_errors[result.eigenvalues.index(result.largest)]
    return result.largest, error


QUANTITIES: Mapping[str, Quantity] = {
    "trace": Quantity(
        TraceResult, lambda r: (r.value, r.standard_error), "trace (loss / parameter²)", "probes"
    ),
    "per_parameter": Quantity(TraceResult, _per_parameter, "trace / parameter", "probes"),
    "lambda_max": Quantity(EigenResult, _largest, "λ$_\\mathrm{max}$ (loss / parameter²)", "data"),
    "sharpness": Quantity(
        SharpnessResult, lambda r: (r.value, r.standard_error), "sharpness", "draws or searches"
    ),
    "gap": Quantity(
        GapResult,
        lambda r: (r.value, r.standard_error),
        "generalization gap (%)",
        "items, by the bootstrap",
        joint=True,
    ),
}
_WORDS = {
    "trace": "trace",
    "per_parameter": "trace / parameter",
    "lambda_max": "λ_max",
    "sharpness": "sharpness",
    "gap": "generalization gap",
}
_MORE: Mapping[str, Mapping[str, Read]] = {"gap": {"metric": lambda result: result.metric}}
_DEFAULTS = ("trace", "lambda_max", "sharpness", "gap")


@looks()
def draw_bars(
    results: Sequence[Result], *, width: str = "text", quantity: str | None = None
) -> Figure:
    """Return bars, a panel for each number, a group for each encoder, a bar for each method.

    Error bars are one standard error: over seeds where a method has several, else the result's.

    Args:
        results: Traces, eigenvalues, sharpness and gaps in any mixture.
        width: ``column``, ``text`` or ``page``.
        quantity: ``trace``, ``per_parameter``, ``lambda_max``, ``sharpness`` or ``gap`` alone.

    Raises:
        MisuseError: If a result has no bar, nothing is finite, or losses or splits differ.
    """
    check_drawable(results, width)
    shown = check_bars(results, quantity)
    names = list(named(results))
    figure, axes = panels(len(shown), width)
    for place, what in zip(axes, shown, strict=True):
        _panel(place, results, what, names)
    legend(figure, axes)
    return figure


def check_bars(results: Sequence[Result], quantity: str | None = None) -> list[str]:
    """Return the numbers that results have bars of.

    Raises:
        MisuseError: If one has none, two cannot be told apart, or they are of different things.
    """
    if quantity is not None:
        one_of("quantity", quantity, QUANTITIES)
    kinds = tuple(what.kind for what in QUANTITIES.values())
    for result in results:
        if not isinstance(result, kinds):
            raise MisuseError(f"a {result.schema} result has no bar")
    shown = [
        what
        for what in ([quantity] if quantity else _DEFAULTS)
        if any(isinstance(result, QUANTITIES[what].kind) for result in results)
    ]
    if not shown:
        raise MisuseError(f"none of the results has the quantity {quantity!r}")
    for what in shown:
        found = _of(results, what)
        check_alike(found, **_MORE.get(what, {}))
        groups = {name: _of(group, what) for name, group in named(results).items()}
        check_distinct(groups, lambda result: (result.schema, result.modality))
        check_one_mean(groups)
        methods = {result.method for result in found}
        if what == "sharpness" and len(methods) > 1:
            raise MisuseError(
                f"bars of sharpness must be of one measure; got {said(sorted(methods))}"
            )
        if not any(is_number(QUANTITIES[what].read(result)[0]) for result in found):
            raise MisuseError(f"there is no bar to draw: no {what} is finite")
    return shown


def caption_bars(results: Sequence[Result], *, quantity: str | None = None) -> str:
    """Return what the figure shows, with units and settings."""
    told: list[str] = []
    errors: list[str] = []
    counts: dict[str, str] = {}
    gone: list[str] = []
    groups = named(results)
    for what in check_bars(results, quantity):
        found = _of(results, what)
        told.append(_sentence(what, found))
        if any(QUANTITIES[what].read(result)[1] is not None for result in found):
            errors.append(f"of {_WORDS[what]} over {QUANTITIES[what].error}")
        counts[what] = counted({name: _finite(group, what) for name, group in groups.items()})
        gone += [
            f"{_WORDS[what]} of {_who(name, result)}"
            for name, group in groups.items()
            for result in _of(group, what)
            if not is_number(QUANTITIES[what].read(result)[0])
        ]
    single = f"error bars are one standard error, {', '.join(errors)}" if errors else ""
    several = _several(counts)
    return caption(
        "Sharpness of each encoder by method",
        *told,
        methods_of(results),
        f"bars are means over seeds ({several}), {ERROR_OVER_SEEDS}"
        if several
        else single or "no error is known",
        f"left out, not finite: {', '.join(gone)}" if gone else "",
        seeds_of(results),
    )


def _several(counts: Mapping[str, str]) -> str:
    """Return the seeds behind each number, told apart where they differ."""
    if len(set(counts.values())) == 1:
        return next(iter(counts.values()))
    return "; ".join(f"{_WORDS[what]}: {told or 'one seed'}" for what, told in counts.items())


def _finite(results: Sequence[Result], what: str) -> list[Any]:
    return [one for one in _of(results, what) if is_number(QUANTITIES[what].read(one)[0])]


def _who(name: str, result: Result) -> str:
    seed = "" if seed_of(result) is None else f", seed {seed_of(result)}"
    return f"{name}{seed} ({result.modality})"


def _sentence(what: str, results: Sequence[Any]) -> str:
    if what == "gap":
        train = spanned(result.train_samples for result in results)
        test = spanned(result.samples for result in results)
        metric = METRIC_WORDS.get(results[0].metric, results[0].metric)
        return (
            f"generalization gap: 100 (train - test) / train of the {metric}, on {train} training "
            f"and {test} test samples"
        )
    how = said(dict.fromkeys(result.method for result in results))
    matrix = f" of the {matrix_of(results[0])}" if matrix_of(results[0]) else ""
    return f"{_WORDS[what]}{matrix}: {how}, {data_of(results)}"


def _label(what: str, results: Sequence[Result]) -> str:
    if what == "sharpness":
        return "Keskar's Q (%)" if "Keskar" in results[0].method else "rise of the loss"
    return axis_of(results[0], QUANTITIES[what].label)


def _of(results: Sequence[Result], what: str) -> list[Any]:
    return [result for result in results if isinstance(result, QUANTITIES[what].kind)]


def _panel(axes: Any, results: Sequence[Result], what: str, names: Sequence[str]) -> None:
    quantity = QUANTITIES[what]
    found = _of(results, what)
    groups = modalities_of(found)
    step = 0.8 / len(names)
    for name, records in named(results).items():
        for group in groups:
            numbers = [
                quantity.read(result)
                for result in records
                if isinstance(result, quantity.kind) and result.modality == group
            ]
            numbers = [(v, e) for v, e in numbers if v is not None and is_number(v)]
            if not numbers:
                continue
            bar = over_seeds([v for v, _ in numbers], [e for _, e in numbers])
            axes.bar(
                groups.index(group) + (names.index(name) - (len(names) - 1) / 2) * step,
                bar.value,
                step * 0.92,
                yerr=bar.error,
                color=color_of(name, names),
                hatch=hatch_of(name, names),
                edgecolor="white",
                linewidth=0,
                error_kw={"elinewidth": 0.8, "ecolor": "black"},
                label=name,
            )
    axes.axhline(0, color="black", linewidth=0.6)
    axes.set_xticks(np.arange(len(groups)), ["all encoders"] if quantity.joint else groups)
    axes.set_ylabel(_label(what, found))
    axes.margins(x=0.08)
