"""Surfaces in rows: one range of z, one camera, one scale of colors; what is cut is told."""

from typing import Any

import numpy as np
import pytest
from matplotlib.colors import LogNorm

from sharpscope.errors import MisuseError
from sharpscope.figures import caption_of, draw_surfaces
from sharpscope.figures.paths import height_at
from sharpscope.figures.surfaces import CAMERA
from tests.figures import toy
from tests.results.makers import a_landscape


def planes(**changes: Any) -> list[Any]:
    return [
        toy.plane(method, modality, **changes)
        for method in ("late", "masam")
        for modality in ("cxr", "ehr")
    ]


def surfaces(figure: Any) -> list[Any]:
    return [axes for axes in figure.axes if axes.name == "3d"]


def heights(axes: Any) -> np.ndarray:
    """Return z of every corner that is drawn."""
    surface = axes.collections[0]
    corners = np.asarray(surface._faces)[..., 2]
    # A polygon with a corner cut off leaves the place of that corner unset.
    return np.where(np.broadcast_to(surface._invalid_vertices, corners.shape), np.nan, corners)


def test_everything_is_shared():
    figure = draw_surfaces(planes())
    shown = surfaces(figure)
    assert [text.get_text() for text in figure.texts] == [
        "late fusion · ehr",
        "late fusion · cxr",
        "MASAM · ehr",
        "MASAM · cxr",
    ]  # methods by encoders in the order of the model
    highest = 0.1 + 0.5 * (9 + 3)
    (ends,) = {axes.get_zlim() for axes in shown}
    assert ends == pytest.approx((0.0, highest))
    assert {(axes.elev, axes.azim) for axes in shown} == {CAMERA}
    norms = {id(axes.collections[0].norm) for axes in shown}
    assert len(norms) == 1
    assert isinstance(shown[0].collections[0].norm, LogNorm)
    assert np.nanmax(heights(shown[1])) == pytest.approx(highest)
    assert np.nanmax(heights(shown[2])) == pytest.approx(0.1 + 0.5 * 5 / 4)
    assert figure.axes[-1].get_ylabel() == "fusion loss"
    assert shown[0].get_xlabel() == "direction 1"
    assert "Nothing is cut off." in caption_of(planes(), "surfaces")


def test_rows_and_columns():
    shown = surfaces(draw_surfaces(planes()))
    boxes = [axes.get_position(original=True) for axes in shown]
    assert boxes[0].y0 == boxes[1].y0 > boxes[2].y0 == boxes[3].y0
    assert boxes[0].x0 == boxes[2].x0 < boxes[1].x0 == boxes[3].x0


def test_what_is_above_the_ceiling_is_left_out_and_told():
    figure = draw_surfaces(planes(), ceiling=2.0)
    for axes in surfaces(figure):
        assert np.nanmax(heights(axes)) <= 2.0
        assert axes.get_zlim()[1] <= 2.0
    above = sum(int((result.values > 2.0).sum()) for result in planes())
    told = caption_of(planes(), "surfaces", ceiling=2.0)
    assert f"{above} of {4 * 81} points above 2 are cut off" in told.replace("\n", " ")


def test_a_metric_is_on_a_linear_scale():
    values = np.full((9, 9), 0.8)
    values[4, 4] = 1.0
    result = toy.plane("late", "ehr", metric="accuracy", metric_values=values)
    figure = draw_surfaces([result], quantity="metric")
    assert figure.axes[-1].get_ylabel() == "accuracy"
    assert surfaces(figure)[0].get_zlim() == (0.0, 1.0)
    assert [text.get_text() for text in figure.texts] == ["ehr"]


def test_paths_lie_on_the_surface():
    x = np.linspace(-1, 1, 3)
    values = np.add.outer(2 * x, x) + 4.0  # a slope, on which bilinear is exact
    plane = a_landscape(
        x=x,
        y=x,
        values=values,
        axes="pca",
        runs=("late", "masam"),
        path_x=np.array([-0.5, 0.3, 0.0, 3.0]),
        path_y=np.array([0.5, 0.1, 0.0, 0.0]),
        path_run=np.array([0.0, 0.0, 1.0, 1.0]),
        path_loss=np.full(4, 9.0),  # of the full weights, off the plane
        provenance=toy.provenance("late"),
    )
    figure = draw_surfaces([plane])
    (axes,) = surfaces(figure)
    found = [np.asarray(line.get_data_3d(), dtype=float) for line in axes.lines]
    for line in found:
        inside = np.isfinite(line[2])
        assert line[2][inside] == pytest.approx((2 * line[1] + line[0] + 4.0)[inside])
    assert any(line.shape[1] > 10 for line in found)  # between checkpoints too
    stars = [line.get_data_3d() for line in axes.lines if line.get_marker() == "*"]
    assert np.ravel(stars[0]).tolist() == pytest.approx([0.3, 0.1, 4.5])
    assert np.isnan(stars[1][2]).all()  # outside the plane
    assert np.ptp(axes.get_xlim()) < 2.2
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["late fusion", "MASAM"]
    told = caption_of([plane], "surfaces")
    assert "projected into the plane and drawn at the height of its surface, from ring to" in told
    assert "from ring to" not in caption_of(planes(), "surfaces")


def test_a_path_has_a_gap_where_the_surface_has_a_hole():
    x = np.linspace(-1, 1, 3)
    values = np.full((3, 3), 1.0)
    values[0, 0] = np.nan
    plane = a_landscape(x=x, y=x, values=values)
    at = height_at(plane, values, np.array([-0.5, 0.5, 1.0]), np.array([-0.5, 0.5, 1.0]))
    assert np.isnan(at[0])
    assert at[1:].tolist() == [1.0, 1.0]


def test_a_range_of_z_and_a_scale_of_colors_for_each_encoder():
    figure = draw_surfaces(planes(), colors="encoder")
    shown = surfaces(figure)  # late and masam, ehr and cxr
    tops = [axes.get_zlim()[1] for axes in shown]
    assert tops == pytest.approx([0.1 + 0.5 * 5, 0.1 + 0.5 * 12] * 2)
    norms = [axes.collections[0].norm for axes in shown]
    assert norms[0] is norms[2]
    assert norms[1] is norms[3]
    bars = [axes for axes in figure.axes if axes.name != "3d"]
    assert [bar.get_xlabel() for bar in bars] == ["fusion loss, ehr", "fusion loss, cxr"]
    for bar, axes in zip(bars, shown[2:], strict=True):
        middle = bar.get_position().x0 + bar.get_position().width / 2
        box = axes.get_position(original=True)
        assert middle == pytest.approx(box.x0 + box.width / 2)
    told = caption_of(planes(), "surfaces", colors="encoder")
    assert "Panels of one encoder share the range of z and the scale of colors, by which" in told
    assert "ehr logarithmic from 0.1 to 2.6 and cxr logarithmic from 0.1 to 6.1" in told


def test_what_has_no_surface():
    line = a_landscape(y=None, values=np.ones(3))
    with pytest.raises(MisuseError, match="shows planes; got results with 1 axes"):
        draw_surfaces([line])
    with pytest.raises(MisuseError, match=r"no point is finite and at most 0\.01"):
        draw_surfaces(planes(), ceiling=0.01)
    with pytest.raises(MisuseError, match="ceiling must be a finite number above 0"):
        draw_surfaces(planes(), ceiling=-1.0)
    with pytest.raises(MisuseError, match="quantity 'metric' needs landscapes that measured one"):
        draw_surfaces(planes(), quantity="metric")
    with pytest.raises(MisuseError, match="there is no result to draw"):
        draw_surfaces([])
