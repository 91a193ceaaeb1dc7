"""Interactive landscapes: the numbers where they belong, one scale, holes, buttons."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sharpscope.errors import MisuseError
from sharpscope.figures.interactive import look
from sharpscope.figures.interactive.house import Scale
from sharpscope.results import LandscapeResult
from tests.results.makers import a_landscape, a_trace

X = np.linspace(-1, 1, 5)


def a_line(**changes: Any) -> LandscapeResult:
    values = changes.pop("values", X**2 + 0.01)
    return a_landscape(x=X, y=None, values=values, labels=("direction 1",), **changes)


def a_volume(**changes: Any) -> LandscapeResult:
    values = np.add.outer(9 * X**2, np.add.outer(4 * X**2, X**2)) + 0.5
    values = changes.pop("values", values)
    return a_landscape(x=X, y=X, z=X, values=values, labels=("a", "b", "c"), **changes)


def specs(*results: Any) -> list[dict[str, Any]]:
    """Return the figures as the JSON that the browser gets."""
    (panels,) = look(results)
    return [json.loads(str(figure.to_json())) for figure in panels.figures]


def of_kind(spec: dict[str, Any], kind: str) -> dict[str, Any]:
    (trace,) = [one for one in spec["data"] if one["type"] == kind]
    return trace


def test_a_surface_is_the_grid_with_a_cross_at_the_model():
    result = a_landscape(tag="late", loss_value=0.5)
    ((surface, *_), (panel, *_)) = look([result])[0].figures[0].data, look([result])[0].figures
    np.testing.assert_array_equal(surface.z, result.values)
    np.testing.assert_array_equal(surface.x, result.x)
    np.testing.assert_array_equal(surface.y, result.y)
    np.testing.assert_allclose(surface.surfacecolor, np.log10(result.values))
    assert panel.layout.title.text == "late · cxr"
    assert panel.layout.scene.xaxis.title.text == "direction 1"
    assert panel.layout.scene.zaxis.title.text == "fusion loss"
    assert panel.layout.scene.zaxis.type == "log"
    spec = specs(result)[0]
    cross = of_kind(spec, "scatter3d")
    assert (cross["x"], cross["y"]) == ([0], [0])
    assert 0.5 <= cross["z"][0] < 0.52
    assert "0.5" in cross["hovertemplate"]


def test_all_share_one_scale_of_colors_and_heights():
    low, high = a_landscape(tag="late"), a_landscape(tag="masam", values=a_landscape().values * 10)
    first, second = specs(low, high)
    ends = [np.log10(0.5), np.log10(55.0)]
    for spec in (first, second):
        assert [of_kind(spec, "surface")[name] for name in ("cmin", "cmax")] == pytest.approx(ends)
        assert [of_kind(spec, "contour")[name] for name in ("zmin", "zmax")] == pytest.approx(ends)
        ticks = of_kind(spec, "surface")["colorbar"]
        assert ticks["ticktext"][0] == "0.5"
        assert float(ticks["ticktext"][-1]) == pytest.approx(55)
    assert first["layout"]["scene"]["zaxis"] == second["layout"]["scene"]["zaxis"]
    assert first["layout"]["scene"]["camera"] == second["layout"]["scene"]["camera"]


def test_a_scale_is_linear_where_a_loss_is_not_above_zero_or_all_are_near():
    assert Scale.of([a_landscape(values=a_landscape().values - 1)]) == Scale(
        low=-0.5, high=4.5, log=False
    )
    near = Scale.of([a_landscape(values=a_landscape().values + 100)])
    assert near is not None
    assert not near.log
    flat = Scale.of([a_landscape(values=np.full((3, 3), 2.0))])
    assert flat == Scale(low=2.0, high=3.0, log=False)


def test_colors_are_labelled_with_numbers_that_differ():
    near = Scale.of([a_landscape(values=1.3 + a_landscape().values / 50)])
    assert near is not None
    assert near.bar("loss")["ticktext"] == ["1.31", "1.33", "1.36", "1.39", "1.41"]


def test_ticks_of_a_profile_tell_their_whole_loss():
    (panel,) = specs(a_line(values=30 * X**2 + 1.2))
    axis = panel["layout"]["yaxis"]
    assert axis["tickvals"] == [2, 5, 10, 20]
    assert axis["ticktext"] == ["2", "5", "10", "20"]
    assert "tickvals" not in specs(a_line(values=X**2 + 5))[0]["layout"]["yaxis"]
    assert Scale(low=0.02, high=300.0, log=True).ticks()["tickvals"] == [0.1, 1, 10, 100]


def test_what_is_not_finite_is_a_hole():
    values = a_landscape().values.copy()
    values[0, 0], values[0, 1] = np.nan, np.inf
    (figure,) = look([a_landscape(values=values)])[0].figures
    surface, contour = (t for t in figure.data if t.type in ("surface", "contour"))
    for drawn in (surface.z, surface.surfacecolor, contour.z):
        assert np.isnan(np.asarray(drawn, float)[0, :2]).all()
        assert np.isfinite(np.asarray(drawn, float)[1:]).all()
    assert contour.connectgaps is False
    with pytest.raises(MisuseError, match="there is no result to draw that has a finite number"):
        look([a_landscape(values=np.full((3, 3), np.nan))])


def test_buttons_switch_between_surface_and_contour():
    (spec,) = specs(a_landscape())
    kinds = [trace["type"] for trace in spec["data"]]
    solid = [kind in ("surface", "scatter3d") for kind in kinds]
    buttons = spec["layout"]["updatemenus"][0]["buttons"]
    assert [one["label"] for one in buttons] == ["surface, log", "surface, linear", "contour"]
    assert buttons[0]["args"][0]["visible"] == buttons[1]["args"][0]["visible"] == solid
    assert buttons[2]["args"][0]["visible"] == [not one for one in solid]
    assert [trace.get("visible", True) for trace in spec["data"]] == solid
    assert buttons[1]["args"][1]["scene.zaxis.type"] == "linear"
    low, high = buttons[1]["args"][1]["scene.zaxis.range"]
    assert low < 0.5 < 5.5 < high
    assert buttons[2]["args"][1]["xaxis"]["visible"] is True
    (flat,) = specs(a_landscape(values=a_landscape().values - 1))
    labels = [one["label"] for one in flat["layout"]["updatemenus"][0]["buttons"]]
    assert labels == ["surface", "contour"]


def test_a_path_of_training_lies_on_the_surface_and_on_the_contour():
    result = a_landscape(
        path_x=np.array([-1.0, 0.0, 1.0]), path_y=np.array([0.0, 0.0, 2.0]),
        path_run=np.array([0.0, 0.0, 1.0]), path_loss=np.array([4.0, 2.0, 3.0]),
        runs=("late", "masam"), explained=(0.75, 0.125),
        metric="accuracy", metric_values=np.full((3, 3), 0.25),
    )  # fmt: skip
    (figure,) = look([result])[0].figures
    for kind in ("scatter3d", "scatter"):
        late, masam = (t for t in figure.data if t.type == kind and t.name in result.runs)
        assert (list(late.x), list(late.y)) == ([-1.0, 0.0], [0.0, 0.0])
        assert (list(masam.x), list(masam.y)) == ([1.0], [2.0])
        if kind == "scatter3d":
            assert list(late.z) == [4.0, 2.0]
    titles = (figure.layout.scene.xaxis.title.text, figure.layout.scene.yaxis.title.text)
    assert titles == ("direction 1 (75.0% of variance)", "direction 2 (12.5% of variance)")
    assert "accuracy %{customdata" in figure.data[0].hovertemplate
    assert "paths of training" in look([result])[0].caption.lower()


def test_a_volume_is_shells_of_equal_loss_around_a_cross():
    (figure,) = look([a_volume()])[0].figures
    *shells, cross = figure.data
    assert [shell.type for shell in shells] == ["mesh3d"] * 5
    ends = {(shell.cmin, shell.cmax) for shell in shells}
    assert ends == {(np.log10(0.5), np.log10(14.5))}
    for shell in shells:
        (level,) = set(shell.intensity)
        assert np.log10(0.5) < level < np.log10(14.5)
        assert float(shell.name) == pytest.approx(10**level, rel=0.01)
        # Between grid points the logarithm is straight, and the loss is not: near, not exact.
        loss = 9 * shell.z**2 + 4 * shell.y**2 + shell.x**2 + 0.5
        assert np.abs(np.log10(loss) - level).max() < 0.25
    assert [shell.showscale for shell in shells] == [True] + [False] * 4
    assert (cross.x[0], cross.y[0], cross.z[0]) == (0, 0, 0)
    titles = [figure.layout.scene[f"{name}axis"].title.text for name in "xyz"]
    assert titles == ["a", "b", "c"]


def test_profiles_of_checkpoints_are_overlaid_and_broken_at_holes():
    values = X**2 + 0.01
    holed = values.copy()
    holed[1] = np.inf
    (panel,) = specs(a_line(tag="late"), a_line(tag="masam", values=10 * values))
    late, masam = panel["data"]
    assert (late["name"], masam["name"]) == ("late", "masam")
    assert late["line"]["dash"] != masam["line"]["dash"]
    assert panel["layout"]["yaxis"]["type"] == "log"
    assert panel["layout"]["xaxis"]["title"]["text"] == "direction 1 (units of the direction)"
    (figure,) = look([a_line(values=holed)])[0].figures
    assert np.isnan(figure.data[0].y[1])
    assert figure.data[0].connectgaps is False


def test_other_directions_are_another_figure_with_another_caption():
    lines = [a_line(axes="random", settings={"normalize": "filter"}), a_line(axes="eigen")]
    first, second = look(lines)
    assert first.title == "Loss profiles, random directions, filter normalization"
    assert second.title == "Loss profiles, eigen directions"
    assert "random Gaussian directions, filter normalization" in first.caption
    assert "logarithmic scale" in first.caption


def test_each_kind_has_its_figure():
    titles = [panels.title for panels in look([a_volume(), a_line(), a_landscape(), a_trace()])]
    assert titles == ["Numbers side by side", "Loss surfaces", "Loss profiles", "Loss in volumes"]
    named = replace(a_landscape(), tag=None)
    assert specs(named)[0]["layout"]["title"]["text"] == "cxr"
