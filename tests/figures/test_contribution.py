"""The bars: what they show, what they are labelled, and that they need no torch."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from matplotlib.colors import to_hex

from sharpscope.errors import MisuseError
from sharpscope.figures import caption_of, draw_contribution, save_figure
from sharpscope.figures.style import COLORS
from sharpscope.results import ContributionResult, load
from tests.results.makers import a_contribution


def heights(axes: Any) -> list[float]:
    return [round(bar.get_height(), 6) for bar in axes.patches]


def test_bars_are_the_numbers_with_their_errors():
    figure = draw_contribution([a_contribution()])
    shares, metrics, alignment = figure.axes
    assert heights(shares) == [0.7, 0.3]
    assert heights(metrics) == [0.5, 0.6, 0.55, 0.45, 0.8, 0.75]  # without, readout, probe
    assert heights(alignment) == [0.9, -0.2]
    collections: list[Any] = list(shares.collections)
    spans = [line.get_segments()[0] for line in collections]
    assert [round(float(end[1] - start[1]), 6) for start, end in spans] == [0.04, 0.04]
    assert [t.get_text() for t in metrics.get_xticklabels()] == ["without it", "readout", "probe"]
    assert shares.get_ylabel() == "Shapley share of accuracy"
    assert metrics.get_ylabel() == "accuracy, test"
    assert [to_hex(bar.get_facecolor()).upper() for bar in shares.patches] == list(COLORS[:2])
    assert len({bar.get_hatch() for bar in shares.patches}) == 2  # told apart without color


def test_what_was_not_measured_leaves_its_place_empty():
    result = a_contribution(probe={"ehr": 0.8}, alignment={"ehr": 0.9, "cxr": None})
    _, metrics, alignment = draw_contribution([result]).axes
    assert len(heights(metrics)) == 5
    assert heights(alignment) == [0.9]
    assert "right: alignment γ" in caption_of([result], "contribution").replace("Right", "right")


def test_no_panel_is_left_for_an_alignment_that_no_result_has():
    bare = [a_contribution(alignment={}), a_contribution(alignment={"ehr": None, "cxr": None})]
    figure = draw_contribution(bare)
    assert len(figure.axes) == 4
    assert all(axes.patches for axes in figure.axes)
    told = caption_of(bare, "contribution")
    assert "Right: accuracy without a modality" in told
    assert "γ" not in told
    # One that has it keeps the column, and the place of the other in it is empty.
    assert len(draw_contribution([bare[0], a_contribution()]).axes) == 6


def test_checkpoints_share_their_scales():
    one = a_contribution()
    two = replace(one, shares={"ehr": 0.1, "cxr": 0.9}, tag="masam")
    figure = draw_contribution([replace(one, tag="late"), two], width="page")
    assert figure.get_size_inches()[0] == 6.75
    assert figure.axes[0].get_ylim() == figure.axes[3].get_ylim()
    assert [figure.axes[place].get_title() for place in (1, 4)] == ["late", "masam"]


@pytest.mark.parametrize("kind", ["pdf", "svg", "png"])
def test_files_are_whole_and_the_same_each_time(kind: str, tmp_path: Path):
    paths = [
        save_figure(a_contribution().draw(), tmp_path / f"{number}.{kind}") for number in range(2)
    ]
    content = [path.read_bytes() for path in paths]
    assert content[0] == content[1]
    assert content[0].startswith({"pdf": b"%PDF", "svg": b"<?xml", "png": b"\x89PNG"}[kind])
    if kind == "pdf":
        assert b"/FontFile2" in content[0]  # fonts are embedded


def test_what_cannot_be_drawn():
    with pytest.raises(MisuseError, match="there is no result to draw"):
        draw_contribution([])
    with pytest.raises(MisuseError, match="width must be 'text', 'column' or 'page'; got 'wide'"):
        draw_contribution([a_contribution()], width="wide")


def test_other_formats_are_told(tmp_path: Path):
    with pytest.raises(MisuseError, match=r"must end in '.pdf', '.svg', .* got .*bars.gif"):
        save_figure(a_contribution().draw(), tmp_path / "bars.gif")
    assert list(tmp_path.iterdir()) == []


def test_a_saved_result_is_drawn_without_torch(tmp_path: Path):
    path = a_contribution().save(tmp_path / "c.json")
    assert isinstance(load(path), ContributionResult)
    code = (
        "import sys, sharpscope as ss\n"
        f"figure = ss.load({str(path)!r}).draw()\n"
        "assert len(figure.axes) == 3\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
