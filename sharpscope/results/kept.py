"""Checkpoints that were kept on the way of a run, known by the names that trainers give them."""

import re
from pathlib import Path
from typing import NamedTuple

# late.epoch0010, ep3, epoch=3-step=120, step_500, checkpoint-500.
_KEPT = re.compile(
    r"(?P<run>.*?)[._-]?(?<![A-Za-z])(?P<word>epoch|ep|step|iter|checkpoint|ckpt)[=_-]?"
    r"(?P<number>\d+)(?:[-_]step=?(?P<step>\d+))?$"
)


class Kept(NamedTuple):
    """What the name of a checkpoint tells.

    Attributes:
        run: What its run is called: the name without what numbers the checkpoint, or the folder.
        number: Epoch or step, with the step within that epoch; None of a name without a number.
        epoch: The number where the name calls it an epoch.
    """

    run: str
    number: tuple[int, int] | None
    epoch: int | None


def kept(name: str | Path) -> Kept:
    """Return what a checkpoint's file name, or its tag, tells of the run that it was kept of.

    Example:
        >>> kept("runs/late.epoch0010.pt"), kept("runs/a/ep3.pt").run, kept("best.pt").number
        (Kept(run='late', number=(10, 0), epoch=10), 'a', None)
    """
    path = Path(name)
    # A tag has no suffix: what follows its point may be the number itself.
    found = _KEPT.match(path.stem) or _KEPT.match(path.name)
    if found is None:
        return Kept(path.stem if path.suffix in _SUFFIXES else path.name, None, None)
    number = int(found["number"]), int(found["step"] or 0)
    epoch = number[0] if found["word"].startswith("ep") else None
    # A name that is a number and nothing else leaves the run's to the folder.
    return Kept(found["run"] or path.parent.name or found["word"], number, epoch)


_SUFFIXES = (".pt", ".pth", ".ckpt", ".bin", ".safetensors")
