"""Checkpoints: plain content, written whole, rebuilt to the same model."""

from pathlib import Path

import pytest
import torch

from sharpscope import __version__
from sharpscope.errors import MisuseError
from sharpscope.recipes import Recipe, build_dataset, build_model, parse_recipe
from sharpscope.training import Trained, check_writable, evaluate, save_checkpoint, train


@pytest.fixture(scope="module")
def trained() -> Trained:
    return train(parse_recipe("mfeat:fou+mor", method="late", epochs=2, seed=4))


def test_a_checkpoint_is_plain_and_complete(trained: Trained, tmp_path: Path):
    path = save_checkpoint(tmp_path / "new" / "folder" / "run.pt", trained)
    content = torch.load(path, weights_only=True)
    assert list(content) == [
        "format",
        "format_version",
        "sharpscope_version",
        "recipe",
        "state_dict",
        "metrics",
        "epoch",
        "history",
    ]
    assert content["format"] == "sharpscope/checkpoint"
    assert content["format_version"] == 1
    assert content["sharpscope_version"] == __version__
    assert content["metrics"] == trained.metrics
    assert content["epoch"] == 2
    assert [entry["losses"] for entry in content["history"]] == [
        entry.losses for entry in trained.history
    ]
    assert [file.name for file in path.parent.iterdir()] == ["run.pt"]


def test_the_model_is_rebuilt_from_the_file(trained: Trained, tmp_path: Path):
    path = save_checkpoint(tmp_path / "run.pt", trained)
    content = torch.load(path, weights_only=True)
    recipe = Recipe.from_dict(content["recipe"])
    assert recipe == trained.recipe
    dataset = build_dataset(recipe)
    model = build_model(recipe, dataset)
    model.load_state_dict(content["state_dict"])
    metrics = evaluate(model, dataset.splits["test"], classes=dataset.classes)
    assert metrics == trained.metrics["test"]


def test_an_existing_file_is_replaced(trained: Trained, tmp_path: Path):
    path = tmp_path / "run.pt"
    path.write_text("old")
    save_checkpoint(path, trained)
    assert torch.load(path, weights_only=True)["epoch"] == 2


def test_an_unwritable_path_is_one_sentence_before_and_after_training(
    trained: Trained, tmp_path: Path
):
    file = tmp_path / "file"
    file.write_text("")
    path = file / "run.pt"
    for act in (lambda: check_writable(path), lambda: save_checkpoint(path, trained)):
        with pytest.raises(
            MisuseError, match=r"^cannot write .*run\.pt.*: (Not a dir|File exists)"
        ):
            act()
