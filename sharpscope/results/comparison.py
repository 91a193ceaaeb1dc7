"""Several checkpoints, or several methods over seeds, side by side."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Self

from sharpscope.checks import one_of
from sharpscope.errors import MisuseError
from sharpscope.results.base import Record, plain
from sharpscope.results.record import significant, within
from sharpscope.results.trace import with_error

Interval = tuple[float, float]


class Verdict(StrEnum):
    """Whether a difference can be told from noise."""

    DIFFERENT = "different"
    WITHIN_NOISE = "within noise"
    UNDECIDED = "undecided"
    NOT_FINITE = "not finite"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A number of one checkpoint, or the mean of a group's runs.

    Attributes:
        quantity: ``trace``, ``lambda_max``, ``largest_magnitude``, ``sharpness`` or ``gap``.
        modality: Whose.
        name: The checkpoint or the group.
        value: The number; None where it is not finite.
        probe_error: Standard error over random draws; None where nothing tells.
        data_error: Standard error over the data; None where nothing tells.
        seed_error: Standard error over the runs of a group; None of a single run.
        bound: How far from the value the truth may lie for want of convergence.
        runs: Runs behind it.
        train_loss: Their mean train loss; None where it is not known.
        train_loss_error: Its standard error over runs.
    """

    quantity: str
    modality: str
    name: str
    value: float | None
    probe_error: float | None
    data_error: float | None
    seed_error: float | None = None
    bound: float = 0.0
    runs: int = 1
    train_loss: float | None = None
    train_loss_error: float | None = None

    @property
    def error(self) -> float | None:
        """What stands behind ±: of a group over its runs, else over random draws."""
        return self.probe_error if self.seed_error is None else self.seed_error


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How far a number is from that of the reference.

    Attributes:
        quantity: As in ``Entry``.
        modality: Whose.
        name: The checkpoint or the group.
        reference: What it is compared with.
        difference: Its value less the reference's.
        probe_error: Standard error of the difference over random draws.
        data_error: Over the data; a lower bound where one of the two has none.
        seed_error: Over the runs, of groups with at least two each.
        bound: How far both solvers together may be from the truth.
        error: What stands behind ±: the seed error, else probe and data error together; None where
            neither is known, or one run stands against several.
        interval: 95 % by Student's t, ``bound`` added on both sides; None where nothing tells.
        measured: The same of the probe and data errors alone, where ``interval`` is over runs.
        ratio: Value over the reference's, where both are above 0; None of what may have any sign.
        ratio_interval: 95 % of it by Fieller's rule; None where that is unbounded.
        paired: What both share, noise that cancels: any of ``probes``, ``batches`` (or draws of
            items) and ``seeds``.
        runs: Pairs of runs, or runs of the smaller group.
        verdict: Whether it can be told from noise.
    """

    quantity: str
    modality: str
    name: str
    reference: str
    difference: float | None
    probe_error: float | None
    data_error: float | None
    seed_error: float | None = None
    bound: float = 0.0
    error: float | None
    interval: Interval | None
    measured: Interval | None = None
    ratio: float | None
    ratio_interval: Interval | None
    paired: tuple[str, ...]
    runs: int = 1
    verdict: Verdict


@dataclass(frozen=True, kw_only=True)
class Match:
    """Which kept checkpoints of a run stand for it at the common train loss.

    Attributes:
        name: The checkpoint or the group.
        run: The run.
        epochs: One epoch, or two that it is interpolated between.
        losses: Their train losses.
        weights: What share each has.
    """

    name: str
    run: str
    epochs: tuple[int, ...]
    losses: tuple[float, ...]
    weights: tuple[float, ...]


@dataclass(frozen=True, kw_only=True, repr=False)
class Comparison(Record):
    """Numbers of several checkpoints or groups, and their differences from the first.

    Attributes:
        reference: The one that the others are compared with.
        names: All of them, the reference first.
        grouped: Whether they are groups of runs.
        loss: Name of the loss whose sharpness it is.
        split: Split of the data; None where nothing tells.
        samples: Items.
        labels: What each quantity is called.
        units: In what it is measured.
        entries: The numbers.
        differences: Their differences from the reference.
        train_loss: The train loss at which they are compared, where they were matched.
        matches: Which checkpoints stand for each run then.
        settings: What all results share.
        provenance: The data, and where each result is from.
        notes: Sentences a reader must know.
        seconds: Of all the measurements.
    """

    schema: ClassVar[str] = "sharpscope/compare"
    derived: ClassVar[tuple[str, ...]] = (*Record.derived, "sentences")

    reference: str
    names: tuple[str, ...]
    grouped: bool
    loss: str
    split: str | None
    samples: int
    labels: Mapping[str, str]
    units: Mapping[str, str]
    entries: tuple[Entry, ...]
    differences: tuple[Difference, ...]
    train_loss: float | None = None
    matches: tuple[Match, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    provenance: Mapping[str, Any] = field(default_factory=dict[str, Any])
    notes: tuple[str, ...] = ()
    seconds: float

    @property
    def quantities(self) -> tuple[str, ...]:
        """The quantities, in their order."""
        return tuple(dict.fromkeys(entry.quantity for entry in self.entries))

    def modalities(self, quantity: str) -> tuple[str, ...]:
        """Return the modalities that a quantity is of."""
        found = (entry.modality for entry in self.entries if entry.quantity == quantity)
        return tuple(dict.fromkeys(found))

    def entry(self, quantity: str, modality: str, name: str) -> Entry | None:
        """Return a number, or None where this checkpoint or group has none."""
        return _found(self.entries, quantity, modality, name)

    def difference(self, quantity: str, modality: str, name: str) -> Difference | None:
        """Return a difference; None of the reference, and where one of the two has no number."""
        return _found(self.differences, quantity, modality, name)

    @property
    def sentences(self) -> tuple[str, ...]:
        """Each difference in words."""
        return tuple(self._sentence(difference) for difference in self.differences)

    def to_dict(self, *, arrays: bool = True) -> dict[str, Any]:
        """Return plain JSON types, with the differences in words among them.

        Args:
            arrays: As for any record.
        """
        parts = {
            name: [plain(dataclasses.asdict(part)) for part in getattr(self, name)]
            for name in _PARTS
        }
        words = {"sentences": list(self.sentences)}
        return super().to_dict(arrays=arrays) | parts | words

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Rebuild the record from what ``to_dict`` holds; unknown keys are refused."""
        found = super().from_dict(content)
        parts = {
            name: tuple(_part(cls.schema, kind, part) for part in getattr(found, name))
            for name, kind in _PARTS.items()
        }
        return dataclasses.replace(found, **parts)

    def __repr__(self) -> str:
        told = [one for one in self.differences if one.verdict is Verdict.DIFFERENT]
        return (
            f"Comparison({', '.join(self.names[1:])} with {self.reference}: {len(told)} of "
            f"{len(self.differences)} differences beyond noise, {self.seconds:.1f} s)"
        )

    def __str__(self) -> str:
        return "\n".join([repr(self), *(f"  {told}" for told in self.sentences)])

    def _sentence(self, found: Difference) -> str:
        label = self.labels.get(found.quantity, found.quantity)
        several = f"mean {label}" if self.grouped and found.runs > 1 else label
        whose = f"{found.modality}: {several} of {found.name}"
        if found.difference is None:
            return f"{whose} or of {found.reference} is not finite"
        apart = f"difference {signed(found.difference, found.error)}"
        ratio = ratio_text(found)
        if ratio is None:
            told = f"{whose} less {found.reference}'s: {apart}"
        else:
            told = f"{whose} is {ratio} of {found.reference}'s, {apart}"
        if found.seed_error is not None:
            told += f" over {found.runs} " + ("seeds" if "seeds" in found.paired else "runs each")
        elif self.grouped:
            told += " of one run, no seed error"
        if found.verdict is Verdict.WITHIN_NOISE:
            return f"{told}: within noise"
        if found.verdict is Verdict.DIFFERENT:
            return told
        if found.interval is None:
            return f"{told}: no interval, undecided"
        return f"{told}: the data error of one is not known, undecided"


