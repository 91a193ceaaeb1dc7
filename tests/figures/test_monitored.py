"""Watched runs in print: lines, bands, scales, thresholds, marks and refusals."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sharpscope.errors import MisuseError
from sharpscope.figures import caption_of, draw_flatness, draw_watch
from sharpscope.figures.style import COLORS
from sharpscope.figures.watched import place_of
from sharpscope.results import MonitorRecord
from tests.figures import toy
from tests.figures.test_over_training import band, lines
from tests.results.makers import a_monitor, a_monitor_of_a_total

EHR, CXR = [8.0, 4.0, 2.0, 5.0], [3.0, 2.5, 2.4, 2.2]


def axes_of(figure: Any) -> list[Any]:
    """Return the panels, whose artists have no types worth following."""
    return list(figure.axes)


def legend(figure: Any) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def points(axes: Any, label: str) -> list[tuple[float, float]]:
    """Return where the marks of a signal stand."""
    return [
        (float(x), float(y))
        for line in axes.lines
        if line.get_label() == label
        for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)
    ]


def changed(record: MonitorRecord, place: int, modality: str, **values: Any) -> MonitorRecord:
    """Return the record with other numbers of an encoder at a measurement."""
    entries = [dict(entry) for entry in record.measurements]
    encoders: Mapping[str, Any] = entries[place]["encoders"]
    entries[place]["encoders"] = {**encoders, modality: {**encoders[modality], **values}}
    return replace(record, measurements=tuple(entries))


def test_a_watched_run_has_a_row_for_each_number():
    figure = draw_watch([a_monitor()])
    trace, top, share, alignment, coupling = axes_of(figure)
    assert [axes.get_ylabel().split("\n")[0] for axes in axes_of(figure)] == [
        "trace",
        "λ$_\\mathrm{max}$",
        "share of",
        "alignment γ",
        "coupling",
    ]
    assert {name: lines(trace)[name] for name in ("ehr", "cxr")} == {"ehr": EHR, "cxr": CXR}
    assert band(trace) == pytest.approx((1.8, 8.2))
    assert lines(top)["stability threshold"] == [2.0] * 4
    assert lines(alignment)["ehr"] == pytest.approx([-0.1, 0.1, 0.3, 0.5])
    assert alignment.get_ylim() == (pytest.approx(-1.08), pytest.approx(1.08))
    assert lines(coupling)["ehr + cxr"] == pytest.approx([0, 0.1, 0.2, 0.3])
    assert coupling.get_xlabel() == "epoch"
    assert [axes.get_xlabel() for axes in axes_of(figure)[:-1]] == [""] * 4
    assert share.get_ylim() == (0, 1)


def test_shares_are_bands_that_add_to_one_with_names_beside_them():
    axes = axes_of(draw_watch([a_monitor()]))[2]
    low, high = (collection.get_paths()[0].vertices for collection in axes.collections)
    first = low[np.isclose(low[:, 0], 0), 1]
    assert (first.min(), first.max()) == (0, pytest.approx(8 / 11))
    assert high[np.isclose(high[:, 0], 0), 1].max() == pytest.approx(1)
    names = {text.get_text(): text.xyann[1] for text in axes.texts}
    assert names == {"ehr": pytest.approx(2.5 / 7.2), "cxr": pytest.approx(6.1 / 7.2)}


def test_names_of_thin_shares_do_not_touch():
    record = a_monitor()
    for name, share in {"ehr": 0.99, "cxr": 0.01}.items():
        record = changed(record, 3, name, share=share)
    heights = [text.xyann[1] for text in axes_of(draw_watch([record]))[2].texts]
    assert heights[1] - heights[0] >= 0.13
    assert heights[1] < 1


def test_a_negative_trace_leaves_no_share():
    record = changed(changed(a_monitor(), 1, "ehr", trace=-4.0, share=2.7), 1, "cxr", share=-1.7)
    axes = axes_of(draw_watch([record]))[2]
    assert axes.get_ylim() == (0, 1)
    at = {x for path in axes.collections[0].get_paths() for x in path.vertices[:, 0]}
    assert at == {0, 2, 3}
    assert "No share where a trace is negative." in caption_of([record], "watch")
    assert axes_of(draw_watch([record]))[0].get_yscale() == "linear"


def test_encoders_keep_their_looks_and_rows_without_data_are_left_out():
    record = a_monitor()
    entries = tuple(
        {
            **entry,
            "coupling": {},
            "encoders": {
                name: {"trace": one["trace"], "standard_error": 0.1, "threshold": None}
                for name, one in entry["encoders"].items()
            },
        }
        for entry in record.measurements
    )
    figure = draw_watch([replace(record, measurements=entries, events=(), failures=())])
    (axes,) = axes_of(figure)
    assert [line.get_color() for line in axes.lines[:2]] == list(COLORS[:2])
    assert len({line.get_linestyle() for line in axes.lines[:2]}) == 2
    assert len({line.get_marker() for line in axes.lines[:2]}) == 2
    assert band(axes) == pytest.approx((2 - 0.196, 8.196))  # too few probes for an interval
    told = caption_of([replace(record, measurements=entries)], "watch")
    assert "or 1.96 standard errors where there were too few of them" in told


def test_events_stand_on_their_line_in_the_row_of_their_number():
    event: dict[str, Any] = dict(a_monitor().events[0])
    rang = [
        event,
        event | {"signal": "stability", "step": 0, "epoch": 0.0},
        event | {"signal": "imbalance", "step": 100, "epoch": 1.0},
        event | {"signal": "odd_one", "modality": "cxr", "step": 200, "epoch": None},
    ]
    figure = draw_watch([a_monitor(events=tuple(rang))])
    trace, top = axes_of(figure)[:2]
    assert points(trace, "event: sharpening") == [(3.0, 5.0)]
    assert points(trace, "event: imbalance") == [(1.0, 4.0)]
    assert points(trace, "event: odd one") == [(2.0, 2.4)]
    assert points(top, "event: stability") == [(0.0, 3.0)]
    assert points(trace, "event: stability") == []
    shapes = {
        line.get_marker() for line in trace.lines if str(line.get_label()).startswith("event")
    }
    assert shapes == {"*", "P", "h"}
    assert legend(figure)[-5:] == [
        "event: sharpening",
        "event: imbalance",
        "event: stability",
        "event: odd one",
        "failure",
    ]
    told = caption_of([a_monitor(events=tuple(rang))], "watch")
    assert (
        "Events: sharpening (star, 1), imbalance (plus, 1), stability (cross, 1) and odd one "
        "(hexagon, 1)." in told
    )


def test_an_event_without_its_row_stands_in_the_first():
    record = a_monitor(events=({**a_monitor().events[0], "signal": "stability"},))
    for place in range(4):
        for name in record.modalities:
            record = changed(record, place, name, lambda_max=None)
    assert points(axes_of(draw_watch([record]))[0], "event: stability") == [(3.0, 5.0)]


def test_failures_are_ticks_at_the_bottom_between_the_measurements():
    figure = draw_watch([a_monitor()])
    for axes in axes_of(figure):
        assert [x for x, _ in points(axes, "failure")] == [1.5]
    told = caption_of([a_monitor()], "watch")
    assert "1 failure, a tick at the bottom." in told
    twice = a_monitor(failures=({"step": 1, "reason": "x"}, {"step": 2, "reason": "x"}))
    assert "2 failures, ticks at the bottom." in caption_of([twice], "watch")
    assert "No measurement failed." in caption_of([a_monitor(failures=())], "watch")


def test_what_happens_beyond_the_measurements_is_placed_by_their_pace():
    record = a_monitor()
    assert place_of(record, {"step": 450}, epochs=True) == pytest.approx(4.5)
    assert place_of(record, {"step": 150, "epoch": 1.6}, epochs=True) == 1.6
    assert place_of(record, {"step": 150}, epochs=False) == 150
    single = replace(record, measurements=record.measurements[1:2])
    assert place_of(single, {"step": 450}, epochs=True) == 1.0


def test_steps_where_epochs_are_not_known_and_a_logarithm_where_they_are_spaced_so():
    record = a_monitor()
    entries = tuple({**entry, "epoch": None} for entry in record.measurements)
    axes = axes_of(draw_watch([replace(record, measurements=entries)]))[-1]
    assert axes.get_xlabel() == "step"
    assert axes.xaxis.get_major_formatter()(1500.0) == "1,500"
    settings = {**record.settings, "when": "LogSpaced(factor=2.0)"}
    spaced = axes_of(draw_watch([replace(record, measurements=entries, settings=settings)]))[-1]
    assert spaced.get_xscale() == "symlog"
    assert [text.get_text() for text in spaced.get_xticklabels()] == ["0", "100"]
    assert -100 < spaced.get_xlim()[0] < 0
    known = axes_of(draw_watch([replace(record, settings=settings)]))[-1]
    assert (known.get_xlabel(), known.get_xscale()) == ("epoch", "symlog")
    mixed = draw_flatness(
        [toy.monitor("late"), replace(toy.monitor("masam"), measurements=entries)]
    )
    assert mixed.axes[0].get_xlabel() == "step"


def test_a_wide_range_is_logarithmic_and_holds_the_threshold():
    record = a_monitor()
    for place in range(4):
        record = changed(record, place, "ehr", threshold=200.0)
        record = changed(record, place, "cxr", threshold=100.0)
    top = axes_of(draw_watch([record]))[1]
    assert top.get_yscale() == "log"
    assert top.get_ylim()[1] > 200
    shown = [line for line in top.lines if line.get_label() == "stability threshold"]
    assert [line.get_color() for line in shown] == list(COLORS[:2])  # each has its own
    assert [line.get_drawstyle() for line in shown] == ["steps-post"] * 2


def test_a_band_that_reaches_below_zero_is_cut_at_the_end_of_a_logarithm():
    record = changed(a_monitor(), 0, "ehr", trace=0.1, interval=[-1.0, 1.2])
    for place in (1, 2, 3):
        record = changed(record, place, "ehr", trace=100.0, interval=[90.0, 110.0])
    trace = axes_of(draw_watch([record]))[0]
    assert trace.get_yscale() == "log"
    paths: list[Any] = [path for band in trace.collections for path in band.get_paths()]
    lows = [path.vertices[:, 1].min() for path in paths]
    assert min(lows) == pytest.approx(trace.get_ylim()[0])  # and not a wall from there downward


def test_what_cannot_be_drawn():
    empty = a_monitor(measurements=(), tag="late")
    for draw in (draw_watch, draw_flatness):
        with pytest.raises(MisuseError, match="late has no measurement yet"):
            draw([empty])
        with pytest.raises(MisuseError, match="there is no result to draw"):
            draw([])
    with pytest.raises(MisuseError, match="several runs are drawn as kind flatness"):
        draw_watch([a_monitor(), a_monitor()])
    with pytest.raises(MisuseError, match=r"two records of late fusion, seed 0 \(flatness over tr"):
        draw_flatness([toy.monitor("late"), toy.monitor("late")])
    other = toy.monitor("late", 1, settings={**a_monitor().settings, "samples": 128})
    with pytest.raises(MisuseError, match="of the same data; late fusion is of 64 and 128 samples"):
        draw_flatness([toy.monitor("late"), other])
    bare = a_monitor()
    for place in range(4):
        for name in bare.modalities:
            bare = changed(bare, place, name, alignment=None)
    with pytest.raises(
        MisuseError, match="no monitor measured alignment; quantity may be 'trace', 'per_parameter'"
    ):
        draw_flatness([bare], quantity="alignment")
    entries = tuple({**entry, "encoders": {}} for entry in bare.measurements)
    with pytest.raises(MisuseError, match=r"no monitor measured trace$"):
        draw_flatness([replace(bare, measurements=entries)])
    alone = draw_watch([replace(bare, measurements=entries)])
    assert [axes.get_ylabel() for axes in alone.axes] == ["coupling\nshare"]
    with pytest.raises(MisuseError, match=r"quantity must be 'trace', .*; got 'traces'"):
        draw_flatness([bare], quantity="traces")


def test_a_threshold_stands_beside_the_loss_that_is_trained():
    record = a_monitor_of_a_total()
    figure = draw_watch([record])
    _, top, whole = axes_of(figure)[:3]
    assert lines(whole)["ehr"] == [9.0, 8.0, 7.0, 6.0]
    assert lines(whole)["stability threshold"] == [2.0] * 4
    assert "stability threshold" not in lines(top)
    assert points(whole, "event: stability") == [(3.0, 6.0)]
    told = caption_of([record], "watch")
    assert "with learning rate η), whose λ_max of the loss that is trained is shown;" in told
    assert "Residuals of λ_max are at most 0.03 of it." in told
    both = [record, a_monitor(tag="joint")]
    of_fusion = draw_flatness(both, quantity="lambda_max")
    assert lines(axes_of(of_fusion)[0])["stability threshold"] == [2.0] * 4
    assert "of runs that train the fusion loss alone" in caption_of(
        both, "flatness", quantity="lambda_max"
    )
    alone = draw_flatness([record], quantity="lambda_max")
    assert "stability threshold" not in legend(alone)
    assert "λ_max of the fusion loss has no stability threshold where another loss is" in (
        caption_of([record], "flatness", quantity="lambda_max")
    )
    whole = draw_flatness([record], quantity="trained_lambda_max")
    assert "stability threshold" in legend(whole)
