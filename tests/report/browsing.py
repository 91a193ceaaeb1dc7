"""Opening reports in a browser."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

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


def open_report(browser: Any, report: Path, width: int = 1280) -> Opened:
    """Open a report and wait until all is drawn."""
    found = Opened(browser.new_page())
    page = found.page
    page.on("console", lambda m: found.errors.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: found.errors.append(str(error)))
    page.on("request", lambda request: found.asked.append(request.url))
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(report.as_uri())
    page.wait_for_function(READY, timeout=120_000)
    return found


def live(page: Any) -> None:
    """Bring the first surface into the window and wait until it is drawn there."""
    page.locator(".panel.solid").first.scroll_into_view_if_needed()
    page.wait_for_function(
        f"[...document.querySelectorAll('{SURFACE}')].slice(0, 2)"
        ".every((node) => node._fullLayout?.scene?._scene)",
        timeout=60_000,
    )
