"""Figures into files."""

import io
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from sharpscope.checks import listed
from sharpscope.errors import MisuseError
from sharpscope.figures.interactive import Panels
from sharpscope.figures.page import page
from sharpscope.figures.style import looks
from sharpscope.results.files import write_whole
from sharpscope.results.grids import GRIDS

PAPER = ("pdf", "svg", "png")
FORMATS = (*PAPER, "html", *(kind.removeprefix(".") for kind in GRIDS))


def save_figure(figure: Any, path: str | Path) -> Path:
    """Write a figure, whole or not at all; the format is that of the name.

    Args:
        figure: Of matplotlib for ``.pdf``, ``.svg`` or ``.png``; what ``look`` returned, or a
            figure of plotly, for ``.html``, which then needs no network.
        path: The file.

    Raises:
        MisuseError: If the format is not one of the figure, or the file cannot be written.
    """
    path = check_format(path)
    suffix = path.suffix[1:].lower()
    if isinstance(figure, Figure) != (suffix in PAPER) or suffix not in (*PAPER, "html"):
        allowed = PAPER if isinstance(figure, Figure) else ("html",)
        raise MisuseError(
            f"this figure goes into {listed([f'.{kind}' for kind in allowed])}; got {path}"
        )
    if suffix == "html":
        content = page(_panels(figure), path.stem).encode()
        write_whole(path, lambda file: file.write(content))
        return path
    return _save_paper(figure, path)


def _panels(figure: Any) -> tuple[Panels, ...]:
    if isinstance(figure, Panels):
        return (figure,)
    if isinstance(figure, tuple):
        return figure
    title = figure.layout.title.text or "figure"
    return (Panels(title=title, caption="", figures=(figure,)),)


@contextmanager
def _settled(figure: Figure) -> Generator[None]:
    """Hold still where the axes stand: the layout's last digits differ from run to run."""
    engine = figure.get_layout_engine()
    if engine is None:
        yield
        return
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    try:
        for axes in figure.axes:
            bounds = [round(edge, 6) for edge in axes.get_position(original=True).bounds]
            axes.set_position((bounds[0], bounds[1], bounds[2], bounds[3]))
            axes.set_in_layout(True)
        yield
    finally:
        figure.set_layout_engine(engine)


def _save_paper(figure: Figure, path: Path) -> Path:
    # No date: the same result gives the same file.
    metadata: dict[str, Any] = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}
    content = io.BytesIO()
    with looks(), _settled(figure):
        kind = path.suffix[1:].lower()
        figure.savefig(content, format=kind, metadata=metadata.get(kind))
    write_whole(path, lambda file: file.write(content.getvalue()))
    return path


def check_format(path: str | Path, *, grids: bool = True) -> Path:
    """Return the path if a figure can have its format.

    Args:
        path: The file.
        grids: Whether those that hold the grid of a landscape are meant as well.

    Raises:
        MisuseError: If it cannot.
    """
    path, formats = Path(path), FORMATS if grids else (*PAPER, "html")
    if path.suffix[1:].lower() not in formats:
        raise MisuseError(
            f"a figure's file must end in {listed([f'.{kind}' for kind in formats])}; got {path}"
        )
    return path
