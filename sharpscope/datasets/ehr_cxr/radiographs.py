"""Modality ``cxr``: a drawn chest of smooth fields, in which the factors are shadows."""

import numpy as np
import torch

from sharpscope.datasets.ehr_cxr.factors import Array, Factors, normal
from sharpscope.datasets.partition import Rows
from sharpscope.streams import stream

SIDE = 64
COARSE = 8  # texture is drawn on a coarse grid and interpolated, which makes it smooth


class Canvas:
    """Draws one smooth shape per patient onto all images at once.

    Args:
        offsets: Shift of each patient's picture, (patients, 2), in half image widths.
    """

    def __init__(self, offsets: Array) -> None:
        axis = np.linspace(-1, 1, SIDE, dtype=np.float32)
        self._x = axis - offsets[:, :1]
        self._y = axis - offsets[:, 1:]
        self.pixels: Array = np.full((len(offsets), SIDE, SIDE), 0.6, np.float32)

    def add(
        self,
        strength: Array | float,
        *,
        x: Array | float,
        y: Array | float,
        width: Array | float,
        height: Array | float,
        power: int = 2,
    ) -> None:
        """Add ``strength · exp(−|Δx/width|^power − |Δy/height|^power)``, patient by patient."""
        across = np.exp(-(np.abs((self._x - _column(x)) / _column(width)) ** power))
        down = np.exp(-(np.abs((self._y - _column(y)) / _column(height)) ** power))
        self.pixels += (_column(strength) * down)[:, :, None] * across[:, None, :]


def _column(value: Array | float) -> Array:
    return np.asarray(value, np.float32).reshape(-1, 1)


def _shadow(factor: Array) -> Array:
    """Return a smooth positive strength that grows with the factor."""
    return np.logaddexp(np.float32(0), 1.5 * factor).astype(np.float32)


def draw_radiographs(factors: Factors, *, seed: int) -> Array:
    """Return gray values, (patients, 64, 64): bright is dense, as in a radiograph."""
    patients = len(factors["severity"])
    place, nuisance = (
        normal((patients, 8), seed=seed, name=name) for name in ("cxr place", "cxr nuisance")
    )
    side = np.where(
        torch.rand((patients, 2), generator=stream(seed, "ehr-cxr", "cxr side")).numpy() < 0.5,
        -1,
        1,
    ).astype(np.float32)
    air, heart = factors["hyperinflation"], factors["congestion"]
    canvas = Canvas(0.05 * place[:, :2])
    for lung in (-0.42, 0.42):
        canvas.add(
            -0.4 - 0.05 * air,
            x=lung, y=-0.05, width=0.3, height=0.62 + 0.07 * air + 0.03 * nuisance[:, 0], power=4,
        )  # fmt: skip
        canvas.add(0.06 * _shadow(heart), x=lung * 0.6, y=0.0, width=0.2, height=0.3)
    canvas.add(0.2, x=0.0, y=0.0, width=0.12, height=1.5, power=4)
    canvas.add(0.25, x=0.12, y=0.35, width=0.28 + 0.03 * heart + 0.03 * nuisance[:, 1], height=0.3)
    canvas.add(
        0.12 * _shadow(factors["infection"] + 0.3 * nuisance[:, 2]),
        x=0.45 * side[:, 0] + 0.06 * place[:, 2], y=0.2 * place[:, 3], width=0.16, height=0.16,
    )  # fmt: skip
    canvas.add(
        0.14 * _shadow(factors["effusion"] + 0.3 * nuisance[:, 3]),
        x=0.45 * side[:, 1], y=0.7, width=0.3, height=0.18,
    )  # fmt: skip
    canvas.add(
        0.14 * _shadow(factors["calcification"] + 0.3 * nuisance[:, 4]),
        x=0.12 + 0.02 * place[:, 4], y=-0.4 + 0.03 * place[:, 5], width=0.1, height=0.1,
    )  # fmt: skip
    # A tube in the airway: the sicker, the likelier.
    canvas.add(
        0.15 * _shadow(factors["severity"] + 0.3 * nuisance[:, 5]),
        x=0.02 * place[:, 6], y=-0.75, width=0.05, height=0.35, power=4,
    )  # fmt: skip
    return canvas.pixels * (1 + 0.05 * nuisance[:, 6, None, None]) + _texture(patients, seed=seed)


def _texture(patients: int, *, seed: int) -> Array:
    """Return soft tissue, ribs and film grain, (patients, 64, 64)."""
    coarse = normal((patients, COARSE, COARSE), seed=seed, name="cxr tissue")
    grid = np.linspace(0, COARSE - 1, SIDE)[:, None] - np.arange(COARSE)
    blend = np.maximum(0, 1 - np.abs(grid)).astype(np.float32)  # linear interpolation
    axis = np.linspace(-1, 1, SIDE, dtype=np.float32)
    ribs = 0.04 * np.cos(22 * (axis[:, None] - 0.35 * axis[None, :] ** 2))
    grain = normal((patients, SIDE, SIDE), seed=seed, name="cxr grain")
    return 0.05 * (blend @ coarse @ blend.T) + ribs + 0.05 * grain


def cxr_images(factors: Factors, *, train: Rows, seed: int) -> Array:
    """Return images, (patients, 1, 64, 64), with mean 0 and deviation 1 over the training rows."""
    pixels = draw_radiographs(factors, seed=seed)
    return ((pixels - pixels[train].mean()) / pixels[train].std())[:, None]
