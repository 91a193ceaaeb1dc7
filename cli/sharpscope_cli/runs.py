"""Checkpoints of runs: those that were kept on the way, and the one at the end."""

import re
from collections.abc import Sequence
from pathlib import Path

_KEPT = re.compile(r"(?P<run>.+)\.epoch(?P<epoch>\d+)$")


def by_run(paths: Sequence[Path]) -> dict[Path, list[Path]]:
    """Return checkpoints by the checkpoint at the end of their run, in the order of training.

    Example:
        >>> by_run([Path("a.pt"), Path("b.epoch2.pt"), Path("a.epoch0010.pt")])
        {PosixPath('a.pt'): [PosixPath('a.epoch0010.pt'), PosixPath('a.pt')], \
PosixPath('b.pt'): [PosixPath('b.epoch2.pt')]}
    """
    found: dict[Path, list[Path]] = {}
    for path in paths:
        kept = _KEPT.match(path.stem)
        last = path.with_name(f"{kept['run']}{path.suffix}") if kept else path
        found.setdefault(last, []).append(path)
    return {last: sorted(run, key=_epoch) for last, run in found.items()}


def _epoch(path: Path) -> float:
    kept = _KEPT.match(path.stem)
    return int(kept["epoch"]) if kept else float("inf")
