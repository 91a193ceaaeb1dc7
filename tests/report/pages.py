"""Reports of results, and what stands in them."""

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from sharpscope.report import write_report
from sharpscope.results import save_all
from tests.results.makers import (
    a_contribution,
    a_coupling,
    a_density,
    a_gap,
    a_landscape,
    a_sharpness,
    a_trace,
    an_eigen,
)

EVERY = (a_trace, an_eigen, a_density, a_sharpness, a_gap, a_coupling, a_contribution, a_landscape)


class Page(HTMLParser):
    """The texts of a page, by the element that they stand in."""

    def __init__(self, html: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.cells: list[list[str]] = []
        self._text: list[str] | None = None
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.cells.append([])
        if tag in ("td", "th"):
            self._text = []
        elif tag in ("small", "span") and self._text is not None:
            self._text.append(" ")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th") and self._text is not None:
            self.cells[-1].append(" ".join("".join(self._text).split()))
            self._text = None

    def numbers(self, encoder: str) -> dict[str, str]:
        """Return what stands in the rows of an encoder, by the heads of the columns."""
        heads: list[str] = []
        found: dict[str, str] = {}
        above = False
        for cells in self.cells:
            if cells[0] == "encoder":  # the groups follow, whose columns the next row names
                heads, above = cells[: 2 if "parameters" in cells else 1], True
            elif above:
                heads, above = [*heads, *cells], False
            elif cells[0] == encoder:
                found |= dict(zip(heads[1:], cells[1:], strict=True))
        return found

    def handle_data(self, data: str) -> None:
        if self._text is not None:
            self._text.append(data)


def report_of(folder: Path, *results: Any) -> str:
    save_all(results, folder, "r")
    return write_report(folder).read_text()
