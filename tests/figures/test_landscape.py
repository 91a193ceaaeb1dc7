"""Contours and profiles: where the numbers stand, and one scale for all."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import LogNorm

from sharpscope.errors import MisuseError
from sharpscope.figures import caption_of, draw_landscape, draw_surfaces
from sharpscope.results import LandscapeResult
from tests.results.makers import a_landscape


def a_line(**changes: Any) -> LandscapeResult:
    x = np.linspace(-1, 1, 5)
    return a_landscape(x=x, y=None, values=x**2 + 0.01, labels=("direction 1",), **changes)


def panels(figure: Any) -> list[Any]:
    return [axes for axes in figure.axes if axes.get_title()]


def test_planes_stand_in_rows_of_checkpoints_and_columns_of_encoders():
    results = [
        a_landscape(tag=tag, modality=name, values=a_landscape().values * scale)
        for tag, scale in (("late", 1.0), ("masam", 5.0))
        for name in ("ehr", "cxr")
    ]
    shown = panels(draw_landscape(results))
    assert [axes.get_title() for axes in shown] == [
        "late · ehr", "late · cxr", "masam · ehr", "masam · cxr",
    ]  # fmt: skip
    positions = [axes.get_subplotspec() for axes in shown]
    assert [(p.rowspan.start, p.colspan.start) for p in positions] == [
        (0, 0),
        (0, 1),
        (1, 0),
        (1, 1),
    ]
    norms = [axes.collections[0].norm for axes in shown]
    assert {(norm.vmin, norm.vmax) for norm in norms} == {(0.5, 27.5)}
    assert all(isinstance(norm, LogNorm) for norm in norms)
    assert shown[0].get_xlabel() == "direction 1"
    assert shown[0].get_ylabel() == "direction 2"
    assert (shown[0].get_xlim(), shown[0].get_ylim()) == ((-1.0, 1.0), (-2.0, 2.0))


def test_contours_are_where_the_loss_is():
    x, y = np.linspace(-1, 1, 21), np.linspace(-2, 2, 41)
    values = np.add.outer(0 * y, 10 * (x - 0.5) ** 2) + 0.1  # the valley stands at x = 0.5
    (axes,) = panels(draw_landscape([a_landscape(x=x, y=y, values=values)]))
    lowest = axes.collections[0].get_paths()[0].vertices
    assert abs(lowest[:, 0].mean() - 0.5) < 0.1


def test_holes_stay_holes_and_the_scale_is_linear_below_zero():
    values = a_landscape().values.copy()
    values[0, 0] = np.nan
    values[2, 2] = -1.0
    figure = draw_landscape([a_landscape(values=values)])
    (axes,) = panels(figure)
    assert axes.patch.get_hatch() == "xxxx"
    assert not isinstance(axes.collections[0].norm, LogNorm)
    assert any(other.get_ylabel() == "fusion loss" for other in figure.axes)


def test_profiles_are_overlaid():
    figure = draw_landscape([a_line(tag="late"), replace(a_line(), tag="masam")], width="column")
    (axes,) = figure.axes
    curves = [line for line in axes.lines if np.size(line.get_xdata()) == 5]
    assert [line.get_label() for line in curves] == ["late · cxr", "masam · cxr"]
    assert len({line.get_linestyle() for line in curves}) == 2
    assert axes.get_yscale() == "log"
    assert axes.get_ylabel() == "fusion loss"


def test_what_cannot_be_drawn():
    with pytest.raises(MisuseError, match="shows lines, or planes; got results with 1 and 2 axes"):
        draw_landscape([a_line(), a_landscape()])
    with pytest.raises(MisuseError, match="there is no result to draw"):
        draw_landscape([])
    nothing = a_landscape(values=np.full((3, 3), np.nan))
    with pytest.raises(MisuseError, match="there is no landscape to draw: no point is finite"):
        draw_landscape([nothing])


def test_losses_and_splits_that_differ_share_no_scale():
    with pytest.raises(MisuseError, match="must be of one loss; got cxr and fusion"):
        draw_landscape([a_line(tag="a"), a_line(tag="b", loss="cxr")])
    with pytest.raises(MisuseError, match="must be of one split; got None and test"):
        draw_surfaces([a_landscape(tag="a"), a_landscape(tag="b", provenance={"split": "test"})])


def test_grids_and_directions_that_differ_are_told_of_each():
    x = np.linspace(-0.1, 0.1, 5)
    wide = a_landscape(tag="late", settings={"normalize": "filter"})
    near = a_landscape(
        tag="masam",
        x=x,
        y=x,
        values=np.add.outer(x**2, x**2) + 0.5,
        axes="eigen",
        labels=("eigenvector 1", "eigenvector 2"),
    )
    for kind in ("contours", "surfaces"):
        told = caption_of([wide, near], kind)
        assert "3 x 3 (late · cxr) and 5 x 5 (masam · cxr) points along random Gaussian" in told
        assert "directions (late · cxr) and top Hessian eigenvectors (masam · cxr)" in told
        assert "x ±1 (late · cxr) and ±0.1 (masam · cxr), y ±2 (late · cxr) and ±0.1" in told
    eigen = replace(a_line(tag="b"), axes="eigen", labels=("eigenvector 1",))
    (axes,) = draw_landscape([a_line(tag="a"), eigen]).axes
    assert axes.get_xlabel() == "direction 1 or eigenvector 1 (units of the direction)"


def test_directions_of_two_seeds_are_told_apart_by_them():
    shown = panels(draw_landscape([a_landscape(tag="a"), a_landscape(tag="a", seed=1)]))
    assert [axes.get_title() for axes in shown] == ["cxr, seed 0", "cxr, seed 1"]


def with_paths(**changes: Any) -> LandscapeResult:
    return a_landscape(
        axes="pca",
        labels=("PC 1", "PC 2"),
        explained=(0.8123, 0.1),
        runs=("late", "masam"),
        path_x=np.array([-0.9, 0.0, 0.9, 5.0]),
        path_y=np.array([1.5, 0.0, 1.0, -1.0]),
        path_run=np.array([0.0, 0.0, 1.0, 1.0]),
        **changes,
    )


def test_two_runs_in_one_plane_are_two_paths_within_its_range():
    figure = draw_landscape([with_paths()])
    (axes,) = panels(figure)
    found = {line.get_label(): line for line in axes.lines if line.get_label() in ("late", "masam")}
    assert found["late"].get_xdata().tolist() == [-0.9, 0.0]
    assert found["masam"].get_ydata().tolist() == [1.0, -1.0]
    assert found["late"].get_linestyle() != found["masam"].get_linestyle()
    stars = [line for line in axes.lines if line.get_marker() == "*"]
    assert [line.get_xdata().tolist() for line in stars] == [[0.0], [5.0]]
    assert (axes.get_xlim(), axes.get_ylim()) == ((-1.0, 1.0), (-2.0, 2.0))
    assert axes.get_xlabel() == "PC 1 (81.2% of variance)"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["late", "masam"]
    told = caption_of([with_paths()], "contours")
    assert "principal components of the checkpoints of the runs" in told
    assert "from ring to star" in told
    assert "normalization" not in told  # principal components have a length of their own
    aside = a_landscape(x=np.array([-0.5, 0.0, 1.5]), axes="eigen")
    assert "top Hessian eigenvectors, x -0.5 to 1.5, y ±2" in caption_of([aside], "contours")


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


def test_the_metric_in_place_of_the_loss():
    metric = np.linspace(0.5, 0.9, 9).reshape(3, 3)
    result = a_landscape(metric="accuracy", metric_values=metric)
    figure = draw_landscape([result], quantity="metric")
    (axes,) = panels(figure)
    norm = axes.collections[0].norm
    assert (norm.vmin, norm.vmax) == (0.5, 0.9)
    assert not isinstance(norm, LogNorm)
    assert any(other.get_ylabel() == "accuracy" for other in figure.axes)
    with pytest.raises(MisuseError, match="'metric' needs landscapes that measured one metric; g"):
        draw_landscape([a_landscape()], quantity="metric")
    with pytest.raises(MisuseError, match="quantity must be 'loss' or 'metric'; got 'los'"):
        draw_landscape([result], quantity="los")


def test_the_caption_tells_what_was_left_out_and_how_the_axes_were_made():
    values = a_landscape().values.copy()
    values[0, 0] = np.nan
    settings = {"normalize": "filter", "orthogonal": True, "statistics": "frozen"}
    told = caption_of([a_landscape(values=values, settings=settings)], "contours")
    assert "Fusion loss" not in told
    assert "fusion loss, mean over 12 samples" in told
    assert "3 x 3 points along random Gaussian directions, filter normalization, orthogonal" in told
    assert "x ±1, y ±2 in units of the direction" in told
    assert "BatchNorm statistics frozen." in told
    assert "1 point is not finite and left out." in told
    assert "logarithmic from 0.5 to 5.5" in told


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
