"""Results with the provenance of a checkpoint, made up."""

from collections.abc import Sequence
from typing import Any
from zlib import crc32

import numpy as np

from sharpscope.results import EigenResult, TraceResult
from tests.results.makers import a_trace, an_eigen

BATCHES = 6


def provenance(run: str, *, seed: int = 0, epoch: int = 3, **more: Any) -> dict[str, Any]:
    """Return that of a checkpoint that ``sharpscope train`` wrote."""
    return {
        "checkpoint": f"runs/{run}.pt",
        "checkpoint_sha256": f"sha of {run}",
        "split": "train",
        "data_fingerprint": "data",
        "model_fingerprint": "model",
        "epoch": epoch,
        "recipe": {"method": run.split("-")[0], "seed": seed},
    } | more


def traced(
    run: str,
    value: float = 100.0,
    *,
    loss: float = 0.5,
    modality: str = "cxr",
    noise: Sequence[float] = (),
    own_noise: float = 0.02,
    **more: Any,
) -> TraceResult:
    """Return a trace whose probes err alike in every run but for a share of its own."""
    told = {name: more.pop(name) for name in ("seed", "epoch") if name in more}
    extra = more.pop("provenance", {})
    draws, alone = np.random.default_rng(0), np.random.default_rng(crc32(run.encode()))
    terms = value * (1 + 0.1 * draws.standard_normal(12) + np.array(noise or [0.0] * 12))
    terms += value * own_noise * alone.standard_normal(12)
    terms += value - terms.mean()
    parts = value / BATCHES * (1 + 0.05 * draws.standard_normal(BATCHES))
    parts += value / BATCHES * own_noise * alone.standard_normal(BATCHES)
    parts += value / BATCHES - parts.mean()
    own: dict[str, Any] = {
        "method": "hutchinson",
        "modality": modality,
        "value": value,
        "loss_value": loss,
        "standard_error": float(terms.std(ddof=1) / 12**0.5),
        "data_error": 2.0,
        "probes": 12,
        "terms": tuple(terms.tolist()),
        "batch_parts": tuple((part, part) for part in parts.tolist()),
        "batch_shares": (1 / BATCHES,) * BATCHES,
        "settings": {"distribution": "rademacher", "way": "by itself", "operator": "hessian"},
        "provenance": provenance(run, **told) | extra,
        "tag": run,
    }
    return a_trace(**(own | more))


def largest(run: str, value: float = 9.0, *, loss: float = 0.5, **more: Any) -> EigenResult:
    """Return the eigenvalues of a run."""
    parts = tuple((part, 0.0) for part in (value / BATCHES * np.linspace(0.9, 1.1, 6)).tolist())
    own: dict[str, Any] = {
        "eigenvalues": (value, -1.0),
        "loss_value": loss,
        "residuals": (1e-3, 1e-3),
        "largest": value,
        "smallest": -1.0,
        "largest_magnitude": value,
        "data_errors": (0.2, 0.1),
        "batch_parts": parts,
        "batch_shares": (1 / BATCHES,) * BATCHES,
        "vectors": None,
        "settings": {"operator": "hessian"},
        "provenance": provenance(run, seed=more.pop("seed", 0)),
        "tag": run,
    }
    return an_eigen(**(own | more))
