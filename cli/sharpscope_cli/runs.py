"""Checkpoints of runs: those that were kept on the way, and the one at the end."""

import math
from collections.abc import Sequence
from pathlib import Path

from sharpscope.results.kept import kept


def by_run(paths: Sequence[Path]) -> dict[Path, list[Path]]:
    """Return checkpoints by the checkpoint at the end of their run, in the order of training.

    Example:
        >>> by_run([Path("a.pt"), Path("b.epoch2.pt"), Path("a.epoch0010.pt")])
        {PosixPath('a.pt'): [PosixPath('a.epoch0010.pt'), PosixPath('a.pt')], \
PosixPath('b.pt'): [PosixPath('b.epoch2.pt')]}
    """
    found: dict[Path, list[Path]] = {}
    for path in paths:
        last = path.with_name(f"{kept(path).run}{path.suffix}")
        found.setdefault(last, []).append(path)
    return {last: sorted(run, key=_place) for last, run in found.items()}


def _place(path: Path) -> tuple[float, int]:
    return kept(path).number or (math.inf, 0)
