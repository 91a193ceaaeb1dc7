"""``--trust``: a file that names the user's own code is unpickled where that code lies."""

import importlib
import sys
from pathlib import Path

import pytest
import torch

from tests.cli.support import Foreign, done, failed, foreign, read_json

FEW = ("--modality", "cxr", "--probes", "4", "--rank", "0")


def pickled_whole(other: Foreign) -> Foreign:
    """Replace the state dict by the whole module, whose class only its own folder knows."""
    folder = str(other.spec.parent.resolve())
    sys.path.insert(0, folder)
    importlib.invalidate_caches()
    model = importlib.import_module(other.module).build()
    model.load_state_dict(torch.load(other.checkpoint))
    torch.save(model, other.checkpoint)
    sys.path.remove(folder)
    del sys.modules[other.module]
    return other


@pytest.mark.parametrize("folder", [".", "elsewhere"])
def test_code_of_a_named_spec_is_found(own_folder: Path, folder: str) -> None:
    other = foreign(own_folder / folder)
    wanted = read_json("trace", other.checkpoint, *FEW, "--spec", other.spec)["value"]
    sys.modules.pop(other.module)
    sys.path.remove(str(other.spec.parent.resolve()))
    pickled_whole(other)
    assert "needs its pickle to be run" in failed(
        "trace", other.checkpoint, *FEW, "--spec", other.spec, code=1
    )
    options = (other.checkpoint, "--spec", other.spec, "--trust")
    assert read_json("trace", *options, *FEW)["value"] == wanted
    sys.modules.pop(other.module)
    assert "cxr_model" in done("show", *options)


@pytest.mark.parametrize("command", ["show", "init"])
def test_code_in_the_working_folder_is_found_without_a_spec(own_folder: Path, command: str) -> None:
    other = pickled_whole(foreign(own_folder, build="print('built')"))
    assert "cxr_model" in done(command, "theirs.pt", "--trust")
    assert other.module in sys.modules


def test_code_of_the_spec_in_the_working_folder_is_found(own_folder: Path) -> None:
    pickled_whole(foreign(own_folder, spec_name="sharpscope.toml"))
    assert read_json("trace", "theirs.pt", "--trust", *FEW)["modality"] == "cxr"


def test_code_beside_a_download_is_not_looked_for(own_folder: Path) -> None:
    other = pickled_whole(foreign(own_folder / "downloaded"))
    line = failed("show", other.checkpoint, "--trust", code=1)
    assert f"No module named '{other.module}'" in line
    assert f"modules are looked for in {own_folder.resolve()} first" in line


def test_a_wrong_spec_is_refused_before_anything_is_unpickled(own_folder: Path) -> None:
    other = pickled_whole(foreign(own_folder))
    line = failed("trace", other.checkpoint, "--trust", "--spec", "none.toml", code=2)
    assert "no such spec file: none.toml" in line
    assert other.module not in sys.modules
