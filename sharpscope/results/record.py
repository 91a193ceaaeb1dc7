"""The part that every result has."""

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar, Self, get_args

import numpy as np

from sharpscope.checks import listed, one_of
from sharpscope.errors import MisuseError
from sharpscope.results.files import Writer, write_together
from sharpscope.results.outcome import Outcome


@dataclass(frozen=True, kw_only=True)
class Result:
    """A measurement of one Selection, with everything that is needed to judge and repeat it.

    Attributes:
        modality: Name of the Selection: an encoder, ``shared``, ``all`` or a glob.
        parameters: Number of scalar parameters in the Selection.
        samples: Number of items that the loss was averaged over.
        loss: Name of the loss: ``fusion``, ``total`` or a modality.
        loss_value: The loss itself, mean over items.
        outcome: How the measurement ended.
        method: Estimator, in words.
        matvecs: Products with the operator over the full data.
        seconds: Wall-clock seconds, the check that the model stands still included.
        peak_bytes: Highest memory use seen by the end: resident set of the process on CPU,
            allocated on the device on CUDA. ``None`` where the system does not tell.
        seed: Seed of all random streams.
        settings: Settings of the estimator.
        provenance: Checkpoint and its sha256, library versions, device, dtype, data fingerprint.
        replayed: Modules that were run once for each batch and played back from then on.
        notes: Sentences a reader must know (frozen parameters, blocks that are zero, ...).
        tag: Which of several checkpoints this is.
    """

    schema: ClassVar[str]

    modality: str
    parameters: int
    samples: int
    loss: str
    loss_value: float
    outcome: Outcome
    method: str
    matvecs: float
    seconds: float
    peak_bytes: int | None = None
    seed: int
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    provenance: Mapping[str, Any] = field(default_factory=dict[str, Any])
    replayed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    tag: str | None = None

    @property
    def advice(self) -> str:
        """What the outcome means and what to change."""
        return self.outcome.advice

    def draw(self, **how: Any) -> Any:
        """Return the figure of this result; no model and no torch are needed.

        Args:
            how: As for the function that draws it, such as ``width``.

        Raises:
            MisuseError: If results of this kind have no figure.
        """
        drawing = import_module("sharpscope.figures").DRAWING
        if self.schema not in drawing:
            raise MisuseError(f"a {self.schema} result has no figure; {listed(drawing)} have one")
        return drawing[self.schema]([self], **how)

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
            content["arrays"] = list(self.array_fields())
        content["advice"] = self.advice
        return content

    def array_fields(self) -> dict[str, np.ndarray]:
        """Return the fields that are arrays, by name: what ``save`` puts into the npz."""
        values = {entry.name: getattr(self, entry.name) for entry in dataclasses.fields(self)}
        return {name: value for name, value in values.items() if isinstance(value, np.ndarray)}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Rebuild the record from what ``to_dict`` and the npz hold; unknown keys are refused."""
        known = {entry.name: entry for entry in dataclasses.fields(cls)}
        derived = {"schema", "version", "advice", "arrays"}
        unknown = sorted(set(content) - set(known) - derived)
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
        values["outcome"] = Outcome(one_of("outcome", values["outcome"], list(Outcome)))
        for name in values:
            kind = known[name].type
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
        arrays = self.array_fields()
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


def within(value: float | None, bound: float, digits: int = 6) -> str:
    """Return ``value`` to the first place that an error of ``bound`` reaches, or fewer digits.

    Example:
        >>> within(20.5437, 0.0183), within(-0.3318, 0.0183), within(0.0004, 0.0183)
        ('20.54', '-0.33', '0.00')
    """
    if value is None or not math.isfinite(value) or not math.isfinite(bound):
        return significant(value)
    place = math.floor(math.log10(bound)) if bound > 0 else -math.inf
    length = math.floor(math.log10(abs(value))) - place + 1 if value else digits
    if length > digits:
        return f"{value:#.{digits}g}".rstrip(".")
    if -digits <= place < digits:
        return f"{round(value, -int(place)) + 0.0:.{max(0, -int(place))}f}"
    return f"{value:#.{int(length)}g}".rstrip(".") if length >= 1 else "0"


def significant(value: float | None, digits: int = 4) -> str:
    """Return ``value`` with so many significant digits, or 'not finite'."""
    if value is None or not math.isfinite(value):
        return "not finite"
    return f"{value:.{digits}g}"
