"""Profiles of lines: the loss, the metric below it, and names beside their marks."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sharpscope.errors import MisuseError
from sharpscope.figures import caption_of, draw, draw_landscape
from sharpscope.results import LandscapeResult
from tests.figures import toy
from tests.results.makers import a_landscape


def a_line(**changes: Any) -> LandscapeResult:
    x = np.linspace(-1, 1, 5)
    return a_landscape(x=x, y=None, values=x**2 + 0.01, labels=("direction 1",), **changes)


def test_profiles_are_overlaid():
    figure = draw_landscape([a_line(tag="late"), replace(a_line(), tag="masam")], width="column")
    (axes,) = figure.axes
    curves = [line for line in axes.lines if np.size(line.get_xdata()) == 5]
    assert [line.get_label() for line in curves] == ["late · cxr", "masam · cxr"]
    assert len({line.get_linestyle() for line in curves}) == 2
    assert axes.get_yscale() == "log"
    assert axes.get_ylabel() == "fusion loss"


def test_checkpoints_are_marked_on_a_profile():
    line = a_line(
        axes="line",
        runs=("a",),
        path_x=np.array([0.0, 1.0]),
        path_loss=np.array([0.01, 1.01]),
        path_names=("late", "masam"),
    )
    (axes,) = draw_landscape([line]).axes
    assert [text.get_text() for text in axes.texts] == ["late", "masam"]
    (marks,) = [one for one in axes.lines if one.get_marker() == "o"]
    assert np.asarray(marks.get_ydata()).tolist() == [0.01, 1.01]


def test_both_ends_of_a_line_are_marked_and_its_axis_says_what_they_are():
    where = np.array([-0.5, 0.0, 0.5, 1.0, 1.5])
    line = a_landscape(
        axes="line",
        labels=("to masam",),
        x=where,
        y=None,
        values=np.array([3.0, 1.0, 2.0, 1.5, 2.5]),
        lengths=(1.0,),
        curvatures=(None,),
        runs=("run",),
        path_names=("masam",),
        path_x=np.array([1.0]),
        path_run=np.array([0.0]),
        path_loss=np.array([1.5]),
        tag="late",
    )
    (axes,) = draw_landscape([line]).axes
    assert [text.get_text() for text in axes.texts] == ["late", "masam"]
    (marks,) = [one for one in axes.lines if one.get_marker() == "o"]
    assert np.asarray(marks.get_xydata()).tolist() == [[0.0, 1.0], [1.0, 1.5]]
    assert axes.get_xlabel() == "to masam (0 is the model, 1 the other one)"


def between(values: list[float], **changes: Any) -> LandscapeResult:
    """Return a line from the model at 0 to another one at 1."""
    x = np.linspace(-0.5, 1.5, 9)
    own: dict[str, Any] = {"y": None, "lengths": (1.0,), "curvatures": (None,), "runs": ("run",)}
    end = {"path_x": np.array([1.0]), "path_run": np.array([0.0]), "path_names": ("seed 2",)}
    at = {"path_loss": np.array([values[6]]), "labels": ("to seed 2",), "axes": "line", "x": x}
    return a_landscape(**(own | end | at | {"values": np.array(values)} | changes))


def places(result: LandscapeResult) -> dict[str, tuple[str, str]]:
    """Return on which side of its mark each name stands."""
    (axes,) = draw_landscape([result]).axes
    return {
        text.get_text(): (text.get_horizontalalignment(), text.get_verticalalignment())
        for text in axes.texts
    }


def test_names_stand_on_the_side_that_the_curve_does_not_cross():
    barrier = between([1.0, 1.1, 1.3, 2.0, 3.0, 2.0, 1.3, 1.1, 1.0], tag="seed 1")
    # The curve rises to the right of the first, and falls to the right of the second.
    assert places(barrier) == {"seed 1": ("right", "baseline"), "seed 2": ("left", "baseline")}
    valleys = between([3.0, 2.0, 1.0, 2.0, 3.0, 2.0, 1.0, 2.0, 3.0])
    assert places(valleys) == {"the model": ("center", "top"), "seed 2": ("center", "top")}


def test_a_run_with_the_name_of_a_method_is_called_as_everywhere():
    values = [1.0, 1.1, 1.3, 2.0, 3.0, 2.0, 1.3, 1.1, 1.0]
    known = between(values, path_names=("masam",), tag="late", provenance=toy.provenance("late"))
    assert set(places(known)) == {"late fusion", "MASAM"}
    assert set(places(replace(known, provenance={}))) == {"late", "masam"}


def test_a_logarithm_of_less_than_two_decades_has_plain_numbers():
    values = [0.35, 0.34, 0.38, 0.7, 1.2, 0.7, 0.38, 0.3, 0.32]
    (axes,) = draw_landscape([between(values)]).axes
    assert axes.get_yscale() == "log"
    assert [text.get_text() for text in axes.get_yticklabels()] == ["0.3", "0.5", "0.7", "1"]
    assert not any(text.get_text() for text in axes.get_yticklabels(minor=True))
    (wide,) = draw_landscape([between([0.01, 0.1, 1, 10, 100, 10, 1, 0.1, 0.01])]).axes
    assert "10^{" in wide.get_yticklabels()[2].get_text()


def with_metric(**changes: Any) -> LandscapeResult:
    return a_line(**{"metric": "accuracy", "metric_values": np.linspace(0.5, 0.9, 5)} | changes)


def test_a_metric_stands_below_the_loss_on_the_same_x():
    figure = with_metric().draw()
    loss, metric = figure.axes
    assert (loss.get_ylabel(), metric.get_ylabel()) == ("fusion loss", "accuracy")
    assert loss.get_position().y0 > metric.get_position().y1
    assert loss.get_xlim() == metric.get_xlim()
    assert loss.get_shared_x_axes().joined(loss, metric)
    assert (loss.get_xlabel(), metric.get_xlabel()) == ("", "direction 1 (units of the direction)")
    assert np.asarray(metric.lines[0].get_ydata()).tolist() == pytest.approx(
        [0.5, 0.6, 0.7, 0.8, 0.9]
    )
    assert (loss.get_yscale(), metric.get_yscale()) == ("log", "linear")
    told = caption_of([with_metric()])
    assert "fusion loss, mean over 12 samples, and accuracy of the fused prediction" in told
    assert (
        "Above, the loss on a scale logarithmic from 0.01 to 1.01; below, accuracy, linear" in told
    )


def test_one_of_both_alone_and_the_loss_where_metrics_differ():
    both = [with_metric(tag="a"), with_metric(tag="b", metric="macro_auprc")]
    assert [axes.get_ylabel() for axes in draw(both).axes] == ["fusion loss"]
    assert "accuracy" not in caption_of(both)
    for quantity, label in (("loss", "fusion loss"), ("metric", "accuracy")):
        figure = draw([with_metric()], "profiles", quantity=quantity)
        assert [axes.get_ylabel() for axes in figure.axes] == [label]
    assert "The scale is linear from 0.5 to 0.9" in caption_of([with_metric()], quantity="metric")
    with pytest.raises(
        MisuseError, match="'metric' needs landscapes that measured one metric; got a"
    ):
        draw(both, quantity="metric")
    with pytest.raises(MisuseError, match="colors 'encoder' is of planes; lines have no scale of"):
        draw_landscape([a_line()], colors="encoder")


def test_what_a_metric_lacks_is_told_with_what_the_loss_lacks():
    values, scores = a_line().values.copy(), np.linspace(0.5, 0.9, 5)
    values[0] = scores[0] = scores[1] = np.nan
    told = caption_of([replace(with_metric(metric_values=scores), values=values)])
    assert "2 points are not finite and left out" in told
