"""A report in a browser: drawn without a network, narrow, printed."""

import itertools
from pathlib import Path
from typing import Any

import pytest

from sharpscope.figures.writing import write_figure
from tests.report.browsing import open_report
from tests.results.makers import a_trace, an_eigen


def test_every_figure_is_drawn(opened: Any):
    # Bars of trace and λ_max, two surfaces, a profile, a volume, a density, a run with its
    # loss and what it recorded of its modalities.
    states = opened.evaluate("[...document.querySelectorAll('.panel')].map(p => p.dataset.drawn)")
    assert states == ["true"] * 11
    assert opened.locator(".panel .failed").count() == 0
    # None of plotly's own buttons sends the figure anywhere.
    labels = opened.evaluate(
        "[...document.querySelectorAll('.modebar-btn')].map(button => button.dataset.title)"
    )
    assert "Download plot as a PNG" in labels
    assert not [label for label in labels if "share" in label.lower() or "cloud" in label.lower()]
    stills = opened.evaluate(
        "[...document.querySelectorAll('.panel .still')].map(i => [i.complete, i.naturalWidth])"
    )
    assert len(stills) == len(states)
    assert all(done and width > 300 for done, width in stills)
    heads = opened.locator("thead").first.inner_text()
    assert "trace ± error" in heads
    assert "925.6 ± 8.7" in opened.locator("table").first.inner_text()


def test_at_any_width_nothing_leaves_the_page(opened: Any):
    for width in (1300, 1100, 700, 390):
        opened.set_viewport_size({"width": width, "height": 900})
        opened.wait_for_timeout(600)
        assert opened.evaluate("document.documentElement.scrollWidth") <= width
        for name in (".panel", ".panel .live svg.main-svg, .panel canvas"):
            boxes = opened.locator(name).evaluate_all(
                "(all) => all.map(one => one.getBoundingClientRect())"
                ".map(box => [box.left, box.right])"
            )
            assert all(left >= 0 and right <= width for left, right in boxes)


def shown_tables(page: Any) -> list[tuple[int, int]]:
    """Return how wide each table in sight is, and how much of it is shown."""
    return page.evaluate(
        "[...document.querySelectorAll('.scroll')].filter(box => box.clientWidth)"
        ".map(box => [box.scrollWidth, box.clientWidth])"
    )


def test_tables_hide_nothing_from_a_desk(opened: Any):
    for width in (1300, 800):
        opened.set_viewport_size({"width": width, "height": 900})
        tables = shown_tables(opened)
        assert tables
        assert all(wide <= shown for wide, shown in tables)


def test_on_a_phone_a_table_scrolls_in_its_own_box(opened: Any):
    opened.set_viewport_size({"width": 390, "height": 844})
    assert any(wide > shown for wide, shown in shown_tables(opened))
    box = opened.locator(".narrow .scroll").first
    box.evaluate("(box) => { box.scrollLeft = 200; }")
    # The name of the encoder stays in sight, and that of the checkpoint.
    left = box.bounding_box()["x"]
    for name in ("tbody th.first", ".checkpoint span"):
        assert box.locator(name).first.bounding_box()["x"] == pytest.approx(left, abs=10)


def test_bars_stand_one_below_the_other_on_a_phone_with_names_over_nothing(
    opened: Any, tmp_path: Path
):
    tags = [f"a-long-name-of-a-checkpoint-{n}" for n in range(3)]  # three lines of a legend
    results = [one(tag=tag) for tag in tags for one in (a_trace, an_eigen)]
    path = write_figure(results, tmp_path / "bars.html")
    page = open_report(opened.context.browser, path, 390).page
    first, second = (one.bounding_box() for one in page.locator(".panel").all())
    assert first["x"] == second["x"]
    assert second["y"] >= first["y"] + first["height"]
    panel = page.locator(".panel").first
    inside = (".gtitle", ".barlayer", ".xaxislayer-above", ".legend")
    boxes = [first, *(panel.locator(name).first.bounding_box() for name in inside)]
    for above, below in itertools.pairwise(boxes[1:]):
        assert above["y"] + above["height"] <= below["y"] + 1
    assert boxes[-1]["height"] > 50
    assert boxes[-1]["y"] + boxes[-1]["height"] <= first["y"] + first["height"]
    page.close()


def test_print_has_text_pictures_and_no_buttons(opened: Any, tmp_path: Path):
    content = opened.pdf(path=tmp_path / "report.pdf", format="A4")
    assert content.startswith(b"%PDF")
    assert content.count(b"/Type /Page\n") + content.count(b"/Type /Page /") >= 2
    assert b"/Font" in content
    opened.emulate_media(media="print")
    assert "925.6 ± 8.7" in opened.locator(".narrow").inner_text()
    wide = opened.evaluate(
        "[...document.querySelectorAll('.narrow table')].map(t => t.offsetWidth)"
    )
    assert max(wide) <= (210 - 2 * 14) / 25.4 * 96  # A4 without its margins, in pixels
    assert not opened.locator(".wide").is_visible()
    for panel in opened.locator(".panel").all():
        assert panel.locator(".still").is_visible()
        assert not panel.locator(".live").is_visible()
    # Rows and figures are not cut by the edge of a page.
    for name in (".narrow tr", ".panel"):
        code = "(node) => getComputedStyle(node).breakInside"
        assert opened.locator(name).first.evaluate(code) == "avoid"
