"""Spoken and written digits, paired at random within the digit as AV-MNIST does."""

from typing import NamedTuple

import numpy as np
import torch

from sharpscope.datasets.assembly import assembled, package_arrays
from sharpscope.datasets.dataset import Dataset, Kind
from sharpscope.datasets.partition import carve
from sharpscope.datasets.scaling import Array, low_rank, standardized
from sharpscope.streams import stream


class Weakening(NamedTuple):
    """How much is taken from each modality.

    Args:
        image_energy: Share of the images' variance kept by PCA.
        audio_noise: Standard deviation of noise on the standardized MFCC.
    """

    image_energy: float
    audio_noise: float


PRESETS = {
    "hard": Weakening(0.25, 2.0),
    "clean": Weakening(1.0, 0.0),
    "imbalanced": Weakening(0.25, 0.0),
    "image-dominant": Weakening(1.0, 4.0),
}


def build_avdigits(preset: str, modalities: tuple[str, ...], seed: int) -> Dataset:
    """Return image (1, 28, 28) and audio MFCC (13, 32) of 3,000 digits, 10 classes."""
    arrays = package_arrays("avdigits.npz")
    rows = carve(arrays["y"], arrays["test"], seed=seed, name="avdigits")
    weakening = PRESETS[preset]
    streams: dict[str, tuple[Kind, Array]] = {}
    if "image" in modalities:
        pixels = arrays["image"].reshape(len(arrays["y"]), -1).astype(np.float32) / 255
        if weakening.image_energy < 1:
            pixels = low_rank(pixels, train=rows["train"], energy=weakening.image_energy)
        streams["image"] = ("image", pixels.reshape(-1, 1, 28, 28))
    if "audio" in modalities:
        audio = standardized(arrays["audio"].astype(np.float32), train=rows["train"], axis=(0, 2))
        # Drawn for all rows in the file's order: a row keeps its noise in whichever split it lands.
        noise = torch.randn(audio.shape, generator=stream(seed, "avdigits", "audio noise")).numpy()
        streams["audio"] = ("series", audio + np.float32(weakening.audio_noise) * noise)
    return assembled(
        "avdigits",
        preset,
        streams=streams,
        target=arrays["y"],
        classes=tuple("0123456789"),
        partition=rows,
    )
