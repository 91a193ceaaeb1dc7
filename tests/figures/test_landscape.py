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


def test_a_star_at_the_model_stands_for_the_cross():
    def crosses(result: LandscapeResult) -> int:
        (axes,) = panels(draw_landscape([result]))
        return sum(line.get_marker() == "+" for line in axes.lines)

    through = with_paths()  # the last checkpoint of late is at 0
    assert crosses(through) == 0
    assert "The star of late is the model." in caption_of([through], "contours")
    assert through.path_x is not None
    aside = replace(through, path_x=through.path_x + 0.1)
    assert crosses(aside) == 2  # black below white
    assert "A cross is the model." in caption_of([aside], "contours")
    told = caption_of([replace(through, tag="a"), replace(aside, tag="b")], "contours")
    assert "A cross is the model, or the star of late (a · cxr)." in told


def test_a_figure_is_as_high_as_its_panels_need():
    x, y = np.linspace(-1, 1, 9), np.linspace(0, 1, 5)
    wide = a_landscape(x=x, y=y, values=np.add.outer(y**2, x**2) + 0.1, axes="pca")
    figure = draw_landscape([wide], width="column")
    figure.draw_without_rendering()
    axes, bar = figure.axes
    allotted, drawn = axes.get_position(original=True), axes.get_position()
    assert drawn.height == pytest.approx(allotted.height, rel=0.02)
    assert drawn.width == pytest.approx(allotted.width, rel=0.02)
    assert bar.get_position().height == pytest.approx(drawn.height, rel=0.02)
    inches = figure.get_size_inches()
    assert drawn.height * inches[1] == pytest.approx(drawn.width * inches[0] / 2, rel=0.02)


def test_labels_of_contours_stay_inside_and_off_the_paths():
    x = np.linspace(-1, 1, 21)
    values = np.add.outer(0 * x, x + 2.0)  # contours stand upright
    path = {"runs": ("a",), "path_run": np.zeros(2), "axes": "pca"}
    level = {"path_x": np.array([-1.0, 1.0]), "path_y": np.array([0.0, 0.0])}
    plane = a_landscape(x=x, y=x, values=values, **path, **level)
    (axes,) = panels(draw_landscape([plane]))
    found = [text.get_position() for text in axes.texts]
    assert len(found) == 3
    assert all(0.3 < abs(y) < 0.8 for _, y in found)


def unlike() -> list[LandscapeResult]:
    """Return planes of two encoders, one much steeper than the other, of two methods."""
    return [
        a_landscape(tag=tag, modality=name, values=a_landscape().values * scale * steep)
        for tag, scale in (("late", 1.0), ("masam", 2.0))
        for name, steep in (("ehr", 1.0), ("cxr", 100.0))
    ]


def test_a_scale_of_colors_for_each_encoder():
    figure = draw_landscape(unlike(), colors="encoder", width="column")
    shown = panels(figure)
    norms = [axes.collections[0].norm for axes in shown]
    assert [(norm.vmin, norm.vmax) for norm in norms] == [(0.5, 11.0), (50.0, 1100.0)] * 2
    bars = [axes for axes in figure.axes if axes not in shown]
    assert [bar.get_xlabel() for bar in bars] == ["fusion loss, ehr", "fusion loss, cxr"]
    figure.draw_without_rendering()
    for bar, above in zip(bars, shown[2:], strict=True):
        box, panel = bar.get_position(), above.get_position()
        assert (box.x0, box.x1) == pytest.approx((panel.x0, panel.x1), abs=0.02)
        assert box.y1 < panel.y0
    told = caption_of(unlike(), "contours", colors="encoder")
    assert "anels of one encoder share the scale of colors, by which methods compare" in told
    assert "ehr logarithmic from 0.5 to 11 and cxr logarithmic from 50 to 1.1e+03" in told
    shared = caption_of(unlike(), "contours", colors="shared")
    assert "All panels share the scale of colors, logarithmic from 0.5 to 1.1e+03." in shared


def test_a_scale_for_each_encoder_needs_its_column():
    for draw in (draw_landscape, draw_surfaces):
        with pytest.raises(
            MisuseError, match="a column for each encoder: every method with each of"
        ):
            draw(unlike()[:3], colors="encoder")
        with pytest.raises(MisuseError, match="must be 'shared' or 'encoder'; got 'own'"):
            draw(unlike(), colors="own")
    many = [replace(unlike()[0], modality=name) for name in "abcde"]
    with pytest.raises(
        MisuseError, match="a, b, c, d and e, once, and at most 3 of them at this w"
    ):
        draw_landscape(many, colors="encoder")
    # A single encoder has one scale either way.
    alone = draw_landscape(unlike()[::2], colors="encoder")
    assert sum(axes.get_ylabel() == "fusion loss" for axes in alone.axes) == 1


def test_a_plane_that_would_be_a_sliver_is_drawn_to_two_scales():
    x, y = np.linspace(0, 1, 5), np.linspace(-0.02, 0.02, 5)
    values = x[None] ** 2 + y[:, None] + 1
    sliver = a_landscape(axes="pca", x=x, y=y, values=values, labels=("PCA 1", "PCA 2"))
    assert panels(draw_landscape([sliver]))[0].get_aspect() == "auto"
    told = "Lengths along x and y are drawn to different scales."
    assert told in caption_of([sliver])
    plane = a_landscape(axes="pca", x=x, y=x / 3, values=values, labels=("PCA 1", "PCA 2"))
    assert panels(draw_landscape([plane]))[0].get_aspect() == 1.0
    assert told not in caption_of([plane])


def test_many_panels_of_a_column_stand_in_two():
    results = [a_landscape(tag=f"t{n}") for n in range(6)]
    figure = draw_landscape(results, width="column")
    assert {axes.get_subplotspec().colspan.start for axes in panels(figure)} == {0, 1}
    few = draw_landscape(results[:3], width="column")
    assert {axes.get_subplotspec().colspan.start for axes in panels(few)} == {0}
