"""Which figures records make: found where one fits, named where several do, refused elsewhere."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from sharpscope.errors import MisuseError
from sharpscope.figures import caption_of, draw, kind_of, save_figure
from sharpscope.figures.style import WIDTHS
from sharpscope.results import Record
from tests.figures import toy
from tests.results.makers import (
    a_contribution,
    a_coupling,
    a_density,
    a_landscape,
    a_monitor,
    a_run,
    a_trace,
)


def examples() -> dict[str, Sequence[Record]]:
    """Return records for every kind of figure."""
    line = a_landscape(y=None, values=np.ones(3), labels=("direction 1",))
    epochs = [toy.trace("late", "ehr", epoch=epoch) for epoch in (1, 2)]
    return {
        "dominance": [toy.run("masam")],
        "alignment": [toy.run("masam")],
        "course": epochs,
        "bars": [toy.trace("late", "ehr"), toy.gap("late")],
        "density": [a_density()],
        "contours": [a_landscape()],
        "surfaces": [a_landscape()],
        "profiles": [line],
        "contribution": [a_contribution()],
        "unimodal": [a_contribution()],
        "sensitivity": [toy.run("masam", rho=rho) for rho in (0.1, 0.2)],
        "noise": [toy.run("late", label_noise=rate) for rate in (0.0, 0.2)],
        "watch": [a_monitor()],
        "flatness": [toy.monitor(method, seed) for method in ("late", "masam") for seed in (1, 2)],
    }


@pytest.mark.parametrize("kind", examples())
@pytest.mark.parametrize("width", WIDTHS)
def test_every_kind_has_its_width_its_axes_labelled_and_a_caption(kind: str, width: str):
    records = examples()[kind]
    figure = draw(records, kind, width=width)
    assert isinstance(figure, Figure)
    assert figure.get_size_inches()[0] == WIDTHS[width]
    assert any(axes.get_xlabel() or axes.get_xticklabels() for axes in figure.axes)
    assert any(axes.get_ylabel() for axes in figure.axes)
    told = caption_of(records, kind, width=width)
    assert told.endswith(".")
    assert told[0].isupper()
    assert "None" not in told
    assert "  " not in told


@pytest.mark.parametrize("kind", examples())
def test_every_kind_is_drawn_and_saved_without_torch(kind: str, tmp_path: Path):
    for number, record in enumerate(examples()[kind]):
        record.save(tmp_path / f"{number}.json")
    code = (
        "import sys, sharpscope as ss, pathlib\n"
        "from sharpscope.figures import draw, save_figure\n"
        f"paths = sorted(pathlib.Path({str(tmp_path)!r}).glob('*.json'))\n"
        f"figure = draw([ss.load(path) for path in paths], {kind!r})\n"
        f"save_figure(figure, {str(tmp_path / 'figure.svg')!r})\n"
        "assert 'torch' not in sys.modules"
    )
    files: list[bytes] = []
    for _ in range(2):
        subprocess.run([sys.executable, "-c", code], check=True)
        files.append((tmp_path / "figure.svg").read_bytes())
    assert files[0] == files[1]  # in another process too
    assert b"</svg>" in files[0]


@pytest.mark.parametrize(
    ("records", "kind"),
    [
        ([a_density()], "density"),
        (examples()["course"], "course"),
        (examples()["bars"], "bars"),
        (examples()["profiles"], "profiles"),
        (examples()["noise"], "noise"),
        (examples()["flatness"], "flatness"),
    ],
)
def test_the_only_kind_is_found(records: Sequence[Record], kind: str):
    assert kind_of(records) == kind


def test_several_kinds_are_named():
    with pytest.raises(MisuseError, match="several kinds of figure: choose kind 'contours' or 'su"):
        kind_of([a_landscape()])
    with pytest.raises(MisuseError, match="choose kind 'dominance' or 'alignment'"):
        kind_of([a_run()])
    with pytest.raises(MisuseError, match="choose kind 'watch' or 'flatness'"):
        kind_of([a_monitor()])


def test_a_record_draws_its_usual_figure_or_the_one_named():
    assert a_landscape().draw().axes[0].name == "rectilinear"
    assert a_landscape().draw("surfaces").axes[0].name == "3d"
    assert a_run().draw().axes[0].get_ylabel() == "steps dominated"
    assert a_monitor().draw().axes[0].get_ylabel() == "trace\n(loss / parameter²)"
    assert a_trace().draw(width="column").get_size_inches()[0] == WIDTHS["column"]


def test_a_record_saves_its_figure(tmp_path: Path):
    a_landscape().draw(out=tmp_path / "plane.png")
    assert (tmp_path / "plane.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(MisuseError, match=r"to save a figure as well, pass out='plane.png'"):
        a_landscape().draw("plane.png")


def test_what_makes_no_figure():
    with pytest.raises(MisuseError, match="there is no result to draw"):
        draw([])
    with pytest.raises(MisuseError, match="no figure shows sharpscope/coupling"):
        draw([a_coupling()])
    with pytest.raises(MisuseError, match="no figure shows sharpscope/density, sharpscope/trace"):
        draw([a_density(), a_trace()])
    with pytest.raises(MisuseError, match=r"no figure shows sharpscope/train \(dominance: runs of"):
        draw([toy.run("late")])


def test_a_kind_that_the_records_cannot_give():
    with pytest.raises(MisuseError, match=r"kind must be .* got 'surface'; did you mean 'surf"):
        draw([a_landscape()], "surface")
    with pytest.raises(
        MisuseError,
        match=r"kind 'bars' is drawn from traces, .* got sharpscope/density .* make 'density'",
    ):
        draw([a_density()], "bars")
    with pytest.raises(MisuseError, match="results of several epochs are drawn over training"):
        draw(examples()["course"], "bars")
    with pytest.raises(MisuseError, match="landscapes of '1' axes are needed"):
        draw([a_landscape()], "profiles")


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ({"setting": "rho"}, "setting means nothing to kind 'contours'; 'sensitivity' do"),
        ({"ceiling": 2.0}, "ceiling means nothing to kind 'contours'; 'surfaces' do"),
        ({"colors": "encoders"}, "colors must be 'shared' or 'encoder'; got 'encoders'; did you"),
        ({"quantity": "gap"}, r"quantity must be 'loss' or 'metric' \(of kind contours\); got"),
        ({"width": "wide"}, "width must be 'text', 'column' or 'page'; got 'wide'"),
        ({"color": "red"}, "color means nothing to kind 'contours'$"),
    ],
)
def test_options_that_mean_nothing(how: dict[str, Any], sentence: str):
    with pytest.raises(MisuseError, match=sentence):
        draw([a_landscape()], "contours", **how)


def test_files_are_as_wide_as_they_say(tmp_path: Path):
    path = save_figure(draw([a_density()], width="column"), tmp_path / "d.png")
    header = path.read_bytes()[16:20]
    assert int.from_bytes(header, "big") == round(WIDTHS["column"] * 300)
