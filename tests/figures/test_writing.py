"""One call for every format: print, a page, a grid."""

from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from sharpscope.errors import MisuseError
from sharpscope.figures import draw_contribution, save_figure
from sharpscope.figures.interactive import look
from sharpscope.figures.writing import write_figure
from tests.figures import toy
from tests.results.makers import a_contribution, a_landscape, a_trace


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("x.pdf", b"%PDF"),
        ("x.SVG", b"<?xml"),
        ("x.png", b"\x89PNG"),
        ("x.html", b"<!DOCTYPE html>"),
        ("x.vtr", b'<?xml version="1.0"?>\n<VTKFile type="RectilinearGrid"'),
        ("x.vts", b'<?xml version="1.0"?>\n<VTKFile type="StructuredGrid"'),
    ],
)
def test_the_name_says_the_format(name: str, start: bytes, tmp_path: Path):
    path = write_figure([a_landscape()], tmp_path / name)
    assert path.read_bytes().startswith(start)
    assert list(tmp_path.iterdir()) == [path]


def test_a_page_holds_plotly_once_and_every_panel(tmp_path: Path):
    records = [a_landscape(modality=name) for name in ("ehr", "cxr")]
    html = write_figure(records, tmp_path / "x.html", "contours").read_text()
    assert html.count("plotly.js v") == 1
    assert html.count('class="panel solid"') == 2
    assert look(records)[0].caption in html


def test_a_figure_of_plotly_is_saved_as_a_page(tmp_path: Path):
    figure = go.Figure(go.Bar(x=["a"], y=[1]), layout={"title": {"text": "mine"}})
    assert "<h3>mine</h3>" in save_figure(figure, tmp_path / "x.html").read_text()
    (panels,) = look([a_trace()])
    assert save_figure(panels, tmp_path / "y.html").read_text().count('class="panel"') == 1


def test_what_does_not_fit_is_told(tmp_path: Path):
    paper: Any = draw_contribution([a_contribution()])
    with pytest.raises(MisuseError, match=r"figure goes into '.pdf', '.svg' or '.png'; got .*x.h"):
        save_figure(paper, tmp_path / "x.html")
    with pytest.raises(MisuseError, match=r"this figure goes into '.html'; got .*x.pdf"):
        save_figure(look([a_trace()]), tmp_path / "x.pdf")
    with pytest.raises(MisuseError, match=r"this figure goes into '.html'; got .*x.vtr"):
        save_figure(look([a_trace()]), tmp_path / "x.vtr")
    with pytest.raises(MisuseError, match=r".vtr holds the grid of one landscape; name one result"):
        write_figure([a_landscape(), a_landscape()], tmp_path / "x.vtr")
    with pytest.raises(MisuseError, match=r".vtr holds the grid of one landscape; name one result"):
        write_figure([a_trace()], tmp_path / "x.vtr")
    with pytest.raises(MisuseError, match=r"ceiling is of figures for print; .html has no such"):
        write_figure([a_landscape()], tmp_path / "x.html", ceiling=3.0)
    with pytest.raises(MisuseError, match="kind 'density' is drawn from"):
        write_figure([a_landscape()], tmp_path / "x.html", "density")
    for records, kind in (
        ([toy.trace("late", "ehr", epoch=epoch) for epoch in (1, 2)], "course"),
        ([a_contribution()], "unimodal"),
        ([a_contribution()], "contribution"),
        ([toy.contribution("late", epoch=epoch) for epoch in (1, 2)], "alignment"),
    ):
        with pytest.raises(MisuseError, match=f"a page has no figure of kind '{kind}': write .pdf"):
            write_figure(records, tmp_path / "x.html", kind)
    with pytest.raises(MisuseError, match="there is no result to draw that has a finite number"):
        write_figure([a_landscape(values=np.full((3, 3), np.nan))], tmp_path / "x.html")
    assert list(tmp_path.iterdir()) == []


def test_a_landscape_exports_itself(tmp_path: Path):
    path = a_landscape().export(tmp_path / "x.vtr")
    assert b"RectilinearGrid" in path.read_bytes()
