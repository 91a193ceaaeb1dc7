"""A checkpoint that carries its recipe is rebuilt with its data and its losses, and no code."""

from pathlib import Path
from typing import Any

import pytest
import torch

from sharpscope.errors import CheckpointError, MisuseError
from sharpscope.recipes import build_dataset, build_model, parse_recipe
from sharpscope.recipes import losses as recipe_losses
from sharpscope.subject.rebuild import load_model, load_subject


def mean_loss(subject: Any, name: str = "fusion") -> float:
    """Return the subject's own mean loss."""
    with torch.no_grad():
        sums = [subject.loss(name)(subject.model, batch) for batch in subject.walk()]
    return sum(float(s.total) for s in sums) / sum(s.weight for s in sums)


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory):
    """Return a recipe and the path of a checkpoint that carries it."""
    recipe = parse_recipe("mfeat:fou+kar", method="late", seed=5)
    model = build_model(recipe, build_dataset(recipe))
    with torch.no_grad():
        for i, p in enumerate(model.parameters()):
            p.add_(0.01 * i)
    path = tmp_path_factory.mktemp("runs") / "mfeat.pt"
    content = {
        "format": "sharpscope/checkpoint",
        "format_version": 1,
        "sharpscope_version": "0.1.0",
        "recipe": recipe.to_dict(),
        "state_dict": model.state_dict(),
        "metrics": {"test": {"accuracy": torch.tensor(0.5)}},
        "epoch": 2,
    }
    torch.save(content, path)
    return recipe, model, path


def test_a_recipe_is_rebuilt_with_its_data_and_losses(ours: Any):
    recipe, model, path = ours
    subject = load_subject(path, batch_size=100)
    dataset = build_dataset(recipe)
    batches = dataset.splits["train"].batches(64)
    for name, loss in recipe_losses(recipe, dataset).items():
        with torch.no_grad():
            terms = [loss(model.eval(), batch) for batch in batches]
        wanted = sum(float(total) for total, _ in terms) / sum(weight for _, weight in terms)
        subject.model.eval()
        assert mean_loss(subject, name) == pytest.approx(wanted, rel=1e-5)
    assert subject.parts == ("fou", "kar", "shared")
    facts = subject.provenance
    assert (facts["split"], facts["recipe"]) == ("train", recipe.to_dict())
    assert facts["metrics"] == {"test": {"accuracy": 0.5}}
    assert load_subject(path, split="test").provenance["split"] == "test"


def test_a_split_that_a_recipe_does_not_have(ours: Any):
    with pytest.raises(MisuseError) as caught:
        load_subject(ours[2], split="tets")
    assert str(caught.value) == (
        "split must be 'train', 'val' or 'test'; got 'tets'; did you mean 'test'?"
    )


def test_rebuilding_a_recipe_leaves_the_random_state_alone(ours: Any):
    before = torch.get_rng_state()
    load_subject(ours[2])
    assert torch.equal(torch.get_rng_state(), before)


def test_a_recipe_cannot_name_code(ours: Any, tmp_path: Path):
    content = torch.load(ours[2], weights_only=True)
    content["recipe"]["dataset"] = "os:getcwd"
    path = tmp_path / "evil.pt"
    torch.save(content, path)
    with pytest.raises(CheckpointError, match="the recipe in the file cannot be used: "):
        load_model(path)
