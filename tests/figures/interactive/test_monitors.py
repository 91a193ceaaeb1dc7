"""Watched runs on a page: lines, bands, marks with their texts, shares, and what is left out."""

from typing import Any

import pytest

from sharpscope.errors import MisuseError
from sharpscope.figures.interactive import look
from tests.figures import toy
from tests.results.makers import a_monitor, a_monitor_of_a_total, a_trace


def named(figure: Any, name: str) -> list[Any]:
    return [trace for trace in figure.data if trace.name == name and not trace.fill]


def titles(figures: Any) -> list[str]:
    return [figure.layout.title.text for figure in figures]


def test_one_run_has_a_figure_of_each_number_and_its_shares():
    (panels,) = look([a_monitor()])
    assert panels.title == "Flatness over training"
    assert titles(panels.figures) == ["trace", "λ_max", "alignment γ", "share of the trace"]
    trace, top, alignment, share = panels.figures
    (ehr,) = named(trace, "ehr")
    assert list(ehr.x) == [0, 1, 2, 3]
    assert list(ehr.y) == [8, 4, 2, 5]
    assert ehr.customdata[0] == "<br>95 % interval 7.8 to 8.2"
    assert len([one for one in trace.data if one.fill == "toself"]) == 2
    assert trace.layout.xaxis.title.text == "epoch"
    assert trace.layout.yaxis.title.text == "trace (loss / parameter²)"
    (threshold,) = named(top, "stability threshold")
    assert list(threshold.y) == [2.0] * 4
    assert tuple(alignment.layout.yaxis.range) == (-1.05, 1.05)
    assert {one.stackgroup for one in share.data} == {"shares"}
    assert [sum(values) for values in zip(*(one.y for one in share.data), strict=True)] == (
        pytest.approx([1.0] * 4)
    )
    assert "Events: sharpening (star, 1). 1 failure" in panels.caption


def test_events_and_failures_tell_their_words_under_the_pointer():
    rang = dict(a_monitor().events[0])
    events = (rang, rang | {"signal": "stability", "text": "above", "step": 0, "epoch": 0})
    (panels,) = look([a_monitor(events=events)])
    (event,) = named(panels.figures[0], "sharpening")
    assert (event.x[0], event.y[0]) == (3.0, 5.0)
    assert event.customdata[0] == "ehr sharpens after it had flattened"
    assert event.marker.symbol == "star"
    (failed,) = named(panels.figures[0], "failed")
    assert failed.x[0] == 1.5
    assert failed.customdata[0] == "SubjectError: the loss is not finite"
    (above,) = named(panels.figures[1], "stability")
    assert (above.x[0], above.y[0]) == (0.0, 3.0)
    assert not named(panels.figures[0], "stability")


def test_several_runs_are_dashes_and_seeds_a_mean():
    runs = [toy.monitor("late", seed, scale=seed) for seed in (1, 3)]
    (panels,) = look([*runs, toy.monitor("masam", 1)])
    trace = panels.figures[0]
    (mean,) = named(trace, "late fusion · ehr")
    assert list(mean.y) == [16, 8, 4, 10]
    (other,) = named(trace, "MASAM · ehr")
    assert mean.line.color == other.line.color
    assert mean.line.dash != other.line.dash
    shown = [one.name for one in trace.data if one.showlegend is not False]
    assert shown[:4] == ["ehr", "cxr", "late fusion", "MASAM"]
    assert titles(panels.figures)[-2:] == ["share · late fusion", "share · MASAM"]
    apart = [toy.monitor("late", seed, shift=7 * seed) for seed in (1, 2)]
    assert titles(look(apart)[0].figures)[-2:] == ["share · s1", "share · s2"]


def test_a_wide_range_is_logarithmic():
    first = a_monitor().measurements[0]
    encoders = {
        "ehr": {**first["encoders"]["ehr"], "trace": 800.0},
        "cxr": first["encoders"]["cxr"],
    }
    (panels,) = look([a_monitor(measurements=({**first, "encoders": encoders},))])
    assert panels.figures[0].layout.yaxis.type == "log"
    assert panels.figures[1].layout.yaxis.type is None


def test_shares_that_divide_no_whole_are_left_out():
    first = a_monitor().measurements[0]
    encoders = {name: {**first["encoders"][name], "share": share}
                for name, share in (("ehr", 1.5), ("cxr", -0.5))}  # fmt: skip
    (panels,) = look([a_monitor(measurements=({**first, "encoders": encoders},))])
    assert "share" not in " ".join(titles(panels.figures))


def test_runs_that_nothing_tells_apart_are_called_by_their_files():
    runs = [toy.monitor("late"), toy.monitor("late"), toy.monitor("masam")]
    (panels,) = look(runs)
    assert named(panels.figures[0], "runs/s0.monitor.jsonl (1) · ehr")
    assert named(panels.figures[0], "runs/s0.monitor.jsonl (2) · ehr")


def test_a_run_without_a_measurement_is_nothing_to_draw():
    with pytest.raises(MisuseError, match="there is no result to draw that has a finite number"):
        look([a_monitor(measurements=())])
    groups = look([a_trace(), a_monitor(measurements=())])
    assert [group.title for group in groups] == ["Numbers side by side"]


def test_a_threshold_stands_beside_the_loss_that_is_trained():
    figures = {
        figure.layout.title.text: figure for figure in look([a_monitor_of_a_total()])[0].figures
    }
    whole, top = figures["λ_max of the trained loss"], figures["λ_max"]
    assert named(whole, "stability threshold")
    assert named(whole, "stability")
    assert not named(top, "stability threshold")
