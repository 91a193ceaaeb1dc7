"""A report with every kind of figure, and the page of it in a browser."""

from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sharpscope.report import write_report
from sharpscope.results import save_all
from tests.report.browsing import Opened, chromium, open_report
from tests.results.makers import a_density, a_landscape, a_run, a_trace, an_eigen


@pytest.fixture(scope="session")
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


@pytest.fixture(scope="module")
def loaded(report: Path) -> Generator[Opened]:
    """Open the report once, and wait until all is drawn."""
    with chromium() as browser:
        yield open_report(browser, report)


@pytest.fixture
def opened(loaded: Opened) -> Generator[Any]:
    """Give the page as at first; demand that nothing was said and nothing asked for elsewhere."""
    loaded.page.set_viewport_size({"width": 1280, "height": 900})
    loaded.page.evaluate("scrollTo(0, 0)")
    yield loaded.page
    assert loaded.errors == []
    assert loaded.asked[0].startswith("file:")
    assert [url for url in loaded.asked[1:] if not url.startswith(("data:", "blob:"))] == []
