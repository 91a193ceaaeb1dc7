"""One measurement of every encoder, begun with what the last one knows."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from sharpscope.contribution.alignment import Alignment, alignments
from sharpscope.errors import MisuseError, SubjectError
from sharpscope.estimators import Coupling
from sharpscope.estimators.statistics import INTERVAL_PROBES
from sharpscope.estimators.tracking import Tracked, Tracking
from sharpscope.monitor.trial import seconds_of_alignment, seconds_of_products
from sharpscope.operators import HessianOperator
from sharpscope.results import CouplingResult, Outcome
from sharpscope.streams import stream
from sharpscope.subject import Subject

MEASURES = ("trace", "lambda_max", "alignment", "coupling")
_LEFT_OUT = "alignment of {} was left out: it takes longer than what was left of the time"


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What one measurement found.

    Attributes:
        loss: The fusion loss on the measuring batches.
        encoders: Numbers of each encoder by name.
        coupling: Share and error of each pair.
        products: Hessian-vector products, those of pairs with all encoders together.
        seconds: What it took.
        cut_short: Whether its time ended before the errors that were asked for were reached, or
            before γ of every encoder was taken.
        lacking: Seconds that what was left out is expected to take.
        notes: Sentences a reader must know.
    """

    loss: float
    encoders: Mapping[str, Mapping[str, Any]]
    coupling: Mapping[str, Mapping[str, Any]]
    products: int
    seconds: float
    cut_short: bool = False
    lacking: float = 0.0
    notes: tuple[str, ...] = ()


class Measuring:
    """Measures a subject again and again while its model trains.

    Args:
        subject: On batches that stay the same.
        measure: Any of ``trace``, ``lambda_max``, ``alignment`` and ``coupling``.
        tracking: How trace and λ_max are estimated.
        coupling: How pairs are.
        warm: Whether a measurement begins with the leading Ritz vectors of the last one.
        epoch_steps: About how many steps an epoch has, where no loop tells.

    Attributes:
        absent: Why something that was asked for cannot be measured, by its name.
        parts: Operators that are measured.
    """

    def __init__(
        self,
        subject: Subject,
        measure: tuple[str, ...],
        tracking: Tracking,
        coupling: Coupling,
        *,
        warm: bool = True,
        epoch_steps: int = 1,
    ):
        self.subject, self.tracking, self.coupling, self.warm = subject, tracking, coupling, warm
        self.modalities = tuple(
            name for name in subject.owners.modalities if subject.owners.of(name)
        )
        self.absent: dict[str, str] = {}
        self.measure = tuple(name for name in measure if self._possible(name))
        self.epoch_steps = epoch_steps
        self.parts = len(self.modalities) + ("coupling" in self.measure)
        self._vectors: dict[str, Tensor] = {}
        self._aligning: dict[str, float] = {}  # seconds that γ of an encoder takes

    def __call__(self, max_seconds: float | None = None) -> Measurement:
        """Return a measurement of the model as it is.

        γ is exact and cannot be cut short: it is taken first, and left out with a note where it
        would take more than what is left of the time; the rest shares what remains.

        Args:
            max_seconds: Seconds that it may take, shared among what is still to be measured.

        Raises:
            SharpscopeError: If the model cannot be measured.
        """
        began = time.perf_counter()
        found: dict[str, dict[str, Any]] = {name: {} for name in self.modalities}
        notes: dict[str, None] = {}
        loss, products = math.nan, 0
        pairs: CouplingResult | None = None
        aligned, lacking = self._aligned(max_seconds, began)
        notes |= dict.fromkeys(_LEFT_OUT.format(name) for name in lacking)
        cut = bool(lacking)
        if {"trace", "lambda_max"} & set(self.measure):
            for place, name in enumerate(self.modalities):
                tracked = self._tracked(name, _share(max_seconds, began, self.parts - place))
                loss = tracked.report.loss_value
                products += tracked.products
                reached = tracked.products >= self.tracking.budget or self._reached(tracked)
                cut |= max_seconds is not None and not reached
                notes |= dict.fromkeys(tracked.report.notes)
                found[name] |= self._numbers(tracked)
        if "trace" in self.measure:
            _add_shares(found)
        for name, entry in aligned.items():
            found[name] |= entry
        if "coupling" in self.measure:
            pairs = self._coupled(_share(max_seconds, began, 1))
            late = pairs.matvecs <= self.coupling.budget - len(self.modalities)
            cut |= max_seconds is not None and late and pairs.outcome is Outcome.BUDGET_SPENT
            products += int(pairs.matvecs)
            loss = pairs.loss_value
        if math.isnan(loss):
            with self.subject.still():
                loss = self.subject.census().loss_value
        return Measurement(
            loss=loss,
            encoders=found,
            coupling=_pairs(pairs),
            products=products,
            cut_short=cut,
            lacking=sum(lacking.values()),
            seconds=time.perf_counter() - began,
            notes=tuple(notes),
        )

    def expected(self, products: int) -> float:
        """Return about how many seconds a measurement takes, by a trial on the first batch.

        Args:
            products: Products that each encoder is expected to need.
        """
        total = 0.0
        if {"trace", "lambda_max"} & set(self.measure):
            wanted = min(products, self.tracking.budget)
            total += sum(seconds_of_products(self.subject, n, wanted) for n in self.modalities)
        if "alignment" in self.measure:
            self._aligning = {n: seconds_of_alignment(self.subject, n) for n in self.modalities}
            total += sum(self._aligning.values())
        if "coupling" in self.measure:
            wanted = min(INTERVAL_PROBES * len(self.modalities), self.coupling.budget)
            total += seconds_of_products(self.subject, "+".join(self.modalities), wanted)
        return total

    def _possible(self, name: str) -> bool:
        if name == "coupling" and len(self.modalities) < 2:
            self.absent[name] = "it is between encoders, and there is one"
        elif name == "alignment":
            lacking = [m for m in self.modalities if m not in self.subject.losses]
            if lacking:
                self.absent[name] = (
                    f"there is no unimodal loss of {', '.join(lacking)}: pass unimodal={{...}} to "
                    "Subject"
                )
        return name not in self.absent

    def _aligned(
        self, max_seconds: float | None, began: float
    ) -> tuple[dict[str, dict[str, Any]], dict[str, float]]:
        """Return γ of each encoder, and the seconds that those take for which there is no time."""
        found: dict[str, dict[str, Any]] = {}
        lacking: dict[str, float] = {}
        for name in self.modalities if "alignment" in self.measure else ():
            known, start = self._aligning.get(name, 0.0), time.perf_counter()
            if max_seconds is not None and start - began + known > max_seconds:
                found[name], lacking[name] = _aligned(_LEFT_OUT.format(name)), known
                continue
            with self.subject.still():
                found[name] = _aligned(alignments(self.subject, [name])[name])
            self._aligning[name] = time.perf_counter() - start
        return found, lacking

    def _tracked(self, name: str, max_seconds: float | None) -> Tracked:
        # Probes of its own: shares of encoders are then shares of independent numbers.
        own = stream(self.tracking.seed, "monitor", name).initial_seed() % 2**31
        tracking = replace(self.tracking, max_seconds=max_seconds, seed=own)
        known = self._vectors.pop(name, None) if self.warm else None
        found = tracking(
            HessianOperator(self.subject, name),
            known,
            trace="trace" in self.measure,
            largest="lambda_max" in self.measure,
        )
        if len(found.vectors):
            self._vectors[name] = found.vectors
        return found

    def _reached(self, tracked: Tracked) -> bool:
        """Whether what was asked for was reached, and not ended by the time."""
        done = tracked.trace is None or tracked.trace.outcome is not Outcome.BUDGET_SPENT
        return done and ("lambda_max" not in self.measure or tracked.converged)

    def _numbers(self, tracked: Tracked) -> dict[str, Any]:
        trace = tracked.trace
        found: dict[str, Any] = {
            "products": tracked.products,
            "reused": tracked.reused,
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
                **trace.normalized,
            }
        if "lambda_max" in self.measure:
            found |= {"lambda_max": tracked.largest, "residual": tracked.residual}
            found["bound"] = tracked.bound
        return found

    def _coupled(self, max_seconds: float | None) -> CouplingResult:
        whole = "+".join(self.modalities)
        operator = HessianOperator(self.subject, whole)
        blocks = {name: self.subject.rows(name, whole) for name in self.modalities}
        estimator = self.coupling
        if max_seconds is not None:
            estimator = replace(estimator, max_seconds=max_seconds)
        return estimator(operator, blocks)


