"""Files that are no checkpoint, damaged, or hold code are refused in one sentence."""

import argparse
import os
import pickle
import re
import shutil
import sys
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from sharpscope.errors import CheckpointError, MisuseError
from sharpscope.subject.checkpoints import read_checkpoint


def state() -> dict[str, torch.Tensor]:
    return {"ehr.weight": torch.arange(6.0).reshape(2, 3), "cxr.bias": torch.ones(400)}


def saved(path: Path, content: Any, **options: Any) -> Path:
    torch.save(content, path, **options)
    return path


def same(left: Any, right: Any) -> bool:
    return list(left) == list(right) and all(torch.equal(left[k], right[k]) for k in left)


class Malicious:
    """Unpickling it calls a function."""

    def __init__(self, function: Callable[..., Any], *arguments: str):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def refused(path: Path, error: type[Exception] = CheckpointError, *, trust: bool = False) -> str:
    """Return what reading ``path`` raises, and prove that it is one line."""
    with pytest.raises(error) as caught:
        read_checkpoint(path, trust=trust)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_no_such_file(tmp_path: Path):
    saved(tmp_path / "best.pt", state())
    path = tmp_path / "bset.pt"
    assert refused(path, MisuseError) == f"no such file: {path}; did you mean 'best.pt'?"
    path = tmp_path / "zzzzzz"
    assert refused(path, MisuseError) == f"no such file: {path}"
    path = tmp_path / "runs" / "best.pt"
    assert refused(path, MisuseError) == (
        f"no such file: {path}; there is no folder {tmp_path / 'runs'}"
    )
    assert MisuseError.exit_code == 2


def test_a_folder(tmp_path: Path):
    assert refused(tmp_path, MisuseError) == (
        f"{tmp_path} is a folder; name a checkpoint file in it"
    )
    saved(tmp_path / "best.ckpt", state())
    assert refused(tmp_path, MisuseError) == (
        f"{tmp_path} is a folder; name a checkpoint file in it, such as 'best.ckpt'"
    )


def test_an_empty_file(tmp_path: Path):
    path = tmp_path / "a.pt"
    path.touch()
    assert refused(path) == (
        f"{path} is empty: writing it was never finished; copy or save it again"
    )


def test_an_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = saved(tmp_path / "a.pt", state())

    def refuse(*_: Any):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert refused(path) == f"cannot read {path}: Permission denied"


@pytest.mark.parametrize(
    ("content", "look"),
    [
        (b"epoch,loss\n1,0.5\n", "text"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "a PNG image"),
        (b"\xff\xd8\xff\xe0" + bytes(64), "a JPEG image"),
        (b"%PDF-1.7 \xe2\xe3", "a PDF document"),
        (b"\x89HDF\r\n\x1a\n" + bytes(64), "an HDF5 file, the format of Keras"),
        (b"\x1f\x8b\x08" + bytes(64), "a gzip archive: unpack it first"),
        (b"\x93NUMPY\x01" + bytes(64), "a NumPy array"),
        (b"\x00\x01\x02\x03\xff", "nothing we know, b'\\x00\\x01\\x02\\x03'"),
    ],
)
def test_not_a_checkpoint(tmp_path: Path, content: bytes, look: str):
    path = tmp_path / "a.pt"
    path.write_bytes(content)
    assert refused(path) == (
        f"{path} is not a checkpoint: it begins like {look}; expected what torch.save or "
        "Lightning wrote, or safetensors"
    )


def test_a_zip_file_of_other_things(tmp_path: Path):
    path = tmp_path / "a.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("photo.txt", "hello")
    assert refused(path) == (
        f"{path} is not a checkpoint: it is a zip file of other things, 'photo.txt' first; "
        "expected what torch.save or Lightning wrote, or safetensors"
    )


