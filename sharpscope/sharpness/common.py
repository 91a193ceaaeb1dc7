"""What sharpness measures share: the record, and quiet arithmetic."""

import time
from typing import Any

from sharpscope.estimators.cost import peak_bytes
from sharpscope.subject.points import Points
from sharpscope.subject.provenance import measured_on


def record(points: Points, began: float, settings: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that every result takes from its points, its cost and its settings."""
    census, subject = points.census, points.subject
    return {
        "modality": points.selection.name,
        "parameters": points.dim,
        "samples": census.samples,
        "loss": points.loss,
        "loss_value": census.loss_value,
        "matvecs": 0.0,
        "evaluations": points.evaluations,
        "seconds": time.perf_counter() - began,
        "peak_bytes": peak_bytes(subject.device),
        "seed": settings["seed"],
        "settings": {key: value for key, value in settings.items() if key != "seed"},
        "provenance": measured_on(subject, census, subject.device, points.dtype),
        "replayed": points.replayed,
        "notes": points.notes(),
    }
