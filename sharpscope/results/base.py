"""What every record on disk is made of: plain types in JSON, arrays in an npz beside it."""

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar, Self, get_args

import numpy as np

from sharpscope.checks import one_of
from sharpscope.errors import MisuseError
from sharpscope.results.files import Writer, write_together


@dataclass(frozen=True, kw_only=True)
class Record:
    """Something to keep: a frozen dataclass that is saved, read back equal, and drawn.

    Attributes:
        tag: Which of several checkpoints or runs this is.
    """

    schema: ClassVar[str]
    # What ``to_dict`` adds to the fields.
    derived: ClassVar[tuple[str, ...]] = ("schema", "version", "arrays")
    # Names of arrays in the npz, where they are not those of the fields.
    stored: ClassVar[Mapping[str, str]] = {}

    tag: str | None = None

    def tagged(self, tag: str) -> Self:
        """Return the record under a name of its own, which tables and figures show."""
        return dataclasses.replace(self, tag=tag)

    def draw(self, kind: str | None = None, *, out: str | Path | None = None, **how: Any) -> Any:
        """Return the figure of this record; no model and no torch are needed.

        Args:
            kind: Which of several figures, as ``sharpscope figure --kind`` names them.
            out: Where to save it as well, as PDF, SVG or PNG by the name.
            how: As for the function that draws it, such as ``width``.

        Raises:
            MisuseError: If there is no such figure of it, or it cannot be saved.
        """
        figures: Any = import_module("sharpscope.figures")
        figure = figures.draw([self], kind=kind, **how)
        if out is not None:
            figures.save_figure(figure, out)
        return figure

    def to_dict(self, *, arrays: bool = True) -> dict[str, Any]:
        """Return plain JSON types; not finite numbers become ``None``, as the outcome tells.

        Args:
            arrays: Write arrays as nested lists. Without it they are left out, for an npz.
        """
        content: dict[str, Any] = {"schema": self.schema, "version": version("sharpscope")}
        for entry in dataclasses.fields(self):
            value = getattr(self, entry.name)
            if arrays or not isinstance(value, np.ndarray):
                content[entry.name] = plain(value)
        if not arrays:
            content["arrays"] = [self.stored.get(name, name) for name in self.array_fields()]
        return content

    def array_fields(self) -> dict[str, np.ndarray]:
        """Return the fields that are arrays, by name: what ``save`` puts into the npz."""
        values = {entry.name: getattr(self, entry.name) for entry in dataclasses.fields(self)}
        return {name: value for name, value in values.items() if isinstance(value, np.ndarray)}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Rebuild the record from what ``to_dict`` and the npz hold; unknown keys are refused."""
        known = {entry.name: entry for entry in dataclasses.fields(cls)}
        unknown = sorted(set(content) - set(known) - set(cls.derived))
        if unknown:
            raise MisuseError(
                f"a {cls.schema} result has no field {unknown[0]!r}: it was written by version "
                f"{content.get('version')} and this is {version('sharpscope')}; update sharpscope"
            )
        needed = {
            name
            for name, entry in known.items()
            if entry.default is entry.default_factory is dataclasses.MISSING
        }
        missing = sorted(needed - set(content))
        if missing:
            raise MisuseError(f"a {cls.schema} result needs the field {missing[0]!r}")
        values = {name: _frozen(content[name]) for name in known if name in content}
        for name in values:
            kind = known[name].type
            if isinstance(kind, type) and issubclass(kind, StrEnum):
                values[name] = kind(one_of(name, values[name], list(kind)))
            arrays = kind is np.ndarray or np.ndarray in get_args(kind)
            if arrays and values[name] is not None:
                values[name] = np.asarray(values[name], dtype=float)
        return cls(**values)

    def save(self, path: str | Path) -> Path:
        """Write JSON to ``path``, arrays (if any) to the npz beside it, and return the path.

        Raises:
            MisuseError: If the path cannot be written; nothing is left half-written.
        """
        path = Path(path)
        if path.suffix == ".npz":
            raise MisuseError(f"cannot write {path}: the npz is for the arrays; name a .json file")
        arrays = {self.stored.get(name, name): a for name, a in self.array_fields().items()}
        text = json.dumps(self.to_dict(arrays=False), indent=1, ensure_ascii=False) + "\n"
        files: dict[Path, Writer] = {path: lambda file: file.write(text.encode())}
        if arrays:
            files[beside(path)] = lambda file: np.savez(file, **arrays)  # pyright: ignore[reportArgumentType]
        write_together(files)
        return path


def beside(path: Path) -> Path:
    """Return where the arrays of the result at ``path`` are."""
    return (
        path.with_suffix(".npz") if path.suffix == ".json" else path.with_name(f"{path.name}.npz")
    )


def plain(value: Any) -> Any:
    """Return ``value`` in JSON's types: tuples as lists, not finite numbers as None."""
    match value:
        case StrEnum() | Path():
            return str(value)
        case np.ndarray():
            return plain(value.tolist())
        case np.generic():
            return plain(value.item())
        case float():
            return value if math.isfinite(value) else None
        case Mapping():
            return {str(key): plain(entry) for key, entry in value.items()}
        case list() | tuple():
            return [plain(entry) for entry in value]
        case None | bool() | int() | str():
            return value
        case _:
            return str(value)  # a date, a device: hours of measuring must not be lost to it


def _frozen(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _frozen(entry) for key, entry in value.items()}
    return tuple(_frozen(entry) for entry in value) if isinstance(value, list) else value
