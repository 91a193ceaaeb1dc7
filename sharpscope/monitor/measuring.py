"""One measurement of every encoder, begun with what the last one knows."""

import math
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from sharpscope.contribution.alignment import alignments
from sharpscope.errors import MisuseError, SubjectError
from sharpscope.estimators import Coupling
from sharpscope.estimators.statistics import INTERVAL_PROBES
from sharpscope.estimators.tracking import Known, Tracked, Tracking
from sharpscope.monitor.entries import add_shares, aligned, numbers, pairs, trained_numbers
from sharpscope.monitor.trial import (
    EIGEN_PRODUCTS,
    TRACE_PRODUCTS,
    seconds_of_alignment,
    seconds_of_products,
)
from sharpscope.operators import HessianOperator
from sharpscope.results import CouplingResult, Outcome
from sharpscope.streams import stream
from sharpscope.subject import Subject

MEASURES = ("trace", "lambda_max", "alignment", "coupling")
_LEFT_OUT = "alignment of {} was left out: it takes longer than what was left of the time"
_UNKNOWN = (
    "λ_max is of the fusion loss, and the threshold of stability of the loss that is trained: say "
    "trained='total' or 'fusion' to the monitor to compare the two for sure"
)


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
        warm: Whether a measurement goes on from the last one: ``Tracking`` says how.
        epoch_steps: About how many steps an epoch has, where no loop tells.
        trained: The loss that is trained; by default the fusion loss where there is no other, and
            else unknown.

    Attributes:
        trained: Likewise; None where it is unknown.
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
        trained: str | None = None,
    ):
        self.subject, self.tracking, self.coupling, self.warm = subject, tracking, coupling, warm
        self.modalities = tuple(
            name for name in subject.owners.modalities if subject.owners.of(name)
        )
        self.absent: dict[str, str] = {}
        self.measure = tuple(name for name in measure if self._possible(name))
        self.epoch_steps = epoch_steps
        if trained is not None:
            subject.loss(trained)  # one that it does not have is refused here
        self.trained = "fusion" if trained is None and len(subject.losses) == 1 else trained
        self.parts = len(self.modalities) + ("coupling" in self.measure)
        self._known: dict[tuple[str, str], Known] = {}
        self._aligning: dict[str, float] = {}  # seconds that γ of an encoder takes

    def __call__(
        self, max_seconds: float | None = None, bounded: Collection[str] = ()
    ) -> Measurement:
        """Return a measurement of the model as it is.

        γ is exact and cannot be cut short: it is taken first, and left out with a note where it
        would take more than what is left of the time; the rest shares what remains.

        Args:
            max_seconds: Seconds that it may take, shared among what is still to be measured.
            bounded: Encoders whose λ_max has a threshold: that of the loss that is trained is
                measured of them too, where it is another one than the fusion loss.

        Raises:
            SharpscopeError: If the model cannot be measured.
        """
        began = time.perf_counter()
        found: dict[str, dict[str, Any]] = {name: {} for name in self.modalities}
        notes: dict[str, None] = {}
        loss, products = math.nan, 0
        coupled: CouplingResult | None = None
        gammas, lacking = self._aligned(max_seconds, began)
        notes |= dict.fromkeys(_LEFT_OUT.format(name) for name in lacking)
        cut = bool(lacking)
        stepped = self._stepped(bounded)
        if self.trained is None and bounded and "lambda_max" in self.measure:
            notes[_UNKNOWN] = None
        # An eigenvalue alone needs the fewest products: what it leaves of its share is for traces.
        operators = [(name, str(self.trained)) for name in stepped]
        operators += [(name, "fusion") for name in self.modalities if self._tracks]
        left = self.parts + len(stepped)
        for place, (name, of) in enumerate(operators):
            tracked = self._tracked(name, of, _share(max_seconds, began, left - place))
            products += tracked.products
            reached = tracked.products >= self.tracking.budget or self._reached(tracked)
            cut |= max_seconds is not None and not reached
            notes |= dict.fromkeys(tracked.report.notes)
            if of == "fusion":
                loss = tracked.report.loss_value
                found[name] |= numbers(tracked, largest="lambda_max" in self.measure)
            else:
                found[name] |= trained_numbers(tracked)
        if "trace" in self.measure:
            add_shares(found)
        for name, entry in gammas.items():
            found[name] |= entry
        if "coupling" in self.measure:
            coupled = self._coupled(_share(max_seconds, began, 1))
            late = coupled.matvecs <= self.coupling.budget - len(self.modalities)
            cut |= max_seconds is not None and late and coupled.outcome is Outcome.BUDGET_SPENT
            products += int(coupled.matvecs)
            loss = coupled.loss_value
        if math.isnan(loss):
            with self.subject.still():
                loss = self.subject.census().loss_value
        return Measurement(
            loss=loss,
            encoders=found,
            coupling=pairs(coupled),
            products=products,
            cut_short=cut,
            lacking=sum(lacking.values()),
            seconds=time.perf_counter() - began,
            notes=tuple(notes),
        )

    def expected(self, bounded: Collection[str] = ()) -> float:
        """Return about how many seconds a measurement takes, by a trial on the first batch.

        Args:
            bounded: As for a measurement.
        """
        total, alone = 0.0, min(EIGEN_PRODUCTS, self.tracking.budget)
        if self._tracks:
            traced = min(TRACE_PRODUCTS, self.tracking.budget)
            wanted = traced if "trace" in self.measure else alone
            total += sum(seconds_of_products(self.subject, n, wanted) for n in self.modalities)
        for name in self._stepped(bounded):
            total += seconds_of_products(self.subject, name, alone, loss=str(self.trained))
        if "alignment" in self.measure:
            self._aligning = {n: seconds_of_alignment(self.subject, n) for n in self.modalities}
            total += sum(self._aligning.values())
        if "coupling" in self.measure:
            wanted = min(INTERVAL_PROBES * len(self.modalities), self.coupling.budget)
            total += seconds_of_products(self.subject, "+".join(self.modalities), wanted)
        return total

    @property
    def _tracks(self) -> bool:
        return bool({"trace", "lambda_max"} & set(self.measure))

    def _stepped(self, bounded: Collection[str]) -> list[str]:
        """Return the encoders of which λ_max of another loss than fusion is measured."""
        other = self.trained not in (None, "fusion") and "lambda_max" in self.measure
        return [name for name in self.modalities if name in bounded] if other else []

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
                found[name], lacking[name] = aligned(_LEFT_OUT.format(name)), known
                continue
            with self.subject.still():
                found[name] = aligned(alignments(self.subject, [name])[name])
            self._aligning[name] = time.perf_counter() - start
        return found, lacking

    def _tracked(self, name: str, loss: str, max_seconds: float | None) -> Tracked:
        # Probes of its own: shares of encoders are then shares of independent numbers.
        own = stream(self.tracking.seed, "monitor", name).initial_seed() % 2**31
        tracking = replace(self.tracking, max_seconds=max_seconds, seed=own)
        known = self._known.pop((name, loss), None) if self.warm else None
        found = tracking(
            HessianOperator(self.subject, name, loss=loss),
            known,
            trace="trace" in self.measure and loss == "fusion",
            largest="lambda_max" in self.measure,
        )
        if found.known is not None:
            self._known[name, loss] = found.known
        return found

    def _reached(self, tracked: Tracked) -> bool:
        """Whether what was asked for was reached, and not ended by the time."""
        done = tracked.trace is None or tracked.trace.outcome is not Outcome.BUDGET_SPENT
        return done and ("lambda_max" not in self.measure or tracked.converged)

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
