"""Checkpoints for the tests of the command line, trained once."""

import sys
from pathlib import Path

import pytest

from sharpscope.recipes import parse_recipe
from sharpscope.training import save_checkpoint, train


@pytest.fixture(scope="session")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of a tiny recipe: two perceptrons, one epoch."""
    path = tmp_path_factory.mktemp("ours") / "tiny.pt"
    recipe = parse_recipe("mfeat:fou+mor", epochs=1, settings={"width": "4"})
    return save_checkpoint(path, train(recipe))


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder, in 80 columns without color, and forget what specs import."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr("sys.path", list(sys.path))
    return tmp_path