_PARTS: dict[str, Any] = {"entries": Entry, "differences": Difference, "matches": Match}


def signed(value: float, error: float | None) -> str:
    """Return ``+14.5 ± 2.1``, with a sign also where the value is above 0."""
    text = with_error(value, error) if error is not None else significant(value)
    if value <= 0 or not math.isfinite(value):
        return text
    return f"(+{text[1:]}" if text.startswith("(") else f"+{text}"


def ratio_text(found: Difference) -> str | None:
    """Return a ratio to the places of its interval; None where it is unbounded, or none is told."""
    if found.ratio is None:
        return None
    if found.ratio_interval is None:
        return significant(found.ratio, 2) if found.error is None else None
    low, high = found.ratio_interval
    return within(found.ratio, (high - low) / 4, 4) if high > low else significant(found.ratio)


def _found(parts: Any, quantity: str, modality: str, name: str) -> Any:
    key = (quantity, modality, name)
    return next((p for p in parts if (p.quantity, p.modality, p.name) == key), None)


def _part(schema: str, kind: Any, content: Any) -> Any:
    """Return an entry, a difference or a match from what a file holds."""
    if isinstance(content, kind):
        return content
    known = {entry.name for entry in dataclasses.fields(kind)}
    wrong = sorted(set(content) - known) if isinstance(content, Mapping) else [str(content)]
    if wrong:
        raise MisuseError(
            f"a {kind.__name__} of a {schema} result has no field {wrong[0]!r}: update sharpscope"
        )
    try:
        found = kind(**content)
    except TypeError as error:
        raise MisuseError(f"a {schema} result cannot be read: {error}") from error
    if kind is Difference:
        verdict = Verdict(one_of("verdict", found.verdict, list(Verdict)))
        return dataclasses.replace(found, verdict=verdict)
    return found
