"""The forest plot: values on the left, ratios or differences on the right, read back."""

from dataclasses import replace
from typing import Any

import pytest
from matplotlib.container import ErrorbarContainer

import sharpscope as ss
from sharpscope.errors import MisuseError
from sharpscope.figures import caption_of, draw
from sharpscope.figures.comparison import caption_comparison, draw_comparison
from sharpscope.results import Comparison
from sharpscope.results.comparison import Verdict
from tests.comparing.makers import largest, provenance, traced
from tests.results.comparisons import a_comparison
from tests.results.makers import a_gap


@pytest.fixture
def found() -> Comparison:
    return ss.compare(
        [
            make(run, value, modality=modality, loss=0.4)
            for run, factor in (("late", 1.0), ("masam", 0.71), ("sam", 0.99))
            for make, value in ((traced, 925.6 * factor), (largest, 9.0 * factor))
            for modality in ("ehr", "cxr")
        ]
    )


def marks(axes: Any) -> list[tuple[float, float, tuple[float, float]]]:
    """Return value, line and ends of each mark."""
    found: list[Any] = []
    for bar in axes.containers:
        assert isinstance(bar, ErrorbarContainer)
        line: Any = bar.lines[0]
        (segment,) = bar.lines[2][0].get_segments()
        found.append((line.get_xdata()[0], line.get_ydata()[0], (segment[0][0], segment[1][0])))
    return found


def test_a_row_for_each_quantity_with_values_and_intervals(found: Comparison):
    figure = draw_comparison(found)
    assert len(figure.axes) == 4
    for row, quantity in enumerate(found.quantities):
        left, right = figure.axes[2 * row : 2 * row + 2]
        entries = [entry for entry in found.entries if entry.quantity == quantity]
        shown = marks(left)
        assert [value for value, _, _ in shown] == [entry.value for entry in entries]
        for entry, (value, _, ends) in zip(entries, shown, strict=True):
            error = ((entry.probe_error or 0) ** 2 + (entry.data_error or 0) ** 2) ** 0.5
            assert ends == pytest.approx((value - error, value + error))
        assert [label.get_text() for label in left.get_yticklabels()] == [*found.names] * 2
        assert [text.get_text() for text in left.texts] == ["ehr", "cxr"]
        differences = [one for one in found.differences if one.quantity == quantity]
        for one, (value, line, ends) in zip(differences, marks(right), strict=True):
            assert value == one.ratio
            assert ends == pytest.approx(one.ratio_interval)
            # On the line of its number.
            place = [e.name + e.modality for e in entries].index(one.name + one.modality)
            assert line == shown[place][1]
        assert right.get_xlabel() == "ratio to late,\n95 % interval"
        assert right.lines[0].get_xdata() == [1.0, 1.0]
    assert figure.axes[0].get_xlabel() == "trace\n(loss / parameter²)"
    assert figure.axes[2].get_xlabel() == "λ$_\\mathrm{max}$\n(loss / parameter²)"


def test_modalities_head_their_rows_apart_from_those_above(found: Comparison):
    left = draw_comparison(found).axes[0]
    heads: dict[str, float] = {text.get_text(): text.xy[1] for text in left.texts}  # pyright: ignore[reportAttributeAccessIssue]
    lines = left.get_yticks().tolist()
    assert heads["ehr"] < lines[0]
    # Nearer to its own first row than to the last one of the other.
    assert lines[3] - heads["cxr"] < heads["cxr"] - lines[2] + 0.5
    assert lines[3] - lines[2] > 2 * (lines[1] - lines[0])
    assert {text.get_horizontalalignment() for text in left.texts} == {
        "right"
    }  # among the names of the rows


def test_what_is_within_noise_is_hollow(found: Comparison):
    right: Any = draw_comparison(found).axes[1]
    white = [bar.lines[0].get_markerfacecolor() == "white" for bar in right.containers]
    verdicts = [one.verdict for one in found.differences if one.quantity == "trace"]
    assert white == [verdict != "different" for verdict in verdicts]
    one = found.differences[0]
    noise = replace(found, differences=(replace(one, verdict=Verdict.WITHIN_NOISE),))
    again: Any = draw_comparison(noise).axes[1]
    assert again.containers[0].lines[0].get_markerfacecolor() == "white"


