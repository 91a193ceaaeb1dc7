"""Results by the names of their files: JSON, folders of it, checkpoints with a training record."""

from collections.abc import Sequence
from pathlib import Path

from sharpscope.checks import nearest
from sharpscope.errors import MisuseError
from sharpscope.results import Record, load
from sharpscope.results.monitor import BESIDE

CHECKPOINTS = (".pt", ".pth")


def read_results(paths: Sequence[Path], *, monitored: bool = False) -> list[Record]:
    """Return what is at each path; a folder holds results, in the order of their names.

    Torch is imported for a checkpoint alone.

    Args:
        paths: Files and folders.
        monitored: Whether what monitors wrote is meant, of folders and beside checkpoints, before
            anything else there; otherwise after it.

    Raises:
        MisuseError: If something is not there, no result, or a folder without any.
    """
    found: list[Record] = []
    for path in paths:
        if path.is_dir():
            several = [sorted(path.glob(f"*{suffix}")) for suffix in (".json", BESIDE)]
            inside = next(filter(None, reversed(several) if monitored else several), None)
            if inside is None:
                raise MisuseError(f"{path} is a folder without .json results or {BESIDE} files")
            found += [load(one) for one in inside]
        elif monitored and path.suffix in CHECKPOINTS and beside(path).is_file():
            found.append(load(beside(path)))
        elif not path.exists():
            folder = path.parent
            names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
            raise MisuseError(f"no such file: {path}{nearest(path.name, names)}")
        elif path.suffix in CHECKPOINTS:
            from sharpscope.training import run_record

            found.append(run_record(path))
        else:
            found.append(load(path))
    return found


def beside(checkpoint: Path) -> Path:
    """Return where the monitor of a run writes whose checkpoint this is, or will be."""
    return checkpoint.with_name(checkpoint.stem + BESIDE)
