"""Open a file of tensors without running code from it, or say in one sentence why not."""

import io
import pickle
import pickletools
import re
import warnings
import zipfile
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from sharpscope.checks import nearest
from sharpscope.errors import CheckpointError, MisuseError
from sharpscope.subject.factories import put_first

Container: TypeAlias = Literal["zip", "legacy", "pickle", "safetensors"]

SUFFIXES = (".pt", ".pth", ".ckpt", ".safetensors", ".bin")
# What torch.save wrote before 1.6 begins with a pickled magic number.
_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
_LOOKS: dict[bytes, str] = {
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"%PDF": "a PDF document",
    b"\x89HDF": "an HDF5 file, the format of Keras",
    b"\x1f\x8b": "a gzip archive: unpack it first",
    b"\x93NUMPY": "a NumPy array",
}


class Opened(NamedTuple):
    """What a file holds, its container, and whether its code was run to read it."""

    root: Any
    container: Container
    unpickled: bool


def check_file(path: Path) -> None:
    """Raise unless ``path`` is a file with something in it.

    Raises:
        MisuseError: If it is a folder, or there is no such file, with the nearest name there is.
        CheckpointError: If it is empty.
    """
    if path.is_dir():
        inside = sorted(entry.name for entry in path.iterdir() if entry.suffix in SUFFIXES)
        such = f", such as {inside[0]!r}" if inside else ""
        raise MisuseError(f"{path} is a folder; name a checkpoint file in it{such}")
    if not path.is_file():
        folder = path.parent
        if not folder.is_dir():
            raise MisuseError(f"no such file: {path}; there is no folder {folder}")
        names = [entry.name for entry in folder.iterdir() if entry.suffix in SUFFIXES]
        raise MisuseError(f"no such file: {path}{nearest(path.name, names)}")
    if path.stat().st_size == 0:
        raise CheckpointError(
            f"{path} is empty: writing it was never finished; copy or save it again"
        )


def open_file(path: Path, *, trust: bool, code: Path) -> Opened:
    """Return what the file holds.

    Only tensors and plain containers are read (``weights_only``). With ``trust``, a file that
    holds more than that is unpickled, which runs whatever code it names; modules are looked for
    in the folder ``code`` first.

    Raises:
        CheckpointError: If the file is not a checkpoint, damaged, or needs code and is not trusted.
    """
    container = _container(path)
    if container == "safetensors":
        try:
            return Opened(load_file(path, device="cpu"), container, unpickled=False)
        except (SafetensorError, ValueError, OSError) as error:
            raise _damaged(path, error) from error
    if container == "zip":
        _check_zip(path)
    if container == "pickle":
        wanted = "a plain pickle, which torch.save did not write, has no other way to be read"
        return _unpickled(path, container, _refusal(path, wanted), trust=trust, code=code)
    try:
        with warnings.catch_warnings():
            # Torch warns of a pickle protocol that it then refuses: our refusal says it.
            warnings.simplefilter("ignore")
            root = torch.load(path, weights_only=True, map_location="cpu")
            return Opened(root, container, unpickled=False)
    except pickle.UnpicklingError as error:
        if container == "legacy" and not _pickles_are_whole(path):
            raise _damaged(path, "its pickled part breaks off") from error
        refusal = _refusal(path, _what_it_asks_for(str(error)))
        refusal.__cause__ = error
        return _unpickled(path, container, refusal, trust=trust, code=code)
    except Exception as error:
        raise _damaged(path, error) from error


def _container(path: Path) -> Container:
    with _opened(path) as file:
        head = file.read(64)
        size = file.seek(0, io.SEEK_END)
    header = int.from_bytes(head[:8], "little")
    if path.suffix == ".safetensors" or (head[8:9] == b"{" and 8 + header <= size):
        return "safetensors"
    if head.startswith(b"PK\x03\x04"):
        return "zip"
    if _LEGACY.startswith(head[: len(_LEGACY)]):
        return "legacy"
    if head[:1] == b"\x80" and head[1] in range(2, 6):
        return "pickle"
    look = next((look for magic, look in _LOOKS.items() if head.startswith(magic)), None)
    if look is None:
        look = "text" if _is_text(head) else f"nothing we know, {head[:4]!r}"
    raise _not_a_checkpoint(path, f"it begins like {look}")


def _opened(path: Path) -> io.BufferedReader:
    try:
        return path.open("rb")
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}") from error


def _is_text(head: bytes) -> bool:
    return head.isascii() and all(char.isprintable() or char.isspace() for char in head.decode())


def _check_zip(path: Path) -> None:
    """Refuse a zip file that breaks off, is damaged, or holds something else than torch's."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            names = [entry.filename for entry in entries]
            if any(name.endswith("/constants.pkl") for name in names):
                raise CheckpointError(
                    f"{path} is a TorchScript archive, a program and not a state dict; save "
                    "torch.jit.load(path).state_dict() with torch.save and name that file"
                )
            if not any(name.endswith("/data.pkl") for name in names):
                raise _not_a_checkpoint(
                    path, f"it is a zip file of other things, {names[0]!r} first"
                )
            for entry in entries:
                # Torch does not look at the checksums, so that damaged weights would load in
                # silence. It writes 0 where it was told not to compute them.
                if entry.CRC:
                    archive.read(entry)
    except CheckpointError:
        raise
    except Exception as error:  # a damaged directory raises almost anything
        raise _damaged(path, error) from error


def _pickles_are_whole(path: Path) -> bool:
    """Whether the five pickles that begin an old file can be walked to their ends; runs nothing."""
    with path.open("rb") as file:
        try:
            for _ in range(5):
                for _ in pickletools.genops(file):
                    pass
        except Exception:
            return False
    return True


def _what_it_asks_for(message: str) -> str:
    found = re.search(r"GLOBAL (\S+) ", message)
    if found:
        return f"it asks for {found[1]}"
    return "it holds more than tensors and plain containers"


def _unpickled(
    path: Path, container: Container, refusal: CheckpointError, *, trust: bool, code: Path
) -> Opened:
    """Run the pickle if it is trusted."""
    if not trust:
        raise refusal
    put_first(code)
    try:
        with path.open("rb") as file:
            if container == "pickle":
                root = pickle.load(file)
            else:
                root = torch.load(file, weights_only=False, map_location="cpu")
            return Opened(root, container, unpickled=True)
    except (Exception, SystemExit) as error:  # it imports modules, and a script may exit then
        raise CheckpointError(
            f"{path} cannot be unpickled, trusted as it is: {_said(error)}; the code that wrote it "
            f"must be importable here (modules are looked for in {code} first)"
        ) from error


def _refusal(path: Path, why: str) -> CheckpointError:
    return CheckpointError(
        f"{path} needs its pickle to be run ({why}) and is refused, because that can run any code "
        "its author chose; --trust (trust=True in Python) runs it, and without trust, save the "
        "weights alone: torch.save(model.state_dict(), path)"
    )


def _not_a_checkpoint(path: Path, why: str) -> CheckpointError:
    return CheckpointError(
        f"{path} is not a checkpoint: {why}; expected what torch.save or Lightning wrote, or "
        "safetensors"
    )


def _damaged(path: Path, why: str | Exception) -> CheckpointError:
    return CheckpointError(
        f"{path} is truncated or damaged ({why if isinstance(why, str) else _said(why)}): copy or "
        "save it again"
    )


def _said(error: BaseException) -> str:
    """Return the first line of what an error says, without its full stop."""
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    return f"{type(error).__name__}: {first}".rstrip(".")