def test_differences_where_a_ratio_has_no_interval_or_they_are_asked_for(found: Comparison):
    odd = replace(
        found, differences=tuple(replace(d, ratio_interval=None) for d in found.differences)
    )
    for figure in (draw_comparison(odd), draw_comparison(found, scale="difference")):
        right = figure.axes[1]
        assert right.get_xlabel() == "difference from late\n(loss / parameter²),\n95 % interval"
        shown = [value for value, _, _ in marks(right)]
        expected = [one.difference for one in found.differences if one.quantity == "trace"]
        assert shown == expected
        assert right.lines[0].get_xdata() == [0.0, 0.0]


def test_labels_fit_their_panels_and_say_where_no_interval_is_known(found: Comparison):
    bare = replace(
        found,
        differences=tuple(
            replace(d, interval=None, ratio_interval=None, verdict=Verdict.UNDECIDED)
            for d in found.differences
        ),
        labels=dict.fromkeys(found.labels, "Keskar's Q, ε = 0.001, whole space"),
    )
    figure = draw_comparison(bare, width="column")
    for axes in figure.axes:
        assert max(map(len, axes.get_xlabel().split("\n"))) <= 22
    # A unit is not broken.
    assert "\n(loss / parameter²)" in figure.axes[0].get_xlabel()
    assert figure.axes[1].get_xlabel().endswith("no interval known")


def test_it_is_the_figure_of_a_comparison(found: Comparison):
    assert len(found.draw().axes) == 4
    assert draw([found], "forest", width="column").get_size_inches()[0] == 3.25
    text = caption_of([found])
    assert text == caption_comparison(found)
    assert text.startswith("Trace, λ_max of the fusion loss on 12 train samples. Left: values with")
    assert "against late, with 95 % intervals by Student's t, paired (trace by " in text
    assert text.endswith("Train loss: late 0.4, masam 0.4, sam 0.4.")
    matched = replace(found, train_loss=0.25)
    assert caption_comparison(matched).endswith("All at train loss 0.25.")


def test_the_caption_of_groups_tells_runs_bars_and_what_pairs():
    def group(name: str, seeds: int, value: float) -> list[Any]:
        gap = a_gap(tag=f"{name}-s0", provenance=provenance(f"{name}-s0"), value=value / 10)
        return [traced(f"{name}-s{s}", value + s, seed=s) for s in range(seeds)] + [gap]

    both = caption_comparison(ss.compare({"a": group("a", 3, 50), "b": group("b", 3, 40)}))
    assert "one standard error over runs, or for a single run of probes and data" in both
    told = "paired (trace by probes and batches and seeds, gap τ of accuracy by nothing); hollow"
    assert told in both
    assert "Runs: a 1 or 3, b 1 or 3." in both
    mixed = caption_comparison(ss.compare({"a": group("a", 3, 50), "b": group("b", 1, 40)}))
    assert "Runs: a 1 or 3, b 1." in mixed
    traces = ss.compare({name: group(name, 3, 50)[:3] for name in "ab"})
    assert "one standard error over runs. Right" in caption_comparison(traces)


def test_what_has_no_ratio_is_told_where_ratios_are_asked_for():
    found = ss.compare([traced("late", 50.0), traced("masam", -3.0)])
    text = caption_comparison(found, scale="ratio")
    assert "Without a ratio, and not drawn: trace of masam (cxr)." in text
    assert "not drawn" not in caption_comparison(found)
    unsure = [traced("late", standard_error=100.0), traced("masam", 50.0)]
    found = ss.compare([*unsure, traced("sam", 60.0)])
    odd = replace(found.differences[0], ratio_interval=None)
    known = replace(found.differences[1], ratio_interval=(0.5, 0.7))
    found = replace(found, differences=(odd, known))
    assert "not drawn: trace of masam (cxr)." in caption_comparison(found, scale="ratio")
    assert [value for value, _, _ in marks(draw_comparison(found, scale="ratio").axes[1])] == [
        known.ratio
    ]


def test_what_cannot_be_drawn(found: Comparison):
    nothing = a_comparison(
        entries=tuple(replace(entry, value=None) for entry in a_comparison().entries)
    )
    with pytest.raises(MisuseError, match="there is no comparison to draw: no number is finite"):
        draw_comparison(nothing)
    with pytest.raises(MisuseError, match="scale must be 'ratio' or 'difference'; got 'log'"):
        draw_comparison(found, scale="log")
    with pytest.raises(MisuseError, match="width must be 'text', 'column' or 'page'"):
        draw_comparison(found, width="wide")
    with pytest.raises(MisuseError, match="a forest plot is of one comparison; got 2"):
        draw_comparison([found, found])
