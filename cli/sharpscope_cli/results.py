"""Results by the names of their files: JSON, folders of it, checkpoints with a training record."""

from collections.abc import Sequence
from pathlib import Path

from sharpscope.checks import nearest
from sharpscope.errors import MisuseError
from sharpscope.results import Record, load

CHECKPOINTS = (".pt", ".pth")


def read_results(paths: Sequence[Path]) -> list[Record]:
    """Return what is at each path; a folder holds results, in the order of their names.

    Torch is imported for a checkpoint alone.

    Raises:
        MisuseError: If something is not there, no result, or a folder without any.
    """
    found: list[Record] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(path.glob("*.json"))
            if not inside:
                raise MisuseError(f"{path} is a folder without .json results")
            found += [load(one) for one in inside]
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
