"""Figures into files."""

import io
from pathlib import Path
from typing import Any

from sharpscope.checks import listed
from sharpscope.errors import MisuseError
from sharpscope.figures.style import looks
from sharpscope.results.files import write_whole

FORMATS = ("pdf", "svg", "png")


def save_figure(figure: Any, path: str | Path) -> Path:
    """Write a matplotlib figure, whole or not at all; the format is that of the name.

    Raises:
        MisuseError: If the format is not known or the file cannot be written.
    """
    path = check_format(path)
    # No date: the same result gives the same file.
    metadata: dict[str, Any] = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}
    content = io.BytesIO()
    with looks():
        kind = path.suffix[1:].lower()
        figure.savefig(content, format=kind, metadata=metadata.get(kind), bbox_inches="tight")
    write_whole(path, lambda file: file.write(content.getvalue()))
    return path


def check_format(path: str | Path) -> Path:
    """Return the path if a figure can have its format.

    Raises:
        MisuseError: If it cannot.
    """
    path = Path(path)
    if path.suffix[1:].lower() not in FORMATS:
        raise MisuseError(
            f"a figure's file must end in {listed([f'.{kind}' for kind in FORMATS])}; got {path}"
        )
    return path
