"""Interactive bars, densities and courses of training."""

import numpy as np
import pytest

from sharpscope.figures.interactive import look
from sharpscope.figures.style import COLORS
from sharpscope.results import RunRecord
from tests.results.makers import a_contribution, a_coupling, a_density, a_gap, a_trace, an_eigen


def test_bars_are_the_numbers_with_their_errors():
    late = [a_trace(tag="late", modality=name) for name in ("ehr", "cxr")]
    masam = a_trace(tag="masam", modality="cxr", value=10.0, standard_error=3.0, data_error=4.0)
    (panels,) = look([*late, masam])
    (figure,) = panels.figures
    first, second = figure.data
    assert (first.name, list(first.x), list(first.y)) == ("late", ["ehr", "cxr"], [925.62] * 2)
    assert list(first.error_y.array) == pytest.approx([np.hypot(8.71, 31.0)] * 2)
    assert (second.name, list(second.x), list(second.y)) == ("masam", ["cxr"], [10.0])
    assert list(second.error_y.array) == pytest.approx([5.0])
    assert second.customdata[0] == "10.0 ± 3.0 · data ± 4"
    assert [bar.marker.color for bar in figure.data] == list(COLORS[:2])
    assert first.marker.pattern.shape != second.marker.pattern.shape  # told apart in grey
    assert figure.layout.yaxis.title.text == "trace (loss / parameter²)"
    assert "of trace one standard error of the random probes and of the data" in panels.caption


def test_every_quantity_worth_a_bar_has_its_figure():
    results = [a_trace(), an_eigen(), a_gap(), a_coupling(), a_contribution()]
    (panels,) = look(results)
    heads = [figure.layout.title.text for figure in panels.figures]
    assert heads == [
        "trace", "λ_max", "gap τ", "share v_m", "probe", "alignment γ", "share of H_ab",
    ]  # fmt: skip
    assert panels.figures[2].layout.yaxis.title.text == "gap τ (%)"
    assert list(panels.figures[3].data[0].x) == ["ehr", "cxr"]


def test_what_is_not_finite_has_no_bar():
    (panels,) = look([a_trace(value=None, standard_error=None), an_eigen()])
    assert [figure.layout.title.text for figure in panels.figures] == ["λ_max"]


def test_densities_have_their_bands_on_one_logarithmic_scale():
    results = [a_density(modality=n, tag=tag) for n in ("ehr", "cxr") for tag in ("late", "masam")]
    panels = next(one for one in look(results) if one.title == "Spectral densities")
    assert [figure.layout.title.text for figure in panels.figures] == ["ehr", "cxr"]
    first, second = panels.figures
    assert first.layout.yaxis.type == "log"
    assert first.layout.yaxis.range == second.layout.yaxis.range
    assert first.layout.yaxis.range == pytest.approx(tuple(np.log10([2e-6, 0.4])))
    band, curve = first.data[:2]
    np.testing.assert_allclose(curve.y, results[0].density)
    np.testing.assert_allclose(curve.customdata, results[0].density_error)
    np.testing.assert_allclose(band.y[:5], results[0].density + results[0].density_error)
    np.testing.assert_allclose(band.y[5:][::-1], results[0].density - results[0].density_error)
    assert "σ = 0.5" in panels.caption


def test_courses_of_training_runs():
    recipe = {
        "dataset": "emoji", "preset": "image+en", "method": "masam", "seed": 0, "epochs": 2,
        "settings": {"modalities": "image+en"},
    }  # fmt: skip
    history = ({"epoch": 1, "loss": 2.0, "alignment": {"image": 0.5}}, {"epoch": 2, "loss": 1.0})
    record = RunRecord(recipe=recipe, metrics={}, history=history, seconds=1.0, tag="masam")
    (panels,) = look([record])
    loss, alignment = panels.figures
    assert (list(loss.data[0].x), list(loss.data[0].y)) == ([1, 2], [2.0, 1.0])
    (image,) = alignment.data
    assert (image.name, list(image.y)) == ("image", [0.5, None])


def test_an_eigenvalue_has_the_places_that_its_errors_leave():
    for changes, text in (
        ({"residuals": (1e-9, 1e-3)}, "3.142"),
        ({"residuals": (2e-3, 1e-3)}, "3.142"),
        ({"residuals": (2e-2, 1e-3)}, "3.14"),
        ({"residuals": (1e-9, 1e-3), "data_errors": (0.41, 0.1)}, "3.14"),
        ({"residuals": (2e-1, 1e-3), "data_errors": (0.041, 0.1)}, "3.1"),
    ):
        ends = {"eigenvalues": (3.14159, -1.0), "largest": 3.14159, "largest_magnitude": 3.14159}
        (panels,) = look([an_eigen(**ends, **changes)])
        assert panels.figures[0].data[0].customdata[0].split(" · ")[0] == text
