"""Surfaces in rows: one range of z, one camera, one scale of colors; what is cut is told."""

from typing import Any

import numpy as np
import pytest
from matplotlib.colors import LogNorm

from sharpscope.errors import MisuseError
from sharpscope.figures import caption_of, draw_surfaces
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
