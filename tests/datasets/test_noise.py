"""Label noise: exact counts, in the training split alone, the same for the same seed."""

import math
from collections import Counter
from pathlib import Path

import pytest
import torch

from sharpscope.datasets import load_dataset
from sharpscope.datasets.noise import with_noise
from sharpscope.errors import MisuseError
from sharpscope.recipes import build_dataset, parse_recipe
from sharpscope.training import save_checkpoint, train


@pytest.mark.parametrize("kind", ["symmetric", "asymmetric"])
@pytest.mark.parametrize("rate", [0.0, 0.2, 0.3, 0.6])
def test_exactly_so_many_labels_are_wrong(rate: float, kind: str):
    clean = load_dataset("mfeat", "mor")
    before = clean.splits["train"].target.clone()
    found = with_noise(clean, rate=rate, kind=kind, generator=torch.Generator().manual_seed(0))
    after, noise = found.splits["train"].target, found.noise
    assert noise is not None
    wrong = (after != before).nonzero()[:, 0]
    assert len(wrong) == math.floor(rate * len(before) + 1e-9)
    assert torch.equal(wrong, noise.indices)
    assert torch.equal(before[noise.indices], noise.clean)
    assert torch.equal(clean.splits["train"].target, before)
    for name in ("val", "test"):
        assert found.splits[name] is clean.splits[name]
    steps = Counter(((after - before)[wrong] % 10).tolist())
    if kind == "asymmetric":
        assert set(steps) <= {1}
    elif rate:
        assert set(steps) == set(range(1, 10))
        assert max(steps.values()) < 2 * min(steps.values())


def test_positive_labels_are_dropped_where_labels_are_not_exclusive():
    clean = load_dataset("ehr-cxr", "small")
    before = clean.splits["train"].target
    found = with_noise(
        clean, rate=0.25, kind="symmetric", generator=torch.Generator().manual_seed(0)
    )
    after = found.splits["train"].target
    assert (after <= before).all()
    assert int((before - after).sum()) == math.floor(0.25 * int(before.sum()))
    assert found.noise is not None
    assert (before[found.noise.indices[:, 0], found.noise.indices[:, 1]] == 1).all()
    with pytest.raises(MisuseError, match="asymmetric label noise is that of exclusive classes"):
        with_noise(clean, rate=0.1, kind="asymmetric", generator=torch.Generator())
    with pytest.raises(MisuseError, match="noise kind must be 'symmetric' or 'asymmetric'"):
        with_noise(clean, rate=0.1, kind="x", generator=torch.Generator())


def test_a_recipe_carries_its_noise_and_a_checkpoint_the_places(tmp_path: Path):
    settings = {"label_noise": "0.4", "batch_size": "256"}
    recipe = parse_recipe("mfeat:fou+mor", epochs=1, seed=3, settings=settings)
    other = parse_recipe("mfeat:fou+mor", epochs=1, seed=4, settings=settings)
    first, second = (build_dataset(r).splits["train"].target for r in (recipe, other))
    assert torch.equal(first, second), "it goes by the seed of the data"
    plain = build_dataset(parse_recipe("mfeat:fou+mor"))
    assert plain.noise is None
    path = save_checkpoint(tmp_path / "a.pt", train(recipe))
    stored = torch.load(path, weights_only=True)["label_noise"]
    wrong = (first != plain.splits["train"].target).nonzero()[:, 0]
    assert torch.equal(stored["indices"], wrong)
    assert torch.equal(stored["clean"], plain.splits["train"].target[wrong])
    assert (stored["kind"], stored["rate"]) == ("symmetric", 0.4)
