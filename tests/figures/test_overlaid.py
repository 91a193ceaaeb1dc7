"""Watched runs overlaid in print: means over seeds, lines of their own, scales, thresholds."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import t

from sharpscope.figures import caption_of, draw_flatness
from sharpscope.figures.style import COLORS
from tests.figures import toy
from tests.figures.test_monitored import CXR, EHR, axes_of, changed, legend, points
from tests.figures.test_over_training import band, lines
from tests.results.makers import a_monitor


def test_seeds_of_a_method_are_a_mean_with_its_interval_though_files_have_names():
    runs = [toy.monitor("late", seed, scale=1 + seed / 10) for seed in (1, 2, 3)]
    ehr, cxr = axes_of(draw_flatness([*runs, toy.monitor("masam", 1)]))
    assert lines(ehr)["late fusion"] == pytest.approx([1.2 * value for value in EHR])
    assert lines(cxr)["MASAM"] == pytest.approx([value / 4 for value in CXR])
    half = t.ppf(0.975, 2) * np.std([1.1, 1.2, 1.3], ddof=1) / 3**0.5
    assert band(ehr)[0] == pytest.approx(2 * (1.2 - half))
    assert band(ehr, 1)[0] == pytest.approx(1.8 / 4)  # of a single run its own
    assert ehr.get_ylim() == cxr.get_ylim()
    assert len(points(ehr, "event: sharpening")) == 4
    assert points(cxr, "event: sharpening") == []
    told = caption_of([*runs, toy.monitor("masam", 1)], "flatness")
    assert told.startswith("Trace of each encoder over training. 4 measurements of each run every ")
    assert "in float32 on cpu, relative error aimed at 0.05, seed 0 of the random draws." in told
    assert "Lines are means over seeds (3 seeds each) where all were measured, bands their" in told
    assert "Bands of a single run are 95 % intervals of the trace over random probes (not" in told
    assert "MASAM (ρ = 0.5)" in told
    assert told.endswith("Training seeds 1, 2 and 3.")


def test_seeds_that_were_measured_at_other_steps_are_lines_of_their_own():
    runs = [toy.monitor("late", seed, shift=7 * seed) for seed in (0, 1)]
    figure = draw_flatness(runs)
    drawn = [line for line in axes_of(figure)[0].lines if line.get_label() == "late fusion"]
    assert [list(line.get_xdata()) for line in drawn] == [
        [0.0, 1.0, 2.0, 3.0],
        [0.07, 1.07, 2.07, 3.07],
    ]
    assert len({line.get_color() for line in drawn}) == 1
    assert "late fusion" in legend(figure)
    told = caption_of(runs, "flatness")
    assert "Each seed of late fusion is a line of its own, as they were measured at other" in told


def test_a_seed_that_lacks_a_few_measurements_still_makes_a_mean():
    short = toy.monitor("late", 2)
    short = replace(short, measurements=short.measurements[:3])
    ehr = axes_of(draw_flatness([toy.monitor("late", 1), short]))[0]
    assert lines(ehr)["late fusion"] == EHR[:3]


@pytest.mark.parametrize(
    ("quantity", "values", "words"),
    [
        ("per_parameter", [0.08, 0.04, 0.02, 0.05], "trace / parameter"),
        ("lambda_max", [3.0, 1.5, 0.9, 2.5], "λ$_\\mathrm{max}$ (loss / parameter²)"),
        ("share", [0.727272727, 0.615384615, 0.454545455, 0.694444444], "share of the trace"),
        ("alignment", [-0.1, 0.1, 0.3, 0.5], "alignment γ (cosine)"),
        ("gradient_norm", [0.5] * 4, "gradient norm (loss / parameter)"),
    ],
)
def test_every_number_over_training(quantity: str, values: list[float], words: str):
    axes = axes_of(draw_flatness([a_monitor()], quantity=quantity))[0]
    assert next(iter(lines(axes).values())) == pytest.approx(values)
    assert axes.get_ylabel() == words
    told = caption_of([a_monitor()], "flatness", quantity=quantity)
    assert ("stability threshold" in told) == (quantity == "lambda_max")
    assert ("1.96 standard errors" in told) == (quantity in ("share", "alignment"))
    assert told.startswith(("Trace", "λ_max", "Share", "Alignment", "Gradient"))


def test_bands_of_shares_and_cosines_are_cut_at_their_ends():
    record = changed(a_monitor(), 3, "ehr", share=0.995, alignment=-0.99)
    assert band(axes_of(draw_flatness([record], quantity="share"))[0])[1] == 1.0
    assert band(axes_of(draw_flatness([record], quantity="alignment"))[0])[0] == -1.0


def test_the_threshold_of_a_method_has_its_color_where_they_differ():
    masam = toy.monitor("masam")
    for place in range(4):
        masam = changed(masam, place, "ehr", threshold=5.0)
    ehr, cxr = axes_of(draw_flatness([toy.monitor("late"), masam], quantity="lambda_max"))

    def colors(axes: Any) -> list[str]:
        return [line.get_color() for line in axes.lines if "threshold" in line.get_label()]

    assert colors(ehr) == list(COLORS[:2])
    assert set(colors(cxr)) == {"black"}
    assert "stability threshold" in legend(ehr.figure)


def test_many_points_keep_a_dozen_markers():
    entries = tuple(
        {**a_monitor().measurements[0], "step": step, "epoch": None} for step in range(0, 3000, 100)
    )
    axes = axes_of(draw_flatness([a_monitor(measurements=entries)]))[0]
    assert axes.lines[0].get_markevery() == (0, 3)


def test_panels_without_one_below_have_numbers_at_their_ticks():
    entries = tuple(
        {**entry, "encoders": {**entry["encoders"], "note": entry["encoders"]["cxr"]}}
        for entry in a_monitor().measurements
    )
    three = a_monitor(modalities=("ehr", "cxr", "note"), measurements=entries)
    figure = draw_flatness([three], width="column")
    assert [axes.get_xlabel() for axes in axes_of(figure)[:3]] == ["", "epoch", "epoch"]
    shown = [axes.xaxis.get_tick_params()["labelbottom"] for axes in axes_of(figure)[:3]]
    assert shown == [False, True, True]
