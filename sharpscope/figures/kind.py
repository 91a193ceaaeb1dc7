"""What a kind of figure is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

Checks = Callable[[Sequence[Any]], Any]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of figure.

    Attributes:
        draw: Makes the figure from records.
        caption: Makes its text, with the options of ``draw`` that change what is shown.
        schemas: Records that it can be of.
        needs: What it is drawn from, in words.
        check: Raises ``MisuseError`` if records of these schemas still do not make one.
        quantities: What ``quantity`` can be; none where there is nothing to choose.
        options: Other options that it takes.
    """

    draw: Callable[..., Figure]
    caption: Callable[..., str]
    schemas: tuple[str, ...]
    needs: str
    check: Checks = lambda _: None
    quantities: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
