"""A report in a browser: drawn without a network, turning, narrow, printed."""

import itertools
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


def _open(browser: Any, report: Path, width: int = 1280) -> Opened:
    found = Opened(browser.new_page())
    page = found.page
    page.on("console", lambda m: found.errors.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: found.errors.append(str(error)))
    page.on("request", lambda request: found.asked.append(request.url))
    page.set_viewport_size({"width": width, "height": 900})
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
    page = _open(opened.context.browser, path, 390).page
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


# How much of the rim of a scene is not white, from a picture of the figure as it is.
INK_AT_THE_RIM = """async (node) => {
    const { width, height, _size: size, scene } = node._fullLayout;
    const image = new Image();
    image.src = await Plotly.toImage(node, { format: "png", width, height });
    await image.decode();
    const canvas = Object.assign(document.createElement("canvas"), { width, height });
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    const [left, right] = scene.domain.x.map((part) => Math.round(size.l + part * size.w));
    const [low, high] = scene.domain.y.map((part) => Math.round(size.t + (1 - part) * size.h));
    const inked = (...box) => context.getImageData(...box).data.filter((value) => value < 250).length;
    return inked(left + 1, high, 2, low - high) + inked(right - 3, high, 2, low - high)
        + inked(left, high + 1, right - left, 2) + inked(left, low - 3, right - left, 2);
}"""  # noqa: E501


@pytest.mark.parametrize("width", [1300, 390])
def test_names_of_axes_are_whole(opened: Any, report: Path, width: int):
    """What is cut off leaves ink at the rim: in WebGL letters have no boxes to be read back."""
    page = _open(opened.context.browser, report, width).page
    for place, panel in enumerate(page.locator(SURFACE).all()):
        page.locator(".panel.solid").nth(place).scroll_into_view_if_needed()
        page.wait_for_function(
            f"document.querySelectorAll('{SURFACE}')[{place}]._fullLayout?.scene?._scene",
            timeout=60_000,
        )
        assert panel.evaluate(INK_AT_THE_RIM) == 0
    page.close()


def test_on_a_phone_the_scale_of_colors_lies_below(opened: Any):
    live(opened)
    at = "(node) => [node._fullData.find(one => one.colorbar).colorbar.orientation,"
    domain = " ...node._fullLayout.scene.domain.y]"
    surface = opened.locator(SURFACE).first
    assert surface.evaluate(at + domain) == ["v", 0, 1]
    opened.set_viewport_size({"width": 390, "height": 844})
    opened.wait_for_timeout(600)
    live(opened)
    assert surface.evaluate(at + domain) == ["h", 0.2, 1]
    panel = opened.locator(".panel.solid").first
    panel.locator(".updatemenu-button").last.click()
    panel.locator(".contourlayer path").first.wait_for(state="attached", timeout=30_000)
    assert surface.evaluate("(node) => node._fullLayout.yaxis.domain") == [0.42, 1]
    below = panel.locator(".colorbar").first.bounding_box()["y"]
    title = panel.locator(".xtitle").first.bounding_box()
    assert title["y"] + title["height"] <= below + 1


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
