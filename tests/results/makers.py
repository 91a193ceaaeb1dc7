"""One result of every kind; a comparison of two is in comparisons.py."""

from typing import Any

import numpy as np

from sharpscope.results import (
    ContributionResult,
    CouplingResult,
    DensityResult,
    EigenResult,
    GapResult,
    LandscapeResult,
    MonitorRecord,
    Outcome,
    RunRecord,
    SharpnessResult,
    TraceResult,
)

COMMON: dict[str, Any] = {
    "modality": "cxr",
    "parameters": 100,
    "samples": 12,
    "loss": "fusion",
    "loss_value": 0.5,
    "outcome": Outcome.CONVERGED,
    "method": "hutch++",
    "matvecs": 48.0,
    "seconds": 12.34,
    "seed": 0,
    "settings": {"rtol": 0.01, "shape": (51, 51), "deep": {"list": (1, 2)}},
    "provenance": {"checkpoint_sha256": "abc"},
    "notes": ("one", "λ two"),
}


def a_trace(**changes: Any) -> TraceResult:
    own: dict[str, Any] = {
        "value": 925.62,
        "standard_error": 8.71,
        "interval": (900.0, 950.0),
        "data_error": 31.0,
        "probes": 24,
        "terms": (1.0, 2.0),
        "normalized": {"per_parameter": 9.25},
    }
    return TraceResult(**(COMMON | own | changes))


def an_eigen(**changes: Any) -> EigenResult:
    own: dict[str, Any] = {
        "method": "lanczos",
        "eigenvalues": (3.0, -1.0),
        "residuals": (1e-4, 1e-3),
        "largest": 3.0,
        "smallest": -1.0,
        "largest_magnitude": 3.0,
        "data_errors": None,
        "vectors": np.arange(6.0).reshape(2, 3),
    }
    return EigenResult(**(COMMON | own | changes))


def a_contribution(**changes: Any) -> ContributionResult:
    def pair(ehr: float, cxr: float) -> dict[str, float]:
        return {"ehr": ehr, "cxr": cxr}

    own: dict[str, Any] = {
        "modality": "ehr+cxr",
        "outcome": Outcome.COMPLETED,
        "method": "Shapley values of masked predictions",
        "matvecs": 0.0,
        "settings": {"kind": "accuracy", "mask": "zero_input"},
        "provenance": {"split": "test", "checkpoint": "late.pt"},
        "metric": "accuracy",
        "performance": {"": 0.1, "ehr": 0.6, "cxr": 0.5, "ehr+cxr": 0.9},
        "shapley": pair(0.45, 0.35),
        "shapley_error": pair(0.01, 0.01),
        "shares": pair(0.7, 0.3),
        "share_error": pair(0.02, 0.02),
        "share_interval": {"ehr": (0.66, 0.74), "cxr": (0.26, 0.34)},
        "interactions": {"ehr+cxr": -0.1},
        "whole": 0.9,
        "whole_error": 0.01,
        "without": pair(0.5, 0.6),
        "without_error": pair(0.03, 0.03),
        "drop": pair(0.4, 0.3),
        "drop_error": pair(0.03, 0.03),
        "alone": pair(0.6, 0.5),
        "alone_error": pair(0.03, 0.03),
        "readout": pair(0.55, 0.45),
        "readout_error": pair(0.03, 0.03),
        "probe": pair(0.8, 0.75),
        "probe_error": pair(0.02, 0.02),
        "probe_strength": pair(1.0, 0.1),
        "alignment": pair(0.9, -0.2),
        "alignment_error": pair(0.05, 0.1),
    }
    return ContributionResult(**(COMMON | own | changes))


def a_density(**changes: Any) -> DensityResult:
    own: dict[str, Any] = {
        "method": "stochastic Lanczos quadrature",
        "grid": np.linspace(-1.0, 9.0, 5),
        "density": np.array([0.1, 0.2, 0.05, 0.02, 0.01]),
        "density_error": np.array([0.01, 0.02, 0.01, 0.01, 0.005]),
        "sigma": 0.5,
        "nodes": np.array([[-0.5, 1.0, 8.0], [-0.4, 8.1, np.nan]]),
        "weights": np.array([[0.5, 0.4, 0.1], [0.8, 0.2, np.nan]]),
        "largest": 8.1,
        "smallest": -0.5,
        "trace": 100.0,
        "trace_error": 5.0,
        "data_error": 9.0,
        "negative": 0.65,
        "negative_error": 0.15,
        "negative_bounds": (0.05, 0.8),
        "near_zero": 0.0,
        "near_zero_error": 0.0,
        "near_zero_bounds": (0.0, 0.0),
    }
    return DensityResult(**(COMMON | own | changes))


def a_sharpness(**changes: Any) -> SharpnessResult:
    own: dict[str, Any] = {
        "method": "Keskar's Q, ε = 0.001, whole space",
        "value": 2.5,
        "standard_error": None,
        "interval": None,
        "spread": 0.1,
        "values": (2.5, 2.4),
        "evaluations": 55.0,
    }
    return SharpnessResult(**(COMMON | own | changes))


def a_gap(**changes: Any) -> GapResult:
    own: dict[str, Any] = {
        "method": "normalized generalization gap",
        "value": 5.0,
        "standard_error": 1.0,
        "interval": (3.0, 7.0),
        "metric": "accuracy",
        "train": 1.0,
        "train_error": 0.0,
        "test": 0.95,
        "test_error": 0.01,
        "train_samples": 40,
    }
    return GapResult(**(COMMON | own | changes))


