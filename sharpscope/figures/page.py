"""Interactive figures as one HTML file that needs no network: plotly.js is in it, once."""

from collections.abc import Sequence
from functools import cache
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from sharpscope.figures.interactive import Panels

_SOLID = ("surface", "mesh3d")


def page(groups: Sequence[Panels], title: str) -> str:
    """Return a page of figures with their captions."""
    return environment().get_template("page.html").render(title=title, **described(groups))


def described(groups: Sequence[Panels]) -> dict[str, Any]:
    """Return groups of figures as the templates know them, and what draws them."""
    number = 0
    found: list[dict[str, Any]] = []
    for group in groups:
        panels: list[dict[str, Any]] = []
        for figure in group.figures:
            number += 1
            solid = any(trace.type in _SOLID for trace in _traces(figure))
            # What closes a script must not stand in one, whatever a tag or a label holds.
            content = str(figure.to_json()).replace("<", "\\u003c")
            panels.append(
                {
                    "id": f"panel-{number}",
                    "label": figure.layout.title.text or group.title,
                    "solid": solid,
                    "content": Markup(content),
                }
            )
        found.append({"title": group.title, "caption": group.caption, "panels": panels})
    return {"groups": found, "plotlyjs": Markup(get_plotlyjs())}


@cache
def environment(*packages: str) -> Environment:
    """Return the templates of figures and of other packages; what they are given is escaped."""
    loaders = [PackageLoader(name) for name in (*packages, "sharpscope.figures")]
    return Environment(
        loader=ChoiceLoader(loaders),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _traces(figure: Any) -> tuple[Any, ...]:
    return figure.data
