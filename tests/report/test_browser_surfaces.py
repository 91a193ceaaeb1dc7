"""Surfaces in a browser: turning, flat, far from the window, named to the rim."""

from pathlib import Path
from typing import Any

import pytest

from sharpscope.figures.writing import write_figure
from tests.report.browsing import READY, SURFACE, chromium, live, open_report
from tests.results.makers import a_landscape


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
    const dark = (value) => value < 250;
    const inked = (...box) => context.getImageData(...box).data.filter(dark).length;
    return inked(left + 1, high, 2, low - high) + inked(right - 3, high, 2, low - high)
        + inked(left, high + 1, right - left, 2) + inked(left, low - 3, right - left, 2);
}"""


@pytest.mark.parametrize("width", [1300, 390])
def test_names_of_axes_are_whole(opened: Any, report: Path, width: int):
    """What is cut off leaves ink at the rim: in WebGL letters have no boxes to be read back."""
    page = open_report(opened.context.browser, report, width).page
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
