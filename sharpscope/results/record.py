"""The part that every measurement has."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from sharpscope.results.base import Record
from sharpscope.results.outcome import Outcome


@dataclass(frozen=True, kw_only=True)
class Result(Record):
    """A measurement of one Selection, with everything that is needed to judge and repeat it.

    Attributes:
        modality: Name of the Selection: an encoder, ``shared``, ``all`` or a glob.
        parameters: Number of scalar parameters in the Selection.
        samples: Number of items that the loss was averaged over.
        loss: Name of the loss: ``fusion``, ``total`` or a modality.
        loss_value: The loss itself, mean over items.
        outcome: How the measurement ended.
        method: Estimator, in words.
        matvecs: Products with the operator over the full data.
        seconds: Wall-clock seconds, the check that the model stands still included.
        peak_bytes: Highest memory use seen by the end: resident set of the process on CPU,
            allocated on the device on CUDA. ``None`` where the system does not tell.
        seed: Seed of all random streams.
        settings: Settings of the estimator.
        provenance: Checkpoint and its sha256, library versions, device, dtype, data fingerprint.
        replayed: Modules that were run once for each batch and played back from then on.
        notes: Sentences a reader must know (frozen parameters, blocks that are zero, ...).
    """

    derived: ClassVar[tuple[str, ...]] = (*Record.derived, "advice")

    modality: str
    parameters: int
    samples: int
    loss: str
    loss_value: float
    outcome: Outcome
    method: str
    matvecs: float
    seconds: float
    peak_bytes: int | None = None
    seed: int
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    provenance: Mapping[str, Any] = field(default_factory=dict[str, Any])
    replayed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def advice(self) -> str:
        """What the outcome means and what to change."""
        return self.outcome.advice

    def to_dict(self, *, arrays: bool = True) -> dict[str, Any]:
        """Return plain JSON types with the advice among them.

        Args:
            arrays: As for any record.
        """
        return super().to_dict(arrays=arrays) | {"advice": self.advice}


def within(value: float | None, bound: float, digits: int = 6) -> str:
    """Return ``value`` to the first place that an error of ``bound`` reaches, or fewer digits.

    Example:
        >>> within(20.5437, 0.0183), within(-0.3318, 0.0183), within(0.0004, 0.0183)
        ('20.54', '-0.33', '0.00')
    """
    if value is None or not math.isfinite(value) or not math.isfinite(bound):
        return significant(value)
    place = math.floor(math.log10(bound)) if bound > 0 else -math.inf
    length = math.floor(math.log10(abs(value))) - place + 1 if value else digits
    if length > digits:
        return f"{value:#.{digits}g}".rstrip(".")
    if -digits <= place < digits:
        return f"{round(value, -int(place)) + 0.0:.{max(0, -int(place))}f}"
    return f"{value:#.{int(length)}g}".rstrip(".") if length >= 1 else "0"


def significant(value: float | None, digits: int = 4) -> str:
    """Return ``value`` with so many significant digits, or 'not finite'."""
    if value is None or not math.isfinite(value):
        return "not finite"
    return f"{value:.{digits}g}"
