"""Splits and batches: fixed, fair and complete."""

import numpy as np
import pytest
import torch

from sharpscope.datasets import Split, load_dataset
from sharpscope.datasets.partition import carve
from sharpscope.errors import MisuseError

SPLIT = Split(inputs={"x": torch.arange(7.0)[:, None]}, target=torch.arange(7))


def test_batches_cover_the_items_in_order_and_replay():
    batches = SPLIT.batches(3)
    assert [len(batch["target"]) for batch in batches] == [3, 3, 1]
    for _ in range(2):
        assert torch.equal(torch.cat([batch["target"] for batch in batches]), torch.arange(7))
    assert torch.equal(batches[1]["x"], torch.tensor([[3.0], [4.0], [5.0]]))


def test_a_limit_takes_the_first_items():
    assert [len(batch["target"]) for batch in SPLIT.batches(3, limit=4)] == [3, 1]
    assert len(SPLIT.batches(7, limit=100)) == 1


def test_batches_refuse_what_cannot_be_meant():
    with pytest.raises(MisuseError, match=r"^batch_size must be a whole number of at least 1"):
        SPLIT.batches(0)
    with pytest.raises(MisuseError, match=r"^limit must be a whole number of at least 1; got 0"):
        SPLIT.batches(3, limit=0)


def test_validation_is_a_tenth_of_each_class_of_the_training_rows():
    classes = np.repeat([0, 1, 2], [100, 50, 30])
    test = np.arange(180) % 5 == 0
    parts = carve(classes, test, seed=0, name="toy")
    assert np.array_equal(np.sort(np.concatenate(list(parts.values()))), np.arange(180))
    assert np.array_equal(np.sort(parts["test"]), np.flatnonzero(test))
    assert np.bincount(classes[parts["val"]]).tolist() == [8, 4, 2]


def test_the_seed_draws_validation_and_order_but_not_the_test_rows():
    classes, test = np.repeat([0, 1], 50), np.arange(100) % 4 == 0
    parts = [carve(classes, test, seed=seed, name="toy") for seed in (0, 0, 1)]
    for part in ("train", "val", "test"):
        assert np.array_equal(parts[0][part], parts[1][part])
        assert not np.array_equal(parts[0][part], parts[2][part])
    assert set(parts[0]["val"]) != set(parts[2]["val"])
    assert set(parts[0]["test"]) == set(parts[2]["test"])


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("avdigits", (2160, 240, 600)),
        ("emoji", (1274, 142, 433)),
        ("mfeat", (1350, 150, 500)),
        ("ehr-cxr", (1400, 200, 400)),
    ],
)
def test_sizes_and_types(name: str, sizes: tuple[int, ...]):
    dataset = load_dataset(name)
    assert tuple(len(split) for split in dataset.splits.values()) == sizes
    for split in dataset.splits.values():
        for modality, values in split.inputs.items():
            assert values.dtype == torch.float32
            assert values.shape == (len(split), *dataset.modalities[modality].shape)
            assert values.isfinite().all()
        assert split.target.dtype == (torch.float32 if dataset.multilabel else torch.int64)


@pytest.mark.parametrize("name", ["avdigits", "emoji", "mfeat"])
def test_the_first_items_are_a_fair_sample(name: str):
    dataset = load_dataset(name)
    for split in dataset.splits.values():
        share = np.bincount(split.target[:120], minlength=len(dataset.classes)) / 120
        whole = np.bincount(split.target, minlength=len(dataset.classes)) / len(split)
        assert np.abs(share - whole).max() < 0.12


@pytest.mark.parametrize("name", ["avdigits", "emoji", "mfeat", "ehr-cxr"])
def test_loading_is_deterministic_and_leaves_the_random_state_alone(name: str):
    before = torch.get_rng_state()
    one, two, other = (load_dataset(name, seed=seed) for seed in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), before)
    for part, split in one.splits.items():
        assert torch.equal(split.target, two.splits[part].target)
        assert not torch.equal(split.target, other.splits[part].target)
        for modality, values in split.inputs.items():
            assert torch.equal(values, two.splits[part].inputs[modality])
