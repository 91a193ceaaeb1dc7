"""The three embedded data sets: scaling by the training rows, knobs that weaken, hashed words."""

import numpy as np
import pytest
import torch

from sharpscope.datasets import load_dataset
from sharpscope.datasets.emoji import hashed_words
from sharpscope.datasets.mfeat import held_out
from sharpscope.datasets.scaling import low_rank, standardized

TRAIN = np.arange(0, 40)


@pytest.fixture
def values() -> np.ndarray:
    return np.random.default_rng(0).normal(3, 2, (60, 8)).astype(np.float32)


def test_scaling_sees_only_the_training_rows(values: np.ndarray):
    changed = values.copy()
    changed[40:] *= 100
    for scale in (
        lambda array: standardized(array, train=TRAIN, axis=0),
        lambda array: low_rank(array, train=TRAIN, energy=0.5),
    ):
        assert np.array_equal(scale(values)[:40], scale(changed)[:40])
    scaled = standardized(values, train=TRAIN, axis=0)[:40]
    assert np.allclose(scaled.mean(0), 0, atol=1e-5)
    assert np.allclose(scaled.std(0), 1, atol=1e-5)


def test_low_rank_keeps_just_enough_energy(values: np.ndarray):
    train = values[:40]
    kept = low_rank(values, train=TRAIN, energy=0.5)[:40]
    rank = np.linalg.matrix_rank(kept - kept.mean(0), tol=1e-3)
    energies = np.linalg.svd(train - train.mean(0), compute_uv=False) ** 2
    shares = np.cumsum(energies) / energies.sum()
    assert shares[rank - 1] >= 0.5 > shares[rank - 2]
    assert kept.var(0).sum() / train.var(0).sum() == pytest.approx(shares[rank - 1], rel=1e-4)


def test_presets_of_avdigits_weaken_what_they_say():
    clean, hard, loud = (
        load_dataset("avdigits", preset).splits["train"].inputs
        for preset in ("clean", "hard", "image-dominant")
    )
    # Same seed, same rows: the presets differ by the knobs alone.
    assert torch.equal(clean["image"], loud["image"])
    kept = hard["image"].var(0).sum() / clean["image"].var(0).sum()
    assert 0.25 <= kept < 0.35
    assert (hard["audio"] - clean["audio"]).std().item() == pytest.approx(2.0, rel=0.01)
    assert (loud["audio"] - clean["audio"]).std().item() == pytest.approx(4.0, rel=0.01)
    assert clean["audio"].mean((0, 2)).abs().max() < 1e-4
    assert (clean["audio"].std((0, 2)) - 1).abs().max() < 1e-2


def test_a_single_modality_is_the_one_of_the_whole():
    whole = load_dataset("avdigits").splits["test"]
    alone = load_dataset("avdigits", modalities=["audio"]).splits["test"]
    assert list(alone.inputs) == ["audio"]
    assert torch.equal(alone.inputs["audio"], whole.inputs["audio"])


def test_words_fall_into_fixed_buckets():
    bags = hashed_words(["cat face", "face cat cat", "dog", ""])
    assert np.array_equal(bags[0], bags[1])
    assert bags.sum(1).tolist() == [2, 2, 1, 0]
    # md5("cat") = d077f244def8a70e5ea758bd8352fcd8, whose last nine bits are 0xd8.
    assert bags[0, 0x0D8] == 1


def test_pixels_of_emoji_are_centered_per_channel_on_the_training_rows():
    pixels = load_dataset("emoji").splits["train"].inputs["image"]
    assert pixels.double().mean((0, 2, 3)).abs().max() < 1e-6
    assert (pixels.amax() - pixels.amin()).item() <= 1.5


def test_mfeat_holds_out_fifty_rows_per_class():
    classes = np.repeat(np.arange(10), 200).astype(np.uint8)
    assert np.bincount(classes[held_out(classes)]).tolist() == [50] * 10
    assert np.array_equal(held_out(classes), held_out(classes))
