"""A quadratic whose truth is known: L(θ) = ½ Σ hᵢ θᵢ², two parameters to each encoder.

The Hessian of an encoder is diagonal, so that its trace, its largest eigenvalue and the loss on
any plane are sums and products of ``hᵢ``; a method divides all of them, an epoch multiplies them.
"""

from typing import Any

import numpy as np

from sharpscope.results import (
    ContributionResult,
    EigenResult,
    GapResult,
    LandscapeResult,
    MonitorRecord,
    RunRecord,
    SharpnessResult,
    TraceResult,
)
from tests.results.makers import (
    a_contribution,
    a_gap,
    a_landscape,
    a_monitor,
    a_run,
    a_sharpness,
    a_trace,
    an_eigen,
)

CURVATURES = {"ehr": np.array([4.0, 1.0]), "cxr": np.array([9.0, 3.0])}
FLATTER = {"late": 1.0, "masam": 4.0}  # what a method divides every curvature by


def curvatures(modality: str, method: str) -> np.ndarray:
    return CURVATURES[modality] / FLATTER[method]


def provenance(method: str, seed: int = 0, epoch: int | None = None, **settings: Any) -> Any:
    own: dict[str, Any] = {"rho": 0.5} if method == "masam" else {}
    recipe = {
        "dataset": "quadratic",
        "preset": "plain",
        "method": method,
        "settings": {"modalities": "ehr+cxr", **own, **settings},
        "seed": seed,
        "epochs": 3,
    }
    found: dict[str, Any] = {
        "recipe": recipe,
        "split": "train",
        "checkpoint": f"runs/s{seed}.pt",
    }
    return found if epoch is None else found | {"epoch": epoch}


def common(method: str, modality: str, **where: Any) -> dict[str, Any]:
    return {
        "modality": modality,
        "parameters": 2,
        "tag": f"s{where.get('seed', 0)}",
        "provenance": provenance(method, **where),
    }


def trace(method: str, modality: str, *, scale: float = 1.0, **where: Any) -> TraceResult:
    value = scale * float(curvatures(modality, method).sum())
    return a_trace(
        **common(method, modality, **where),
        value=value,
        standard_error=0.05 * value,
        interval=(0.9 * value, 1.1 * value),
        normalized={"per_parameter": value / 2},
    )


def eigen(method: str, modality: str, **where: Any) -> EigenResult:
    values = tuple(sorted(map(float, curvatures(modality, method)), reverse=True))
    return an_eigen(
        **common(method, modality, **where),
        eigenvalues=values,
        residuals=(0.0, 0.0),
        largest=values[0],
        smallest=values[1],
        largest_magnitude=values[0],
        data_errors=(0.1 * values[0], 0.1),
    )


def sharpness(method: str, modality: str, **where: Any) -> SharpnessResult:
    return a_sharpness(**common(method, modality, **where), value=1.5)


def gap(method: str, **where: Any) -> GapResult:
    return a_gap(**common(method, "all", **where), value=2.0 * FLATTER[method])


def plane(method: str, modality: str, **changes: Any) -> LandscapeResult:
    """Return the loss on the plane of the encoder's own two parameters."""
    x, y = np.linspace(-1, 1, 9), np.linspace(-1, 1, 9)
    first, second = curvatures(modality, method)
    values = 0.1 + 0.5 * np.add.outer(second * y**2, first * x**2)
    return a_landscape(**(common(method, modality) | {"x": x, "y": y, "values": values} | changes))


def contribution(method: str, **changes: Any) -> ContributionResult:
    where = {name: changes.pop(name) for name in ("seed", "epoch") if name in changes}
    return a_contribution(**(common(method, "ehr+cxr", **where) | {"parameters": 4} | changes))


def run(method: str, *, seed: int = 0, accuracy: float = 0.8, **settings: Any) -> RunRecord:
    """Return a run whose test accuracy is told."""
    told: dict[str, Any] = {"label_noise": 0.0} | settings
    own = provenance(method, seed, **told)["recipe"]
    found = a_run(
        recipe=own, settings={}, scores={"accuracy": accuracy}, checkpoint=f"runs/s{seed}.pt"
    )
    if method != "masam":
        empty = {"dominant": {}, "alignment": {}, "scores": {}}
        found = a_run(
            recipe=own,
            scores={"accuracy": accuracy},
            checkpoint=f"runs/s{seed}.pt",
            history=tuple({**entry, **empty} for entry in found.history),
        )
    return found


def monitor(
    method: str, seed: int = 0, *, scale: float = 1.0, shift: int = 0, **changes: Any
) -> MonitorRecord:
    """Return a watched run of a recipe; ``scale`` multiplies traces and λ_max of one seed.

    Its measurements, and where it has them its events, are ``shift`` steps later.
    """
    first = a_monitor()
    by = scale / FLATTER[method]
    measurements = tuple(
        {
            **entry,
            "step": entry["step"] + shift,
            "epoch": (entry["step"] + shift) / 100,
            "encoders": {
                name: {
                    **one,
                    "trace": by * one["trace"],
                    "standard_error": by * one["standard_error"],
                    "interval": tuple(by * end for end in one["interval"]),
                    "per_parameter": by * one["per_parameter"],
                    "lambda_max": by * one["lambda_max"],
                }
                for name, one in entry["encoders"].items()
            },
        }
        for entry in first.measurements
    )
    own: dict[str, Any] = {
        "measurements": measurements,
        "tag": f"s{seed}",
        "provenance": {
            **first.provenance,
            "recipe": provenance(method, seed)["recipe"],
            "file": f"runs/s{seed}.monitor.jsonl",
        },
    }
    return a_monitor(**(own | changes))
