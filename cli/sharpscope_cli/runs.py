"""Checkpoints of runs: those that were kept on the way, and the one at the end."""

import re
from collections.abc import Sequence
from pathlib import Path

# How trainers name what they keep: late.epoch0010, epoch=3-step=120, step_500, checkpoint-500.
_KEPT = re.compile(
    r"(?P<run>.*?)[._-]?(?P<word>epoch|ep|step|iter|checkpoint|ckpt)[=_-]?(?P<number>\d+)"
    r"(?:[-_]step=?(?P<step>\d+))?$"
)


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
        name = (kept["run"] or kept["word"]) if kept else path.stem
        last = path.with_name(f"{name}{path.suffix}")
        found.setdefault(last, []).append(path)
    return {last: sorted(run, key=_epoch) for last, run in found.items()}


def _epoch(path: Path) -> tuple[float, int]:
    kept = _KEPT.match(path.stem)
    return (int(kept["number"]), int(kept["step"] or 0)) if kept else (float("inf"), 0)