def _share(max_seconds: float | None, began: float, parts: int) -> float | None:
    """Return the seconds that the next of some parts may take; a little in any case."""
    if max_seconds is None:
        return None
    return max(1e-3, (max_seconds - (time.perf_counter() - began)) / max(1, parts))


def _add_shares(found: dict[str, dict[str, Any]]) -> None:
    """Add each encoder's share of the sum of all traces, with its error.

    The error of ``s = t / T`` is ``√((1 − s)² e² + s² Σ_others e²) / T``, as traces of different
    encoders have probes of their own.
    """
    traces = {name: entry["trace"] for name, entry in found.items()}
    errors = {name: entry["standard_error"] or 0.0 for name, entry in found.items()}
    if not all(value is not None and value > 0 for value in traces.values()):
        return  # parts of a sum whose terms cancel are no shares
    total = sum(traces.values())
    for name, entry in found.items():
        share = traces[name] / total
        others = sum(errors[other] ** 2 for other in found if other != name)
        entry["share"] = share
        entry["share_error"] = math.sqrt(
            (1 - share) ** 2 * errors[name] ** 2 + share**2 * others
        ) / abs(total)


def _aligned(found: Alignment | str) -> dict[str, Any]:
    if isinstance(found, str):
        return {"alignment": None, "alignment_note": found}
    return {
        "alignment": found.value,
        "alignment_error": found.standard_error,
        "gradient_norm": found.fusion_norm,
        "unimodal_gradient_norm": found.unimodal_norm,
    }


def _pairs(found: CouplingResult | None) -> dict[str, dict[str, Any]]:
    if found is None:
        return {}
    return {
        pair: {"share": share, "error": found.share_error[pair], "outcome": str(found.outcome)}
        for pair, share in found.shares.items()
    }


def reason_of(error: Exception) -> str:
    """Return why a measurement failed, in one line."""
    if isinstance(error, torch.OutOfMemoryError):
        return f"out of memory: {' '.join(str(error).split())}"
    words = " ".join(str(error).split()) or "no message"
    return (
        words
        if isinstance(error, SubjectError | MisuseError)
        else f"{type(error).__name__}: {words}"
    )