def test_a_torchscript_archive(tmp_path: Path):
    path = tmp_path / "a.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", b"")
        archive.writestr("a/constants.pkl", b"")
    assert refused(path) == (
        f"{path} is a TorchScript archive, a program and not a state dict; save "
        "torch.jit.load(path).state_dict() with torch.save and name that file"
    )


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
def test_a_truncated_file_is_called_truncated_wherever_it_breaks_off(tmp_path: Path, kind: str):
    whole = tmp_path / ("whole.safetensors" if kind == "safetensors" else "whole.pt")
    if kind == "safetensors":
        save_file(state(), whole)
    else:
        saved(whole, state(), _use_new_zipfile_serialization=kind == "zip")
    content = whole.read_bytes()
    path = tmp_path / f"cut{whole.suffix}"
    pattern = re.escape(str(path)) + r" is truncated or damaged \(.+\): copy or save it again"
    for size in [*range(20, len(content), len(content) // 37), len(content) - 1]:
        path.write_bytes(content[:size])
        assert re.fullmatch(pattern, refused(path)), size


def test_damaged_weights_do_not_load_in_silence(tmp_path: Path):
    path = saved(tmp_path / "a.pt", state())
    content = bytearray(path.read_bytes())
    where = content.index(torch.ones(8).numpy().tobytes())
    content[where : where + 4] = b"\x00\x00\x00\x40"
    path.write_bytes(content)
    assert torch.load(path, weights_only=True)["cxr.bias"].sum() == 401, "torch does not notice"
    assert refused(path) == (
        f"{path} is truncated or damaged (BadZipFile: Bad CRC-32 for file 'a/data/1'): copy or "
        "save it again"
    )


def test_a_file_saved_without_checksums_is_read(tmp_path: Path):
    before = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(False)
    try:
        path = saved(tmp_path / "a.pt", state())
    finally:
        torch.serialization.set_crc32_options(before)
    assert same(read_checkpoint(path).state(), state())


def why_refused(path: Path, why: str) -> str:
    return (
        f"{path} needs its pickle to be run ({why}) and is refused, because that can run any code "
        "its author chose; --trust (trust=True in Python) runs it, and without trust, save the "
        "weights alone: torch.save(model.state_dict(), path)"
    )


@pytest.mark.parametrize("legacy", [False, True])
def test_code_in_a_pickle_is_refused_and_does_not_run(tmp_path: Path, legacy: bool):
    proof = tmp_path / "proof"
    content = {"state_dict": state(), "extra": Malicious(shutil.copyfile, __file__, str(proof))}
    path = saved(tmp_path / "a.pt", content, _use_new_zipfile_serialization=not legacy)
    assert refused(path) == why_refused(path, "it asks for shutil.copyfile")
    assert not proof.exists()
    assert read_checkpoint(path, trust=True).unpickled
    assert proof.exists(), "so the line above would have noticed"


def test_code_of_a_module_that_torch_blocks_is_named_too(tmp_path: Path):
    content = state() | {"extra": Malicious(os.mkdir, str(tmp_path / "proof"))}
    path = saved(tmp_path / "a.pt", content)
    assert refused(path) == why_refused(path, f"it asks for {os.name}.mkdir")
    assert not (tmp_path / "proof").exists()


def test_a_plain_pickle_is_refused_and_does_not_run(tmp_path: Path):
    proof = tmp_path / "proof"
    path = tmp_path / "a.pt"
    path.write_bytes(
        pickle.dumps({"state_dict": state(), "extra": Malicious(os.mkdir, str(proof))})
    )
    why = "a plain pickle, which torch.save did not write, has no other way to be read"
    assert refused(path) == why_refused(path, why)
    assert not proof.exists()
    assert same(read_checkpoint(path, trust=True).state(), state())
    assert proof.exists()


def test_harmless_objects_of_lightning_are_refused_too_and_named(tmp_path: Path):
    content = {"state_dict": state(), "hyper_parameters": argparse.Namespace(lr=0.1)}
    path = saved(tmp_path / "a.ckpt", content)
    assert refused(path) == why_refused(path, "it asks for argparse.Namespace")
    assert same(read_checkpoint(path, trust=True).state(), state())


def test_a_newer_pickle_protocol_needs_trust(tmp_path: Path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = saved(tmp_path / "a.pt", state(), pickle_protocol=4)
    assert refused(path) == why_refused(path, "it holds more than tensors and plain containers")
    assert same(read_checkpoint(path, trust=True).state(), state())


def test_a_whole_module_needs_trust(tmp_path: Path):
    model = nn.Linear(3, 2)
    path = saved(tmp_path / "a.pt", {"model": model, "epoch": 2})
    assert refused(path) == why_refused(path, "it asks for torch.nn.modules.linear.Linear")
    read = read_checkpoint(path, trust=True)
    assert (read.epoch, list(read.states)) == (2, ["model"])
    assert same(read.state(), model.state_dict())


def test_trust_runs_nothing_where_nothing_needs_it(tmp_path: Path):
    assert not read_checkpoint(saved(tmp_path / "a.pt", state()), trust=True).unpickled


def test_a_trusted_pickle_whose_code_is_not_here(tmp_path: Path):
    path = tmp_path / "a.pt"
    path.write_bytes(b"\x80\x02cno_such_package\nNet\n.")
    assert refused(path, trust=True) == (
        f"{path} cannot be unpickled, trusted as it is: ModuleNotFoundError: No module named "
        "'no_such_package'; the code that wrote it must be importable here (modules are looked for "
        f"in {Path.cwd()} first)"
    )


def test_a_trusted_pickle_finds_its_code_in_the_folder_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "own_pickled_a.py").write_text("raise SystemExit('usage: train.py')")
    path = tmp_path / "a.pt"
    path.write_bytes(b"\x80\x02cown_pickled_a\nNet\n.")
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path, trust=True, code=tmp_path)
    assert str(caught.value) == (
        f"{path} cannot be unpickled, trusted as it is: SystemExit: usage: train.py; the code that "
        f"wrote it must be importable here (modules are looked for in {tmp_path} first)"
    )
    assert sys.path[0] == str(tmp_path)
