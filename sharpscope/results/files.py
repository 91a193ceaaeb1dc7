"""Files written whole or not at all."""

import os
import tempfile
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeAlias

from sharpscope.errors import MisuseError

Writer: TypeAlias = Callable[[IO[bytes]], Any]


def check_writable(path: str | Path) -> Path:
    """Make the folder of ``path`` and prove that a file can be written there, before any work.

    Raises:
        MisuseError: If it cannot.
    """
    path = Path(path)
    if path.is_dir():
        raise MisuseError(f"cannot write {path}: it is a folder; name a file")
    with _named(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent):
            pass
    return path


def write_whole(path: Path, write: Writer) -> None:
    """Write to a temporary neighbor and rename it, so that a reader never sees half a file."""
    write_together({path: write})


def write_together(files: Mapping[Path, Writer]) -> None:
    """Write files that belong together: none takes its name before all are written.

    Raises:
        MisuseError: If one cannot be written; whatever had these names is as before.
    """
    written: dict[Path, Path] = {}
    try:
        for path, write in files.items():
            with _named(path):
                if path.is_dir():
                    raise IsADirectoryError(None, "it is a folder; name a file")
                path.parent.mkdir(parents=True, exist_ok=True)
                with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
                    written[path] = Path(file.name)
                    write(file)
                written[path].chmod(0o666 & ~_umask())
        for path in files:
            with _named(path):
                os.replace(written[path], path)  # noqa: PTH105 (replaces on every system)
    finally:
        for temporary in written.values():
            temporary.unlink(missing_ok=True)


@contextmanager
def _named(path: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise MisuseError(f"cannot write {path}: {error.strerror or error}") from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
