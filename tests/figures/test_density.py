"""Densities: panels by encoder, lines by checkpoint, one logarithmic scale."""

from typing import Any

import numpy as np
import pytest

from sharpscope.errors import MisuseError
from sharpscope.figures import caption_of, draw_density
from tests.results.makers import a_density


def test_panels_lines_and_bands_are_the_numbers():
    results = [
        a_density(modality=name, tag=tag) for name in ("ehr", "cxr") for tag in ("late", "masam")
    ]
    figure = draw_density(results)
    panels = figure.axes
    assert [axes.get_title() for axes in panels] == ["ehr", "cxr"]
    for axes in panels:
        assert axes.get_yscale() == "log"
        assert axes.get_xlabel() == "eigenvalue λ (loss / parameter²)"
        curves = [line for line in axes.lines if np.size(line.get_xdata()) == 5]
        assert [line.get_label() for line in curves] == ["late", "masam"]
        for line in curves:
            np.testing.assert_allclose(np.asarray(line.get_ydata()), results[0].density)
    assert len({line.get_linestyle() for line in panels[0].lines[::2]}) == 2
    assert panels[0].get_ylim() == panels[1].get_ylim() == pytest.approx((2e-6, 0.4))
    assert panels[0].get_ylabel() == "density (parameter² / loss)"
    band: Any = panels[0].collections[0]
    top = band.get_paths()[0].vertices[:, 1].max()
    assert top == pytest.approx((results[0].density + results[0].density_error).max())


def test_a_single_eigenvalue_of_many_is_above_the_end_of_the_scale():
    many = a_density(parameters=10**9)
    height = 1 / (10**9 * many.sigma * (2 * np.pi) ** 0.5)
    assert draw_density([many]).axes[0].get_ylim()[0] == pytest.approx(0.03 * height)
    assert "a single eigenvalue is expected above it" in caption_of([many])


def test_a_column_stacks_its_panels():
    figure = draw_density([a_density(modality=name) for name in "abcd"], width="column")
    assert len(figure.axes) == 4
    assert figure.get_size_inches()[0] == 3.25
    wide = draw_density([a_density(modality=name) for name in "abcd"], width="page")
    assert [axes.axison for axes in wide.axes] == [True] * 4 + [False] * 2


def test_what_cannot_be_drawn():
    empty = np.empty(0)
    nothing = a_density(grid=empty, density=empty, density_error=empty)
    with pytest.raises(MisuseError, match="there is no density to draw: no result is finite"):
        draw_density([nothing])
    with pytest.raises(MisuseError, match="width must be 'text', 'column' or 'page'"):
        draw_density([a_density()], width="wide")
