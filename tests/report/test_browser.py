"""A report in a browser: drawn without a network, turning, narrow, printed."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sharpscope.figures.writing import write_figure
from sharpscope.report import write_report
from sharpscope.results import save_all
from tests.results.makers import a_density, a_landscape, a_run, a_trace, an_eigen

CHROMIUM = Path("/usr/bin/chromium")
READY = "document.documentElement.dataset.ready === 'true'"
SURFACE = ".panel.solid .live"


@contextmanager
def chromium(*arguments: str) -> Generator[Any]:
    """Start a browser; where there is none, skip, and fail in CI."""
    if not CHROMIUM.exists():
        if os.environ.get("SHARPSCOPE_CI"):
            pytest.fail(f"{CHROMIUM} is missing; .ci/run installs it")
        pytest.skip(f"needs {CHROMIUM}: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # As root, as in a container, Chromium has no sandbox of its own.
        arguments = ("--no-sandbox", *arguments)
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=list(arguments))
        yield found
        found.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    x = np.linspace(-1, 1, 5)
    volume = np.add.outer(x**2, np.add.outer(x**2, x**2)) + 0.5
    holed = a_landscape().values.copy()
    holed[0, 0] = np.nan
    results = [
        *(a_trace(tag=tag, modality=name) for tag in ("late", "masam") for name in ("ehr", "cxr")),
        an_eigen(tag="late"),
        a_density(tag="late"),
        a_landscape(tag="late", modality="ehr", values=holed),
        a_landscape(tag="late", modality="cxr"),
        a_landscape(tag="late", x=x, y=None, values=x**2 + 1, labels=("direction 1",)),
        a_landscape(tag="late", x=x, y=x, z=x, values=volume, labels=("a", "b", "c")),
    ]
    folder = tmp_path_factory.mktemp("report")
    a_run(tag="masam").save(folder / "run.json")
    save_all(results, folder, "r")
    return write_report(folder)


@dataclass
class Opened:
    """The report, open in a browser.

    Args:
        page: The page of playwright.
        errors: What the console said and what was thrown.
        asked: Every address that was asked for.
    """

    page: Any
    errors: list[str] = field(default_factory=list[str])
    asked: list[str] = field(default_factory=list[str])


@pytest.fixture(scope="module")
def loaded(report: Path) -> Generator[Opened]:
    """Open the report once, and wait until all is drawn."""
    with chromium() as browser:
        yield _open(browser, report)


def _open(browser: Any, report: Path) -> Opened:
    found = Opened(browser.new_page())
    page = found.page
    page.on("console", lambda m: found.errors.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: found.errors.append(str(error)))
    page.on("request", lambda request: found.asked.append(request.url))
    page.set_viewport_size({"width": 1280, "height": 900})
    page.goto(report.as_uri())
    page.wait_for_function(READY, timeout=120_000)
    return found


@pytest.fixture
def opened(loaded: Opened) -> Generator[Any]:
    """Give the page as at first; demand that nothing was said and nothing asked for elsewhere."""
    loaded.page.set_viewport_size({"width": 1280, "height": 900})
    loaded.page.evaluate("scrollTo(0, 0)")
    yield loaded.page
    assert loaded.errors == []
    assert loaded.asked[0].startswith("file:")
    assert [url for url in loaded.asked[1:] if not url.startswith(("data:", "blob:"))] == []


def test_without_webgl_surfaces_lie_flat(report: Path):
    with chromium("--disable-3d-apis") as browser:
        page = browser.new_page()
        page.goto(report.as_uri())
        page.wait_for_function(READY, timeout=120_000)
        for place in range(2):
            panel = page.locator(".panel.solid").nth(place)
            assert panel.get_attribute("data-drawn") == "true"
            panel.scroll_into_view_if_needed()
            panel.locator(".contourlayer path").first.wait_for(state="attached", timeout=30_000)


def test_a_figure_alone_is_live_without_scrolling(tmp_path: Path):
    path = write_figure([a_landscape()], tmp_path / "plane.html")
    with chromium() as browser:
        page = browser.new_page()
        page.goto(path.as_uri())
        code = f"document.querySelector('{SURFACE}')._fullLayout?.scene?._scene"
        page.wait_for_function(f"{READY} && {code}", timeout=60_000)
        assert page.locator(".panel.away").count() == 0


def camera(page: Any, place: int = 0) -> dict[str, float]:
    """Return where the eye of a surface is."""
    code = "(node) => node._fullLayout.scene._scene.getCamera().eye"
    return page.locator(SURFACE).nth(place).evaluate(code)


def live(page: Any) -> None:
    """Bring the first surface into the window and wait until it is drawn there."""
    page.locator(".panel.solid").first.scroll_into_view_if_needed()
    page.wait_for_function(
        f"[...document.querySelectorAll('{SURFACE}')].slice(0, 2)"
        ".every((node) => node._fullLayout?.scene?._scene)",
        timeout=60_000,
    )


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


def test_a_surface_turns_when_it_is_dragged_and_its_neighbor_with_it(opened: Any):
    live(opened)
    before, beside = camera(opened), camera(opened, 1)
    assert before == pytest.approx(beside)
    box = opened.locator(SURFACE).first.bounding_box()
    x, y = box["x"] + box["width"] * 0.4, box["y"] + box["height"] * 0.6
    opened.mouse.move(x, y)
    opened.mouse.down()
    opened.mouse.move(x + 90, y + 10, steps=6)
    opened.mouse.up()
    opened.wait_for_timeout(1000)
    after = camera(opened)
    assert max(abs(after[axis] - before[axis]) for axis in "xyz") > 0.1
    assert camera(opened, 1) == pytest.approx(after, abs=1e-3)


def test_a_button_lays_the_surface_flat(opened: Any):
    live(opened)
    panel = opened.locator(".panel.solid").first
    assert panel.locator(".contourlayer path").count() == 0
    panel.locator(".updatemenu-button").last.click()
    panel.locator(".contourlayer path").first.wait_for(state="attached", timeout=30_000)
    panel.locator(".updatemenu-button").first.click()
    opened.wait_for_function(
        f"document.querySelector('{SURFACE}')._fullLayout.scene?._scene", timeout=30_000
    )


def test_surfaces_far_from_the_window_are_pictures(opened: Any):
    opened.evaluate("scrollTo(0, 0)")
    last = opened.locator(".panel.solid").last
    opened.evaluate("scrollTo(0, document.body.scrollHeight)")
    opened.wait_for_timeout(1500)
    opened.evaluate("scrollTo(0, 0)")
    opened.wait_for_function(
        "document.querySelectorAll('.panel.solid.away').length > 0", timeout=30_000
    )
    assert last.locator(".still").get_attribute("src").startswith("data:image/png")


def test_a_phone_shows_it_without_scrolling_sideways(opened: Any):
    opened.set_viewport_size({"width": 375, "height": 812})
    opened.wait_for_timeout(1000)
    assert opened.evaluate("document.documentElement.scrollWidth") <= 375
    for box in opened.locator(".panel").all():
        assert box.bounding_box()["width"] <= 375
    # The table scrolls inside its own box, where the name of the encoder stays in sight.
    wide, shown = opened.locator(".scroll").evaluate("(box) => [box.scrollWidth, box.clientWidth]")
    assert wide > shown
    opened.locator(".scroll").evaluate("(box) => { box.scrollLeft = 200; }")
    left = opened.locator("tbody th.first").first.bounding_box()["x"]
    assert left == pytest.approx(opened.locator(".scroll").bounding_box()["x"], abs=2)


def test_print_has_text_pictures_and_no_buttons(opened: Any, tmp_path: Path):
    content = opened.pdf(path=tmp_path / "report.pdf", format="A4")
    assert content.startswith(b"%PDF")
    assert content.count(b"/Type /Page\n") + content.count(b"/Type /Page /") >= 2
    assert b"/Font" in content
    opened.emulate_media(media="print")
    assert "925.6 ± 8.7" in opened.locator(".narrow").inner_text()
    assert not opened.locator(".wide").is_visible()
    for panel in opened.locator(".panel").all():
        assert panel.locator(".still").is_visible()
        assert not panel.locator(".live").is_visible()
    # Rows and figures are not cut by the edge of a page.
    for name in (".narrow tr", ".panel"):
        code = "(node) => getComputedStyle(node).breakInside"
        assert opened.locator(name).first.evaluate(code) == "avoid"
