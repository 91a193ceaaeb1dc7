"""One number of one checkpoint as a comparison needs it: its errors, and what pairs them."""

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sharpscope.results import EigenResult, GapResult, Result, SharpnessResult, TraceResult

# What can be compared, by the schema of its result.
QUANTITIES = {
    "sharpscope/trace": "trace",
    "sharpscope/eigen": "lambda_max",
    "sharpscope/sharpness": "sharpness",
    "sharpscope/gap": "gap",
}
# An engine that finds the eigenvalue of largest magnitude alone does not tell which end it is.
_EITHER_END = "largest_magnitude"
# Quantities of either sign, whose ratio says nothing.
SIGNED = ("gap", _EITHER_END)
# Estimators whose terms of the same place are of the same probe, each by itself.
_PAIRED = ("hutchinson", "hutch++")


def _nothing() -> np.ndarray:
    return np.empty((0, 2))


@dataclass(frozen=True, kw_only=True, eq=False)
class Measurement:
    """A number with the terms behind its errors.

    Attributes:
        quantity: ``trace``, ``lambda_max``, ``largest_magnitude``, ``sharpness`` or ``gap``.
        value: The number; None where it is not finite.
        probe_error: Standard error over random draws; 0 where nothing is random, None where
            something is and nothing tells how much.
        probes: Draws behind it.
        terms: The value of each draw.
        draws: Equal for two measurements whose terms are of the same draws; None where they are
            not.
        data_error: Standard error over the data; None where nothing tells.
        parts: Each batch's part of the value, twice with independent noise, ``[batches, 2]``.
        shares: Each batch's share of the weight, ``[batches]``.
        replicates: The number under other data, draw by draw, where nothing is told by batches.
        samples: Equal for two measurements whose replicates are of the same draws.
        bound: How far the solver may be from the truth.
        result: Where it is from.
    """

    quantity: str
    value: float | None
    probe_error: float | None = 0.0
    probes: int = 0
    terms: np.ndarray = field(default_factory=_nothing)
    draws: Hashable = None
    data_error: float | None = None
    parts: np.ndarray = field(default_factory=_nothing)
    shares: np.ndarray = field(default_factory=_nothing)
    replicates: np.ndarray = field(default_factory=lambda: np.empty(0))
    samples: Hashable = None
    bound: float = 0.0
    result: Result


def quantity_of(result: Result) -> str:
    """Return which quantity a result that can be compared is of."""
    if isinstance(result, EigenResult) and result.largest is None:
        return "lambda_max" if result.largest_magnitude is None else _EITHER_END
    return QUANTITIES[result.schema]


def measurement(result: Result) -> Measurement | None:
    """Return what a result measured; None of a kind that is not compared."""
    if isinstance(result, TraceResult):
        return _trace(result)
    if isinstance(result, EigenResult):
        return _largest(result)
    if isinstance(result, SharpnessResult):
        return _sharpness(result)
    if isinstance(result, GapResult):
        return Measurement(
            quantity="gap",
            value=result.value,
            data_error=result.standard_error,
            replicates=np.empty(0) if result.replicates is None else result.replicates,
            samples=(result.seed, result.metric, result.samples, result.train_samples),
            result=result,
        )
    return None


def label(result: Result) -> str:
    """Return what the quantity of a result is called."""
    names = {"gauss-newton": "Gauss-Newton ", "finite-difference": "finite-difference "}
    matrix = names.get(result.settings.get("operator", ""), "")
    if isinstance(result, GapResult):
        return f"gap τ of {result.metric}"
    if isinstance(result, SharpnessResult):
        return result.method
    if isinstance(result, TraceResult):
        return f"{matrix}trace"
    return matrix + ("largest |λ|" if quantity_of(result) == _EITHER_END else "λ_max")


def unit(result: Result) -> str:
    """Return the unit of a result's number."""
    if isinstance(result, GapResult) or result.method.startswith("Keskar"):
        return "%"
    return "loss" if isinstance(result, SharpnessResult) else "loss / parameter²"


def _trace(result: TraceResult) -> Measurement:
    random = bool(result.standard_error) and len(result.terms) > 1
    settings = result.settings
    draws = (
        "trace",
        result.modality,
        result.seed,
        settings.get("distribution"),
        settings.get("way"),
        *_model(result),
    )
    return Measurement(
        quantity="trace",
        value=result.value,
        probe_error=result.standard_error,
        probes=result.probes if random else 0,
        terms=np.array(result.terms if random else (), dtype=float),
        draws=draws if result.method in _PAIRED else None,
        data_error=result.data_error,
        parts=np.array(result.batch_parts, dtype=float).reshape(-1, 2),
        shares=np.array(result.batch_shares),
        result=result,
    )


def _largest(result: EigenResult) -> Measurement:
    value, parts, error, bound = result.largest, _nothing(), None, 0.0
    if value is None:
        value = result.largest_magnitude
    if value is not None:
        place = result.eigenvalues.index(value)
        bound = result.residuals[place] * abs(result.largest_magnitude or value)
        error = result.data_errors[place] if result.data_errors else None
        if result.batch_parts:
            parts = np.array(result.batch_parts, dtype=float)[:, [place, place]]
    return Measurement(
        quantity=quantity_of(result),
        value=value,
        data_error=error,
        parts=parts,
        shares=np.array(result.batch_shares),
        bound=bound,
        result=result,
    )


def _sharpness(result: SharpnessResult) -> Measurement:
    # In a file, what is not finite is None.
    values, settings = np.array(result.values, dtype=float), result.settings
    common: dict[str, Any] = {"quantity": "sharpness", "value": result.value, "result": result}
    if settings.get("case") == "worst":  # one value for each batch
        parts = np.repeat(values[:, None] / len(values), 2, axis=1) if len(values) else _nothing()
        shares = np.full(len(values), 1 / max(1, len(values)))
        return Measurement(data_error=result.standard_error, parts=parts, shares=shares, **common)
    if result.standard_error is None:  # the best of several searches
        return Measurement(probe_error=None, **common)
    draws = ("sharpness", result.modality, result.seed, settings.get("dimension"), *_model(result))
    return Measurement(
        probe_error=result.standard_error, probes=len(values), terms=values, draws=draws, **common
    )


def _model(result: Result) -> tuple[Any, ...]:
    return result.parameters, result.provenance.get("model_fingerprint")
