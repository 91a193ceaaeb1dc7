"""Modality ``ehr``: 12 vital signs over 48 hours with gaps, and 12 masks that mark them."""

from typing import NamedTuple

import numpy as np
import torch

from sharpscope.datasets.ehr_cxr.factors import Array, Factors, normal
from sharpscope.datasets.partition import Rows
from sharpscope.streams import stream

HOURS = 48


class Sign(NamedTuple):
    """A vital sign, in its own unit.

    Args:
        name: What is measured.
        mean: Typical value.
        spread: Standard deviation between patients.
        low: Smallest possible value.
        high: Largest possible value.
        missing: Share of hours without a measurement, about.
        effects: Response to the factors, in spreads.
    """

    name: str
    mean: float
    spread: float
    low: float
    high: float
    missing: float
    effects: dict[str, float]


SIGNS = (
    Sign("heart rate", 86, 16, 25, 220, 0.06,
         {"severity": 0.4, "rhythm": 0.6, "perfusion": 0.4, "infection": 0.3}),
    Sign("diastolic pressure", 64, 12, 20, 150, 0.08, {"pressure": 0.7, "perfusion": -0.4}),
    Sign("mean pressure", 80, 13, 25, 180, 0.09, {"pressure": 0.7, "perfusion": -0.6}),
    Sign("systolic pressure", 122, 20, 40, 250, 0.08, {"pressure": 0.7, "perfusion": -0.7}),
    Sign("respiratory rate", 19, 5, 4, 60, 0.07,
         {"infection": 0.4, "severity": 0.5, "congestion": 0.4}),
    Sign("temperature", 37.0, 0.6, 32, 42, 0.68, {"infection": 0.9}),
    Sign("oxygen saturation", 96.5, 2.5, 60, 100, 0.11,
         {"congestion": -0.6, "severity": -0.5, "infection": -0.3}),
    Sign("glucose", 140, 45, 30, 600, 0.74, {"metabolic": 0.9}),
    Sign("coma scale, total", 12, 3, 3, 15, 0.77, {"neurologic": -0.8, "severity": -0.4}),
    Sign("coma scale, motor", 5.2, 1.2, 1, 6, 0.76, {"neurologic": -0.8, "severity": -0.3}),
    Sign("coma scale, verbal", 3.4, 1.5, 1, 5, 0.75, {"neurologic": -0.6, "severity": -0.5}),
    Sign("coma scale, eyes", 3.1, 1.0, 1, 4, 0.75, {"neurologic": -0.7, "severity": -0.4}),
)  # fmt: skip


def draw_vitals(factors: Factors, *, seed: int) -> tuple[Array, Array]:
    """Return values in their units and where they were measured, both (patients, 12, 48).

    A sign is a level plus a drift plus slow and fast wander. The factors move level and drift; an
    unsteady rhythm shows as a heart rate that jumps, so that not all of the signal is in a mean.
    """
    patients = len(factors["severity"])
    shape = (patients, len(SIGNS), HOURS)
    effects = np.stack(
        [sum(weight * factors[name] for name, weight in sign.effects.items()) for sign in SIGNS],
        axis=1,
    )
    own, drift = (normal(shape[:2], seed=seed, name=name) for name in ("level", "drift"))
    steps, fast = (normal(shape, seed=seed, name=name) for name in ("slow wander", "fast wander"))
    slow = np.cumsum(steps, axis=2) / np.float32(np.sqrt(HOURS))
    jumps = np.full(shape[:2], 0.5, np.float32)
    jumps[:, 0] = 0.4 * np.exp(0.5 * factors["rhythm"])
    hours = np.linspace(-1, 1, HOURS, dtype=np.float32)
    scores = (
        (effects + 0.5 * own)[..., None]
        + (0.3 * effects + 0.2 * drift)[..., None] * hours
        + 0.3 * slow
        + jumps[..., None] * fast
    )
    mean, spread, low, high, missing = (
        np.array([sign[column] for sign in SIGNS], np.float32)[:, None] for column in range(1, 6)
    )
    values = np.clip(mean + spread * scores, low, high)
    values[:, 8:] = np.round(values[:, 8:])  # coma scales are whole points
    # The sicker the patient, the more often somebody measures.
    odds = np.log(missing / (1 - missing)) - 0.3 * factors["severity"][:, None, None]
    uniform = torch.rand(shape, generator=stream(seed, "ehr-cxr", "missing")).numpy()
    return values, (uniform > 1 / (1 + np.exp(-odds))).astype(np.float32)


def ehr_series(factors: Factors, *, train: Rows, seed: int) -> Array:
    """Return the series, (patients, 24, 48): 12 signs, then 12 masks (1 is measured, 0 is imputed).

    Gaps hold the median of the training rows; signs are standardized by the training rows.
    """
    values, measured = draw_vitals(factors, seed=seed)
    for column in range(len(SIGNS)):
        sample = values[train, column][measured[train, column] == 1]
        filled = np.where(measured[:, column] == 1, values[:, column], np.median(sample))
        values[:, column] = (filled - sample.mean()) / sample.std()
    return np.concatenate([values, measured], axis=1)
