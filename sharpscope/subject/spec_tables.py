"""Take values out of the tables of a ``sharpscope.toml``, each with its type checked."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sharpscope.checks import listed, nearest
from sharpscope.errors import SpecError
from sharpscope.subject.factories import Factory

_PLACEHOLDER = re.compile(r"<.*>")
_FACTORY = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


class Table:
    """One table of a spec, which knows its own name and what it may hold."""

    def __init__(self, path: Path, name: str, value: Any, allowed: Iterable[str] | None = None):
        self.path, self.name = path, name
        if not isinstance(value, dict):
            raise self.wrong("", "a table", value)
        self.values: dict[str, Any] = value
        for key in self.values if allowed is not None else ():
            known = list(allowed or ())
            if key not in known:
                raise SpecError(
                    f"{path}: unknown key {name}.{key}{nearest(key, known)}; [{name}] takes "
                    f"{', '.join(known)}"
                )

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def wrong(self, key: str, allowed: str, got: Any) -> SpecError:
        """Return the error that names the entry, what is allowed and what came."""
        where = f"{self.name}.{key}" if key else f"[{self.name}]"
        return SpecError(f"{self.path}: {where} must be {allowed}; got {got!r}")

    def text(self, key: str) -> str | None:
        """Return an entry that must be text, or None where there is none."""
        value = self.values.get(key)
        if value is not None and not isinstance(value, str):
            raise self.wrong(key, "text in quotes", value)
        return value

    def choice(self, key: str, allowed: Iterable[str]) -> str | None:
        """Return an entry that must be one of the names allowed."""
        value, names = self.text(key), list(allowed)
        if value is not None and value not in names:
            hint = nearest(value, names)
            raise SpecError(f"{self.wrong(key, listed(names), value)}{hint}")
        return value

    def kwargs(self) -> dict[str, Any]:
        """Return the entry ``kwargs``, empty where there is none."""
        value = self.values.get("kwargs", {})
        if not isinstance(value, dict):
            raise self.wrong("kwargs", "a table such as { hidden = 256 }", value)
        return value

    def factory(self, key: str, **kwargs: Any) -> Factory | None:
        """Return an entry that names a function of the user's."""
        value = self.text(key)
        if value is None:
            return None
        if not _FACTORY.fullmatch(value):
            raise self.wrong(key, '"module:function", such as "my_project.models:build"', value)
        return Factory(key=f"{self.name}.{key}", target=value, kwargs=kwargs, spec=self.path)

    def patterns(self, key: str) -> tuple[str, ...]:
        """Return an entry that must be a pattern or a list of patterns."""
        value = self.values[key]
        patterns: list[Any] = value if isinstance(value, list) else [value]
        if not patterns or not all(isinstance(pattern, str) and pattern for pattern in patterns):
            raise self.wrong(key, "a module path or a glob in quotes, or a list of them", value)
        return tuple(patterns)


def check_filled_in(path: Path, tables: Mapping[str, Any]) -> None:
    """Raise unless every ``<...>`` of a draft has been replaced, naming all that have not.

    Raises:
        SpecError: If one has not.
    """
    places = list(_unfilled(tables, ""))
    if places:
        last = f" and {places[-1]}" if len(places) > 1 else places[-1]
        raise SpecError(
            f"{path}: {', '.join(places[:-1])}{last} {'are' if len(places) > 1 else 'is'} not "
            'filled in yet: replace "<...>" in each line marked "<- fill in"'
        )


def _unfilled(value: Any, name: str) -> Iterable[str]:
    if isinstance(value, dict):
        for key, entry in value.items():
            if key == "kwargs":  # the user's own, where "<pad>" may be meant
                continue
            if _PLACEHOLDER.fullmatch(key):
                yield f"[{name}]"
            else:
                yield from _unfilled(entry, f"{name}.{key}" if name else key)
    elif isinstance(value, str) and _PLACEHOLDER.fullmatch(value):
        yield name
