"""Files written whole or not at all."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from sharpscope.errors import MisuseError


def check_writable(path: str | Path) -> Path:
    """Make the folder of ``path`` and prove that a file can be written there, before any work.

    Raises:
        MisuseError: If it cannot.
    """
    path = Path(path)
    if path.is_dir():
        raise MisuseError(f"cannot write {path}: it is a folder; name a file")
    write_whole(path.with_name(path.name + ".probe"), lambda file: file.write(b""))
    path.with_name(path.name + ".probe").unlink()
    return path


def write_whole(path: Path, write: Callable[[IO[bytes]], Any]) -> None:
    """Write to a temporary neighbor and rename it, so that a reader never sees half a file."""
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            temporary = Path(file.name)
            write(file)
        temporary.chmod(0o666 & ~_umask())
        os.replace(temporary, path)  # noqa: PTH105 (replaces on every system)
        temporary = None
    except OSError as error:
        raise MisuseError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
