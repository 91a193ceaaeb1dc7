"""What a measurement says of each encoder and of each pair."""

import math
from typing import Any

from sharpscope.contribution.alignment import Alignment
from sharpscope.estimators.tracking import Tracked
from sharpscope.results import CouplingResult


def numbers(tracked: Tracked, *, largest: bool) -> dict[str, Any]:
    """Return what is said of an encoder's Hessian, with λ_max where it was asked for."""
    trace = tracked.trace
    found: dict[str, Any] = {
        "products": tracked.products,
        "stale": tracked.stale,
        "gradient_norm": tracked.report.gradient_norm,
    }
    if trace is not None:
        found |= {
            "outcome": str(trace.outcome),
            "trace": trace.value,
            "standard_error": trace.standard_error,
            "interval": trace.interval,
            "data_error": trace.data_error,
            "probes": trace.probes,
            "deflated": trace.deflated,
            "matched": tracked.matched,
            "correlation": tracked.correlation,
            **trace.normalized,
        }
    if largest:
        found |= {"lambda_max": tracked.largest, "residual": tracked.residual}
        found["bound"] = tracked.bound
    return found


def trained_numbers(tracked: Tracked) -> dict[str, Any]:
    """Return what is said of λ_max of the loss that is trained, where it is another."""
    return {
        "trained_lambda_max": tracked.largest,
        "trained_residual": tracked.residual,
        "trained_bound": tracked.bound,
        "trained_products": tracked.products,
    }


def add_shares(found: dict[str, dict[str, Any]]) -> None:
    """Add each encoder's share of the sum of all traces, with its error.

    The error of ``s = t / T`` is ``√((1 − s)² e² + s² Σ_others e²) / T``, as traces of different
    encoders have probes of their own.
    """
    traces = {name: entry["trace"] for name, entry in found.items()}
    errors = {name: entry["standard_error"] or 0.0 for name, entry in found.items()}
    if any(value is None or value < 0 for value in traces.values()):
        return  # parts of a sum whose terms cancel are no shares
    total = sum(traces.values())
    if not total > 0:
        return
    for name, entry in found.items():
        share = traces[name] / total
        others = sum(errors[other] ** 2 for other in found if other != name)
        entry["share"] = share
        entry["share_error"] = (
            math.sqrt((1 - share) ** 2 * errors[name] ** 2 + share**2 * others) / total
        )


def aligned(found: Alignment | str) -> dict[str, Any]:
    """Return what is said of γ, or why there is none."""
    if isinstance(found, str):
        return {"alignment": None, "alignment_note": found}
    return {
        "alignment": found.value,
        "alignment_error": found.standard_error,
        "gradient_norm": found.fusion_norm,
        "unimodal_gradient_norm": found.unimodal_norm,
    }


def pairs(found: CouplingResult | None) -> dict[str, dict[str, Any]]:
    """Return what is said of each pair of encoders."""
    if found is None:
        return {}
    return {
        pair: {"share": share, "error": found.share_error[pair], "outcome": str(found.outcome)}
        for pair, share in found.shares.items()
    }
