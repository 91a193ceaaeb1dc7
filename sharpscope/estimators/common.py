"""What every estimator does at its two ends: find its operator, and fill in the record."""

from typing import Any

from sharpscope.errors import MisuseError
from sharpscope.estimators.cost import Meter, peak_bytes
from sharpscope.operators import HessianOperator, Report, SymmetricOperator
from sharpscope.subject import Subject


def as_operator(
    target: Subject | SymmetricOperator, modality: str | None, loss: str | None
) -> SymmetricOperator:
    """Return ``target`` if it is an operator, else its Hessian on ``modality``.

    Raises:
        MisuseError: If a subject comes without a modality, or an operator with one.
    """
    if isinstance(target, Subject):
        if modality is None:
            names = ", ".join((*target.parts, "all"))
            raise MisuseError(f"say which modality of the subject to measure: {names}")
        return HessianOperator(target, modality, loss=loss or "fusion")
    if modality is not None or loss is not None:
        raise MisuseError("an operator has its modality and its loss already: pass neither")
    return target


def record(
    operator: SymmetricOperator, report: Report, meter: Meter, settings: dict[str, Any]
) -> dict[str, Any]:
    """Return the fields that every result takes from its operator, its cost and its settings."""
    return {
        "modality": report.modality,
        "parameters": report.parameters,
        "samples": report.samples,
        "loss": report.loss,
        "loss_value": report.loss_value,
        "matvecs": float(meter.products),
        "seconds": meter.seconds,
        "peak_bytes": peak_bytes(operator.device),
        "seed": settings["seed"],
        "settings": {k: v for k, v in settings.items() if k != "seed"} | {"operator": report.name},
        "provenance": report.provenance,
        "replayed": report.replayed,
    }