def a_coupling(**changes: Any) -> CouplingResult:
    own: dict[str, Any] = {
        "method": "random probes of single encoders",
        "blocks": {"ehr": 4.0, "cxr": 9.0, "ehr+cxr": 1.0},
        "block_error": {"ehr": 0.1, "cxr": 0.2, "ehr+cxr": 0.1},
        "shares": {"ehr+cxr": 2 / 15},
        "share_error": {"ehr+cxr": 0.01},
        "probes": 12,
    }
    return CouplingResult(**(COMMON | own | changes))


def a_landscape(**changes: Any) -> LandscapeResult:
    x = np.array([-1.0, 0.0, 1.0])
    own: dict[str, Any] = {
        "method": "loss on random directions",
        "axes": "random",
        "labels": ("direction 1", "direction 2"),
        "x": x,
        "y": 2 * x,
        "values": np.add.outer(4 * x**2, x**2) + 0.5,
        "lengths": (3.0, 3.0),
        "curvatures": (0.2, 0.9),
        "evaluations": 9.0,
    }
    return LandscapeResult(**(COMMON | own | changes))


def a_run(**changes: Any) -> RunRecord:
    """Return a run of two modalities and three epochs; what is set in ``settings`` is added."""
    settings = {"modalities": "ehr+cxr", "rho": 0.5, "label_noise": 0.0}
    recipe: dict[str, Any] = {
        "dataset": "toy",
        "preset": "clean",
        "method": "masam",
        "settings": settings | changes.pop("settings", {}),
        "seed": 0,
        "epochs": 3,
    }
    scores = {"loss": 0.4, "accuracy": 0.8, "macro_auprc": 0.7}
    own: dict[str, Any] = {
        "checkpoint": "runs/masam.pt",
        "recipe": recipe | changes.pop("recipe", {}),
        "metrics": {"test": {"fusion": scores | changes.pop("scores", {})}},
        "history": tuple(
            {
                "epoch": epoch,
                "loss": 1 / epoch,
                "dominant": {"ehr": 4 - epoch, "cxr": epoch},
                "alignment": {"ehr": 0.1 * epoch, "cxr": -0.1 * epoch},
                "shares": {},
                "scores": {"ehr": 0.5, "cxr": 0.4},
            }
            for epoch in (1, 2, 3)
        ),
        "seconds": 12.34,
    }
    return RunRecord(**(own | changes))


def a_monitor(**changes: Any) -> MonitorRecord:
    """Return a run of two modalities, measured at four steps: ehr flattens, then sharpens."""
    traces = {"ehr": (8.0, 4.0, 2.0, 5.0), "cxr": (3.0, 2.5, 2.4, 2.2)}
    tops = {"ehr": (3.0, 1.5, 0.9, 2.5), "cxr": (1.0, 0.9, 0.8, 0.7)}
    measurements = tuple(
        {
            "step": step,
            "epoch": step / 100,
            "loss": 1.0 / (1 + place),
            "seconds": float(step),
            "spent": 3.075 * (place + 1),
            "products": 40,
            "encoders": {
                name: {
                    "trace": traces[name][place],
                    "standard_error": 0.1,
                    "interval": (traces[name][place] - 0.2, traces[name][place] + 0.2),
                    "share": traces[name][place] / (traces["ehr"][place] + traces["cxr"][place]),
                    "share_error": 0.01,
                    "per_parameter": traces[name][place] / 100,
                    "lambda_max": tops[name][place],
                    "residual": 0.01,
                    "threshold": 2.0,
                    "alignment": 0.2 * place - 0.1,
                    "alignment_error": 0.05,
                    "gradient_norm": 0.5,
                    "outcome": "converged",
                    "products": 20,
                }
                for name in ("ehr", "cxr")
            },
            "coupling": {"ehr+cxr": {"share": 0.1 * place, "error": 0.02}},
        }
        for place, step in enumerate((0, 100, 200, 300))
    )
    event = {"step": 300, "signal": "sharpening", "modality": "ehr", "value": 5.0, "limit": 2.5}
    own: dict[str, Any] = {
        "modalities": ("ehr", "cxr"),
        "parameters": {"ehr": 100, "cxr": 100},
        "settings": {"when": "steps:100", "rtol": 0.05, "samples": 64, "seed": 0},
        "provenance": {"device": "cpu", "dtype": "float32"},
        "measurements": measurements,
        "events": (event | {"epoch": 3.0, "text": "ehr sharpens after it had flattened"},),
        "failures": ({"step": 150, "reason": "SubjectError: the loss is not finite"},),
        "ended": True,
        "seconds": 12.3,
    }
    return MonitorRecord(**(own | changes))


def a_monitor_of_a_total() -> MonitorRecord:
    """Return a run that trains a total of losses, whose λ_max was measured as well."""
    plain = a_monitor()
    tops = [
        {
            name: {"trained_lambda_max": 9.0 - place, "trained_residual": 0.03}
            for name in ("ehr", "cxr")
        }
        for place in range(4)
    ]
    measurements = tuple(
        {**one, "encoders": {name: entry | top[name] for name, entry in one["encoders"].items()}}
        for one, top in zip(plain.measurements, tops, strict=True)
    )
    return a_monitor(
        settings={"trained": "total", "samples": 64},
        measurements=measurements,
        events=({**plain.events[0], "signal": "stability"},),
    )
