"""What a monitor raises the alarm for, with a distance between ringing and silence."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sharpscope.checks import positive
from sharpscope.errors import MisuseError
from sharpscope.results.record import significant

# Standard errors that a number must be beyond a limit, to ring and to fall silent again; of a peak
# or a least value, which many noisy ones compete for, more.
_SURE, _EXTREME = 2.0, 3.0
_UNSURE = ", which is of the loss that is trained, perhaps another one"
Encoders = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened to an encoder.

    Attributes:
        signal: Which signal rang.
        modality: The encoder.
        step: Steps of the optimizer before it.
        epoch: Epochs, where they are known.
        value: The number that crossed the limit.
        limit: The limit.
        text: What happened, in words.
    """

    signal: str
    modality: str
    step: int
    epoch: float | None
    value: float
    limit: float
    text: str


class Signal(ABC):
    """Looks at each measurement and tells what has happened since the last one."""

    name: str

    @abstractmethod
    def look(self, encoders: Encoders, step: int, epoch: float | None) -> list[Event]:
        """Return what this measurement shows for the first time."""


class Imbalance(Signal):
    """The sharpest encoder is more than ``factor`` times as sharp as the flattest.

    It rings where ``ln(a / b)`` is two standard errors above ``ln factor``, and once more after it
    was two below.

    Args:
        factor: Above 1.
        of: What is compared: ``per_parameter``, ``trace`` or ``lambda_max``.
    """

    name = "imbalance"

    def __init__(self, factor: float = 10.0, of: str = "per_parameter"):
        if not factor > 1:
            raise MisuseError(f"factor must be above 1; got {factor!r}")
        self.factor, self.of = factor, of
        self._ringing = False

    def look(self, encoders: Encoders, step: int, epoch: float | None) -> list[Event]:
        """Return an event where the ratio has crossed the factor."""
        known = {n: e for n, e in encoders.items() if (e.get(self.of) or 0.0) > 0}
        if len(known) < 2:
            return []
        ordered = sorted(known, key=lambda name: known[name][self.of])
        low, high = ordered[0], ordered[-1]
        ratio = known[high][self.of] / known[low][self.of]
        spread = math.hypot(*(_relative(known[name], self.of) for name in (low, high)))
        distance = math.log(ratio / self.factor)
        if self._ringing:
            self._ringing = distance + _SURE * spread > 0
            return []
        if distance - _SURE * spread <= 0:
            return []
        self._ringing = True
        what = {"per_parameter": "trace per parameter", "lambda_max": "λ_max"}.get(self.of, "trace")
        return [
            Event(
                signal=self.name,
                modality=high,
                step=step,
                epoch=epoch,
                value=ratio,
                limit=self.factor,
                text=f"{high} is {significant(ratio, 3)} times as sharp as {low} ({what}), more "
                f"than {self.factor:g} times",
            )
        ]


class Sharpening(Signal):
    """An encoder's trace rises again after it had fallen from its peak.

    Args:
        rise: By what share of its least value it must rise, beyond three standard errors.
        fall: By what share of its peak it must have fallen before, likewise.
    """

    name = "sharpening"

    def __init__(self, rise: float = 0.25, fall: float = 0.25):
        self.rise, self.fall = positive("rise", rise), positive("fall", fall)
        self._peak: dict[str, tuple[float, float]] = {}
        self._least: dict[str, tuple[float, float]] = {}

    def look(self, encoders: Encoders, step: int, epoch: float | None) -> list[Event]:
        """Return an event for each encoder that has risen from its least value."""
        found: list[Event] = []
        for name, entry in encoders.items():
            value, error = entry.get("trace"), entry.get("standard_error")
            if value is None or error is None:
                continue
            if name in self._least:
                found += self._risen(name, (value, error), step, epoch)
            else:
                self._fallen(name, (value, error))
        return found

    def _fallen(self, name: str, now: tuple[float, float]) -> None:
        peak = self._peak.get(name)
        if peak is None or now[0] > peak[0]:
            self._peak[name] = now
            return
        if peak[0] - now[0] - _EXTREME * math.hypot(peak[1], now[1]) > self.fall * abs(peak[0]):
            self._least[name] = now

    def _risen(
        self, name: str, now: tuple[float, float], step: int, epoch: float | None
    ) -> list[Event]:
        least = self._least[name]
        if now[0] < least[0]:
            self._least[name] = now
            return []
        if now[0] - least[0] - _EXTREME * math.hypot(now[1], least[1]) <= self.rise * abs(least[0]):
            return []
        del self._least[name]
        self._peak[name] = now
        return [
            Event(
                signal=self.name,
                modality=name,
                step=step,
                epoch=epoch,
                value=now[0],
                limit=least[0] + self.rise * abs(least[0]),
                text=f"{name} sharpens after it had flattened: its trace rose from "
                f"{significant(least[0], 3)} to {significant(now[0], 3)}",
            )
        ]


class Stability(Signal):
    """λ_max of an encoder is above the threshold of the optimizer's stability.

    λ_max of one encoder bounds that of the whole model from below, so that a crossing is one of
    the whole model as well, and no crossing says nothing of it. The threshold is of the loss that
    is trained, and so is λ_max where that is known; otherwise the text says so. It rings once more
    after λ_max was below nine tenths of the threshold.

    Source: Cohen, Kaur, Li, Kolter and Talwalkar, 2021, arXiv 2103.00065.
    """

    name = "stability"

    def __init__(self) -> None:
        self._ringing: set[str] = set()

    def look(self, encoders: Encoders, step: int, epoch: float | None) -> list[Event]:
        """Return an event for each encoder that has crossed its threshold."""
        found: list[Event] = []
        for name, entry in encoders.items():
            # What wrote no loss down knew of none but the fusion loss.
            loss, limit = entry.get("trained_loss", "fusion"), entry.get("threshold")
            which = "" if loss in (None, "fusion") else "trained_"
            value = entry.get(f"{which}lambda_max")
            if value is None or limit is None:
                continue
            bound = _bound(entry, which)
            if name in self._ringing:
                if value + bound < 0.9 * limit:
                    self._ringing.discard(name)
            elif value - bound > limit:
                self._ringing.add(name)
                found.append(
                    Event(
                        signal=self.name,
                        modality=name,
                        step=step,
                        epoch=epoch,
                        value=value,
                        limit=limit,
                        text=f"λ_max of {name} for the {loss or 'fusion'} loss, "
                        f"{significant(value, 3)}, is above the threshold of stability, "
                        f"{significant(limit, 3)}{'' if loss else _UNSURE}",
                    )
                )
        return found


def usual_signals() -> tuple[Signal, ...]:
    """Return new signals of every kind, with their usual limits."""
    return (Imbalance(), Sharpening(), Stability())


def _bound(entry: Mapping[str, Any], which: str = "") -> float:
    """Return how far from ``lambda_max`` an eigenvalue may lie."""
    bound = entry.get(f"{which}bound")
    if bound is not None:
        return bound
    return abs(entry[f"{which}lambda_max"]) * (entry.get(f"{which}residual") or 0.0)


def _relative(entry: Mapping[str, Any], of: str) -> float:
    """Return the relative standard error of a number of an encoder."""
    if of == "lambda_max":
        return _bound(entry) / abs(entry[of]) / _SURE
    trace, error = entry.get("trace"), entry.get("standard_error")
    return abs(error / trace) if trace and error is not None else 0.0
