"""Which files to compare: patterns expanded, results read, groups named."""

import glob
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from sharpscope.comparing.measurement import QUANTITIES
from sharpscope.comparing.runs import KEPT
from sharpscope.errors import MisuseError
from sharpscope.results import Result, load
from sharpscope.results.base import Record
from sharpscope.results.kept import kept

_WILD = frozenset("*?[")
# A pattern that means kept epochs, whose number may hold wildcards.
_MEANT = re.compile(r"\.epoch[\d*?\[\]!-]+(\.[^.]*)?$")


def expanded(pattern: str | Path) -> list[Path]:
    """Return the files that a pattern means, in order; kept epochs only where it names them.

    Raises:
        MisuseError: If it has a wildcard and matches nothing.
    """
    path = Path(pattern)
    if path.exists() or not _WILD & set(str(pattern)):
        return [path]
    found = sorted(Path(name) for name in glob.glob(str(path), recursive=True))  # noqa: PTH207 (absolute patterns)
    if not _MEANT.search(path.name):
        found = [one for one in found if not KEPT.search(one.stem)]
    found = [one for one in found if one.suffix not in (".state", ".npz")]
    if not found:
        raise MisuseError(f"no file matches {pattern}")
    return found


def kept_of(path: Path) -> list[Path]:
    """Return the checkpoints kept on the way to one, and itself.

    Raises:
        MisuseError: If none was kept.
    """
    run = kept(path).run
    found = sorted(
        (one for one in path.parent.glob(f"*{path.suffix}") if _epoch_of(one, run) is not None),
        key=lambda one: _epoch_of(one, run) or 0,
    )
    if not found:
        raise MisuseError(
            f"no checkpoint was kept on the way to {path}: train with --keep-every 1, which leaves "
            f"{path.stem}.epoch0001{path.suffix} and so on beside it"
        )
    return found if path in found else [*found, path]


def _epoch_of(path: Path, run: str) -> int | None:
    """Return the epoch in the name of a checkpoint of a run; None of another run's."""
    found = kept(path)
    return found.epoch if found.run == run else None


def grouped(assignments: Iterable[tuple[str, str]]) -> dict[str, list[Path]]:
    """Return the files of each group from pairs of a name and a pattern; a name may come again.

    Raises:
        MisuseError: If a pattern matches nothing, or a file is there twice.
    """
    groups: dict[str, list[Path]] = {}
    for name, pattern in assignments:
        groups.setdefault(name, []).extend(expanded(pattern))
    seen: dict[Path, str] = {}
    for name, paths in groups.items():
        for path in paths:
            if path.resolve() in seen:
                raise MisuseError(
                    f"{path} is in group {seen[path.resolve()]} and comes again in {name}: a run "
                    "counts once"
                )
            seen[path.resolve()] = name
    return groups


def are_results(paths: Sequence[Path]) -> bool:
    """Whether paths are of saved results, and not of checkpoints.

    Raises:
        MisuseError: If some are of either kind.
    """
    results = [path for path in paths if path.is_dir() or path.suffix == ".json"]
    others = [path for path in paths if path not in results]
    if results and others:
        raise MisuseError(
            f"compare takes checkpoints or saved results, not both; got {others[0]} and "
            f"{results[0]}"
        )
    return bool(results)


def read_results(path: Path) -> list[Result]:
    """Return the result of a file, or those of a folder that can be compared.

    Raises:
        MisuseError: If a file cannot be read or is no result, or a folder has none.
    """
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    records: list[Record] = [load(file) for file in files]
    found = [record for record in records if isinstance(record, Result)]
    known = [record for record in found if record.schema in QUANTITIES]
    if not known:
        raise MisuseError(f"{path} holds no result of {', '.join(QUANTITIES)}")
    return known


def named_apart(sources: Mapping[Path, Sequence[Result]]) -> list[Result]:
    """Return all results, those of one tag and different checkpoints told apart by their folder."""
    shas: dict[str, set[str | None]] = {}
    for results in sources.values():
        for result in results:
            sha = result.provenance.get("checkpoint_sha256")
            shas.setdefault(result.tag or "", set()).add(sha)
    found: list[Result] = []
    for path, results in sources.items():
        folder = path.resolve() if path.is_dir() else path.resolve().parent
        for result in results:
            clash = len(shas[result.tag or ""]) > 1
            tag = f"{folder.name}-{result.tag}" if clash else result.tag
            found.append(replace(result, tag=tag))
    return found
