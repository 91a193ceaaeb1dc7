"""Results on disk: many at once into a folder, and any of them back by its schema."""

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from sharpscope.checks import listed
from sharpscope.errors import MisuseError
from sharpscope.results.base import Record, beside
from sharpscope.results.comparison import Comparison
from sharpscope.results.contribution import ContributionResult
from sharpscope.results.coupling import CouplingResult
from sharpscope.results.density import DensityResult
from sharpscope.results.eigen import EigenResult
from sharpscope.results.gap import GapResult
from sharpscope.results.landscape import LandscapeResult
from sharpscope.results.monitor import SUFFIX, MonitorRecord, read_monitor
from sharpscope.results.record import Result
from sharpscope.results.run import RunRecord
from sharpscope.results.sharpness import SharpnessResult
from sharpscope.results.trace import TraceResult

_KINDS: dict[str, type[Record]] = {
    kind.schema: kind
    for kind in (
        TraceResult,
        EigenResult,
        DensityResult,
        CouplingResult,
        SharpnessResult,
        GapResult,
        LandscapeResult,
        Comparison,
        ContributionResult,
        RunRecord,
        MonitorRecord,
    )
}


def save_all(
    results: Sequence[Result], folder: str | Path, stem: str, *, taken: Collection[Path] = ()
) -> list[Path]:
    """Write each result into ``folder`` as ``stem-tag-modality.json``.

    Args:
        results: What to write.
        folder: Where.
        stem: What file names begin with.
        taken: Files of the same run, which are not replaced.
    """
    paths: list[Path] = []
    for result in results:
        path = first = file_in(folder, stem, result.tag, result.modality)
        number = 2
        while path in paths or path in taken:  # names may become equal when made safe
            path, number = first.with_name(f"{first.stem}-{number}.json"), number + 1
        paths.append(result.save(path))
    return paths


def file_in(folder: str | Path, *parts: str | None) -> Path:
    """Return the file in a folder that is named after these parts.

    Example:
        >>> file_in("results", "trace", "late", "cxr+ehr").name
        'trace-late-cxr_ehr.json'
    """
    name = "-".join(part for part in parts if part)
    safe = "".join(c if c.isalnum() or c in "-_." else "_" for c in name)
    return Path(folder) / f"{safe}.json"


def load(path: str | Path) -> Record:
    """Read what ``save`` or a monitor wrote: a result, or the record of a training run.

    Raises:
        MisuseError: If there is no such file, or it is not a result of a kind known here.
    """
    path = Path(path)
    if path.suffix == SUFFIX:
        return read_monitor(path)
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise MisuseError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise MisuseError(f"{path} is not a sharpscope result: it is not JSON") from error
    schema = content.get("schema") if isinstance(content, dict) else None
    if not isinstance(schema, str) or schema not in _KINDS:
        raise MisuseError(
            f"{path} is not a sharpscope result: its schema must be {listed(_KINDS)}; "
            f"got {schema!r}"
        )
    if names := content.get("arrays"):
        fields = {stored: name for name, stored in _KINDS[schema].stored.items()}
        found = _arrays(beside(path), names)
        content |= {fields.get(name, name): values for name, values in found.items()}
    return _KINDS[schema].from_dict(content)


def _arrays(path: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Read the arrays named, and only where the result says that it has some."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in names}
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise MisuseError(
            f"cannot read {path}, which holds the arrays {', '.join(map(str, names))}: "
            f"{getattr(error, 'strerror', None) or error}"
        ) from error
