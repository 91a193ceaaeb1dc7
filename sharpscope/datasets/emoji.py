"""Emoji: a picture and its keywords in two languages; the class is the Unicode group."""

import hashlib
from collections.abc import Iterable

import numpy as np

from sharpscope.datasets.assembly import assembled, package_arrays
from sharpscope.datasets.dataset import Dataset, Kind
from sharpscope.datasets.partition import carve
from sharpscope.datasets.scaling import Array

BUCKETS = 512


def hashed_words(texts: Iterable[str]) -> Array:
    """Return a bag of words per text: one for each bucket that a word falls into, (texts, 512).

    md5 is the hash because Python's own differs from process to process.
    """
    rows = [
        [int(hashlib.md5(word.encode()).hexdigest(), 16) % BUCKETS for word in text.split()]
        for text in texts
    ]
    bags = np.zeros((len(rows), BUCKETS), np.float32)
    for bag, buckets in zip(bags, rows, strict=True):
        bag[buckets] = 1
    return bags


def build_emoji(preset: str, modalities: tuple[str, ...], seed: int) -> Dataset:
    """Return image (3, 32, 32), en (512,) and de (512,) of 1,849 emoji, 9 classes."""
    arrays = package_arrays("emoji.npz")
    rows = carve(arrays["y"], arrays["test"], seed=seed, name="emoji")
    streams: dict[str, tuple[Kind, Array]] = {}
    for modality in modalities:
        if modality == "image":
            pixels = arrays["image"].transpose(0, 3, 1, 2).astype(np.float32) / 255
            mean = pixels[rows["train"]].mean((0, 2, 3), keepdims=True, dtype=np.float64)
            streams["image"] = ("image", pixels - mean.astype(np.float32))
        else:
            streams[modality] = ("vector", hashed_words(str(text) for text in arrays[modality]))
    return assembled(
        "emoji",
        preset,
        streams=streams,
        target=arrays["y"],
        classes=tuple(str(name) for name in arrays["classes"]),
        partition=rows,
    )
