"""Multiple Features: six views of handwritten digits (UCI, doi:10.24432/C5HC70)."""

import numpy as np
from numpy.typing import NDArray

from sharpscope.datasets.assembly import assembled, package_arrays
from sharpscope.datasets.dataset import Dataset, Kind
from sharpscope.datasets.partition import carve
from sharpscope.datasets.scaling import Array, standardized

TEST_PER_CLASS = 50


def held_out(classes: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Mark 50 rows of each class for testing: the file has no split of its own.

    The same rows whatever the seed, so that test figures of different runs can be compared.
    """
    generator = np.random.default_rng(0)
    flag = np.zeros(len(classes), np.bool_)
    for label in np.unique(classes):
        rows = generator.permutation(np.flatnonzero(classes == label))
        flag[rows[-TEST_PER_CLASS:]] = True
    return flag


def build_mfeat(preset: str, modalities: tuple[str, ...], seed: int) -> Dataset:
    """Return pix (1, 16, 15), fac, fou, kar, zer and mor (216, 76, 64, 47, 6); 10 classes."""
    arrays = package_arrays("mfeat.npz")
    rows = carve(arrays["y"], held_out(arrays["y"]), seed=seed, name="mfeat")
    streams: dict[str, tuple[Kind, Array]] = {}
    for modality in modalities:
        values = arrays[modality].astype(np.float32)
        if modality == "pix":
            streams["pix"] = ("image", values[:, None] / 6)  # gray levels are 0 to 6
        else:
            streams[modality] = ("vector", standardized(values, train=rows["train"], axis=0))
    return assembled(
        "mfeat",
        preset,
        streams=streams,
        target=arrays["y"],
        classes=tuple("0123456789"),
        partition=rows,
    )
