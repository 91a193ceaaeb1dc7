"""Bars, scatters and lines over a setting: the numbers, their errors, their order, refusals."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_hex

from sharpscope.errors import MisuseError
from sharpscope.figures import (
    caption_of,
    draw_bars,
    draw_noise,
    draw_sensitivity,
    draw_unimodal,
)
from sharpscope.figures.style import COLORS
from sharpscope.results import Result
from tests.figures import toy
from tests.results.makers import a_coupling, a_run, a_trace


def heights(axes: Any) -> list[float]:
    return [round(bar.get_height(), 6) for bar in axes.patches]


def errors(container: Any) -> list[float]:
    """Return half the length of each error bar of a container."""
    (lines,) = container[2]
    return [float(abs(end - start)[1]) / 2 for start, end in lines.get_segments()]


def whiskers(axes: Any) -> list[float]:
    """Return half the length of the error bar of each bar."""
    return [errors(bar.errorbar)[0] for bar in axes.containers if getattr(bar, "errorbar", None)]


def legend_of(figure: Any) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def everything() -> list[Result]:
    methods, encoders = ("late", "masam"), ("cxr", "ehr")
    return [
        *(toy.trace(method, encoder) for method in methods for encoder in encoders),
        *(toy.eigen(method, encoder) for method in methods for encoder in encoders),
        *(toy.sharpness(method, encoder) for method in methods for encoder in encoders),
        *(toy.gap(method) for method in methods),
    ]


def test_bars_of_every_number_are_the_known_ones():
    figure = draw_bars(everything())
    trace, largest, sharpness, gap = figure.axes
    assert heights(trace) == [5.0, 12.0, 1.25, 3.0]
    assert heights(largest) == [4.0, 9.0, 1.0, 2.25]
    assert heights(sharpness) == [1.5] * 4
    assert heights(gap) == [2.0, 8.0]
    assert whiskers(trace) == pytest.approx([0.25, 0.6, 0.0625, 0.15])
    assert [text.get_text() for text in trace.get_xticklabels()] == ["ehr", "cxr"]
    assert [text.get_text() for text in gap.get_xticklabels()] == ["all encoders"]
    assert trace.get_ylabel() == "trace (loss / parameter²)"
    assert sharpness.get_ylabel() == "Keskar's Q (%)"
    assert gap.get_ylabel() == "generalization gap (%)"
    assert legend_of(figure) == ["late fusion", "MASAM"]
    assert len({bar.get_hatch() for bar in trace.patches}) == 2  # told apart without color
    assert to_hex(trace.patches[0].get_facecolor()).upper() == COLORS[0]
    places: list[Any] = [axes.get_subplotspec() for axes in figure.axes]
    assert [place.colspan.start for place in places] == [0, 1, 0, 1]


def test_bars_over_seeds_are_means_with_their_error():
    results = [
        replace(toy.trace("late", "ehr", seed=seed), value=value)
        for seed, value in ((0, 1.0), (1, 3.0))
    ]
    (axes,) = draw_bars(results, quantity="trace").axes
    assert heights(axes) == [2.0]
    assert whiskers(axes) == pytest.approx([1.0])
    told = caption_of(results, "bars")
    assert "bars are means over seeds (2 seeds each)" in told.lower()
    assert "Training seeds 0 and 1" in told


def test_a_tag_that_was_given_is_the_name():
    results = [a_trace(tag="ours"), a_trace(tag="theirs", value=1.0)]
    figure = draw_bars(results, width="column", quantity="per_parameter")
    assert legend_of(figure) == ["ours", "theirs"]
    assert figure.get_size_inches()[0] == 3.25


def test_what_has_no_bars():
    with pytest.raises(MisuseError, match="a sharpscope/coupling result has no bar"):
        draw_bars([a_coupling()])
    with pytest.raises(MisuseError, match="quantity must be 'trace', 'per_parameter', 'lambda_max"):
        draw_bars(everything(), quantity="gapp")
    with pytest.raises(MisuseError, match="none of the results has the quantity 'gap'"):
        draw_bars([a_trace()], quantity="gap")
    one = toy.trace("late", "ehr")
    tested = replace(one, provenance={**one.provenance, "split": "test"})
    with pytest.raises(MisuseError, match="must be of one split; got test and train"):
        draw_bars([one, tested])
    with pytest.raises(MisuseError, match="bars of sharpness must be of one measure; got Kesk"):
        draw_bars(
            [toy.sharpness("late", "ehr"), replace(toy.sharpness("masam", "ehr"), method="ball")]
        )
    with pytest.raises(MisuseError, match="two records of late fusion, seed 0"):
        draw_bars([toy.trace("late", "ehr"), toy.trace("late", "ehr")])
    with pytest.raises(MisuseError, match="there is no bar to draw: no trace is finite"):
        draw_bars([a_trace(value=None)])
    with pytest.raises(MisuseError, match="there is no result to draw"):
        draw_bars([])


def test_a_point_for_each_method_with_both_errors():
    results = [
        toy.contribution("late", probe={"ehr": 0.5, "cxr": 0.6}),
        toy.contribution("masam", seed=0, probe={"ehr": 0.7, "cxr": 0.6}),
        toy.contribution("masam", seed=1, probe={"ehr": 0.8, "cxr": 0.8}),
    ]
    figure = draw_unimodal(results)
    (axes,) = figure.axes
    points = {c.get_label(): (c[0].get_xdata()[0], c[0].get_ydata()[0]) for c in axes.containers}
    assert points == {
        "late fusion": (0.5, 0.6),
        "MASAM": (pytest.approx(0.75), pytest.approx(0.7)),
    }
    across, up = axes.containers[1][2]
    assert np.ptp(across.get_segments()[0][:, 0]) / 2 == pytest.approx(0.05)  # over seeds
    assert np.ptp(up.get_segments()[0][:, 1]) / 2 == pytest.approx(0.1)
    across, _ = axes.containers[0][2]
    assert np.ptp(across.get_segments()[0][:, 0]) / 2 == pytest.approx(0.02)  # over items
    assert axes.get_xlabel() == "ehr alone: accuracy"
    assert np.ptp(axes.get_xlim()) == pytest.approx(np.ptp(axes.get_ylim()))
    assert len({c[0].get_marker() for c in axes.containers}) == 2
    assert axes.get_box_aspect() == 1
    beside: Any = axes.get_legend()
    handles: list[Any] = beside.legend_handles
    assert [handle.get_marker() for handle in handles] == ["o", "s"]  # without error bars
    assert "both axes span the same range" in caption_of(results, "unimodal").lower()
    assert draw_unimodal(results, quantity="readout").axes[0].containers[0][0].get_xdata() == [0.55]


def test_three_modalities_are_three_pairs():
    three = {"a": 0.3, "b": 0.4, "c": 0.5}
    result = toy.contribution("late", shares=three, probe=three, probe_error=three)
    figure = draw_unimodal([result])
    assert [(axes.get_xlabel()[0], axes.get_ylabel()[0]) for axes in figure.axes] == [
        ("a", "b"),
        ("a", "c"),
        ("b", "c"),
    ]


def test_what_has_no_place_in_a_scatter():
    one = toy.contribution("late")
    with pytest.raises(MisuseError, match="quantity must be 'probe', 'readout' or 'alone'"):
        draw_unimodal([one], quantity="best")
    with pytest.raises(MisuseError, match="'probe' was not measured in all results; they all have"):
        draw_unimodal([replace(one, probe={})])
    with pytest.raises(MisuseError, match="one scatter shows one metric; got accuracy and macro"):
        draw_unimodal([one, replace(toy.contribution("masam"), metric="macro_auprc")])
    with pytest.raises(MisuseError, match="one scatter shows one set of modalities; got ehr and"):
        draw_unimodal([replace(one, shares={"ehr": 1.0}), toy.contribution("masam")])
    with pytest.raises(MisuseError, match="a scatter of modalities needs two of them"):
        draw_unimodal([replace(one, shares={"ehr": 1.0})])


def sweep() -> list[Any]:
    return [
        toy.run("masam", rho=rho, seed=seed, accuracy=0.5 + rho + 0.1 * seed)
        for rho in (0.3, 0.1)
        for seed in (0, 1)
    ]


def points(container: Any) -> tuple[list[float], list[float]]:
    return (
        [round(float(x), 6) for x in container[0].get_xdata()],
        [round(float(y), 6) for y in container[0].get_ydata()],
    )


def test_a_metric_over_the_setting_that_varies():
    figure = draw_sensitivity([*sweep(), toy.run("late", accuracy=0.55)])
    (axes,) = figure.axes
    (line,) = axes.containers
    assert points(line) == ([0.1, 0.3], [0.65, 0.85])
    assert errors(line) == pytest.approx([0.05, 0.05])
    assert axes.get_xlabel() == "ρ"
    assert axes.get_ylabel() == "test accuracy"
    assert axes.get_xscale() == "linear"
    (level,) = [one for one in axes.lines if one.get_label() == "late fusion"]
    assert np.unique(np.asarray(level.get_ydata())).tolist() == [0.55]
    assert legend_of(figure) == ["MASAM", "late fusion"]
    told = caption_of(sweep(), "sensitivity")
    assert "each point is the mean over 2 seeds" in told.lower()
    assert "ρ = 0.1 to 0.3" in told


def test_data_sets_have_panels_and_wide_ranges_a_logarithm():
    other = [
        replace(run, recipe={**run.recipe, "dataset": "cubic"})
        for run in (toy.run("masam", rho=0.01), toy.run("masam", rho=1.0))
    ]
    figure = draw_sensitivity([*sweep(), *other])
    assert [axes.get_title() for axes in figure.axes] == ["quadratic:plain", "cubic:plain"]
    assert {axes.get_xscale() for axes in figure.axes} == {"log"}


def test_noise_curves_are_lines_of_methods():
    results = [
        toy.run(method, label_noise=rate, seed=seed, accuracy=start - rate + 0.02 * seed)
        for method, start in (("late", 0.8), ("masam", 0.9))
        for rate in (0.0, 0.2, 0.4)
        for seed in (0, 1)
    ]
    figure = draw_noise(results, width="column")
    (axes,) = figure.axes
    assert axes.get_xlabel() == "label noise rate"
    assert [points(line) for line in axes.containers] == [
        ([0.0, 0.2, 0.4], [0.81, 0.61, 0.41]),
        ([0.0, 0.2, 0.4], [0.91, 0.71, 0.51]),
    ]
    assert legend_of(figure) == ["late fusion", "MASAM"]
    assert "abel noise is in the training split alone" in caption_of(results, "noise")


def test_what_cannot_be_drawn_over_a_setting():
    with pytest.raises(MisuseError, match="the runs of no method differ in a number among their"):
        draw_sensitivity([toy.run("masam")])
    two = [toy.run("masam", rho=rho, alpha=rho) for rho in (0.1, 0.2)]
    with pytest.raises(MisuseError, match="differ in 'rho' and 'alpha': name the setting along x"):
        draw_sensitivity(two)
    with pytest.raises(MisuseError, match="setting 'beta' has one value in all runs of a method;"):
        draw_sensitivity(two, setting="beta")
    with pytest.raises(MisuseError, match="'label_noise' has one value"):
        draw_noise(two)
    with pytest.raises(MisuseError, match="quantity 'macro_auroc' is no test metric of RunRecord"):
        draw_sensitivity(sweep(), quantity="macro_auroc")
    with pytest.raises(MisuseError, match=r"two records of MASAM, seed 0 \(rho = 0.3\) differ in"):
        draw_sensitivity([*sweep(), sweep()[0]])


def test_labels_that_do_not_exclude_each_other_have_their_own_metric():
    runs = [
        a_run(settings={"rho": rho}, scores={"auprc": {"x": 0.1}, "macro_auprc": rho})
        for rho in (0.1, 0.2)
    ]
    (axes,) = draw_sensitivity(runs).axes
    assert axes.get_ylabel() == "test mean average precision"
    assert points(axes.containers[0]) == ([0.1, 0.2], [0.1, 0.2])
