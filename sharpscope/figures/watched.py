"""What monitors measured, as curves over training; where their events and failures stand."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sharpscope.errors import MisuseError
from sharpscope.figures.curves import Curve, Ends, Point, curve, within
from sharpscope.figures.naming import check_distinct, named
from sharpscope.figures.summary import is_number
from sharpscope.results import MonitorRecord

_NORMAL = 1.96  # standard errors of half a 95 % interval
_SHARED = 0.5  # of every seed's measurements that must be at the others' steps to make a mean


class Watched(NamedTuple):
    """A number that a monitor takes of each encoder."""

    label: str
    ends: Ends = (None, None)  # of its range, where it has one
    error: str | None = None  # its standard error, where the entry has one


WATCHED: Mapping[str, Watched] = {
    "trace": Watched("trace (loss / parameter²)", error="standard_error"),
    "per_parameter": Watched("trace / parameter"),
    "lambda_max": Watched("λ$_\\mathrm{max}$ (loss / parameter²)"),
    "trained_lambda_max": Watched("λ$_\\mathrm{max}$ of the trained loss (loss / parameter²)"),
    "share": Watched("share of the trace", (0.0, 1.0), "share_error"),
    "alignment": Watched("alignment γ (cosine)", (-1.0, 1.0), "alignment_error"),
    "gradient_norm": Watched("gradient norm (loss / parameter)"),
}


def check_watched(records: Sequence[MonitorRecord]) -> None:
    """Refuse runs without a measurement, and a mean over seeds of different numbers of samples.

    Raises:
        MisuseError: If there is one.
    """
    for record in records:
        if not measured([record]) and not pairs_of(record, epochs=False):
            raise MisuseError(f"{record.tag or 'the run'} has no measurement yet")
    groups = named(records)
    check_distinct(groups, lambda _: ("flatness over training",))
    for name, found in groups.items():
        samples = sorted({record.settings.get("samples") or 0 for record in found})
        if len(samples) > 1:
            told = " and ".join(f"{count:,}" for count in samples)
            raise MisuseError(
                f"a mean over seeds must be of the same data; {name} is of {told} samples"
            )


def modalities_of(records: Sequence[MonitorRecord]) -> list[str]:
    """Return every encoder that was watched, in the model's order."""
    return list(dict.fromkeys(name for record in records for name in record.modalities))


def measured(records: Sequence[MonitorRecord]) -> list[str]:
    """Return the quantities that one of the runs has."""
    return [quantity for quantity in WATCHED if any(_has(one, quantity) for one in records)]


def by_epoch(records: Sequence[MonitorRecord]) -> bool:
    """Whether every run knows the epoch of each of its measurements."""
    return all(record.epochs is not None for record in records)


def place_of(record: MonitorRecord, entry: Mapping[str, Any], *, epochs: bool) -> float:
    """Return where along x an event or a failure stands.

    One that tells no epoch stands where the measurements around it say.
    """
    step = float(entry["step"])
    if not epochs:
        return step
    if is_number(entry.get("epoch")):
        return float(entry["epoch"])
    known = dict(zip(record.steps, record.epochs or (), strict=True))
    before = max((at for at in known if at <= step), default=min(known))
    after = min((at for at in known if at > step), default=max(known))
    if after <= before:  # outside: at the rate of the whole run
        before, after = min(known), max(known)
    pace = (known[after] - known[before]) / (after - before) if after > before else 0.0
    return known[before] + pace * (step - before)


def course_of(
    record: MonitorRecord, modality: str, quantity: str, *, epochs: bool
) -> dict[float, Point]:
    """Return a number of an encoder by epoch or step, with its 95 % interval where it has one."""
    at = record.epochs if epochs else record.steps
    entries = (entry["encoders"].get(modality, {}) for entry in record.measurements)
    return {
        float(x): _point(entry, quantity)
        for x, entry in zip(at or (), entries, strict=True)
        if is_number(entry.get(quantity))
    }


def pairs_of(record: MonitorRecord, *, epochs: bool) -> dict[str, Curve]:
    """Return the coupling share of each pair of encoders that was measured."""
    names = dict.fromkeys(name for entry in record.measurements for name in entry["coupling"])
    at = record.epochs if epochs else record.steps
    found: dict[str, Curve] = {}
    for name in names:
        points = {
            float(x): _around(value, error)
            for x, value, error in zip(
                at or (), record.pair(name), record.pair(name, "error"), strict=True
            )
            if value is not None and is_number(value)
        }
        if points:
            found[name] = within(curve([points]), (0.0, None))
    return found


def lines_of(
    records: Sequence[MonitorRecord], modality: str, quantity: str, *, epochs: bool
) -> list[tuple[Curve, list[MonitorRecord]]]:
    """Return the lines of one name, each with the runs behind it: a mean, or one for each seed.

    Seeds whose monitors measured at other steps, as those that keep to a share of the time do,
    have no mean.
    """
    runs = [
        (points, record)
        for record in records
        if (points := course_of(record, modality, quantity, epochs=epochs))
    ]
    if not runs:
        return []
    shared = set(runs[0][0]).intersection(*(points for points, _ in runs))
    joint = all(len(shared) >= _SHARED * len(points) for points, _ in runs)
    groups = [runs] if joint else [[run] for run in runs]
    return [(_bounded(curve([p for p, _ in own]), quantity), [r for _, r in own]) for own in groups]


def bounded(record: MonitorRecord) -> str:
    """Return the number that the threshold of a run bounds: λ_max of the loss that is trained."""
    known = record.settings.get("trained") in (None, "fusion")
    return "lambda_max" if known else "trained_lambda_max"


def thresholds(
    record: MonitorRecord, modality: str, quantity: str, *, epochs: bool
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return x and the threshold of stability there.

    Empty where the optimizer has none, or where it does not bound this quantity of the run.
    """
    if quantity != bounded(record):
        return (), ()
    at = record.epochs if epochs else record.steps
    found = [
        (float(x), float(value))
        for x, value in zip(at or (), record.course(modality, "threshold"), strict=True)
        if value is not None and is_number(value)
    ]
    return tuple(x for x, _ in found), tuple(value for _, value in found)


def whole_shares(record: MonitorRecord) -> Iterator[list[float]]:
    """Yield the shares of all encoders at each measurement; NaN where they do not divide a whole.

    A negative trace, as at a saddle, leaves no shares between 0 and 1.
    """
    for entry in record.measurements:
        found = [entry["encoders"].get(name, {}).get("share") for name in record.modalities]
        whole = all(is_number(share) and 0 <= share <= 1 for share in found)
        yield found if whole else [float("nan")] * len(found)


def _has(record: MonitorRecord, quantity: str) -> bool:
    return any(
        is_number(value) for name in record.modalities for value in record.course(name, quantity)
    )


def _point(entry: Mapping[str, Any], quantity: str) -> Point:
    value = float(entry[quantity])
    error = WATCHED[quantity].error
    if error is not None and quantity != "trace":
        return _around(value, entry.get(error))
    if quantity not in ("trace", "per_parameter") or not is_number(entry.get("trace")):
        return Point(value)
    # Both have one interval, which a normalization scales.
    whole = _around(float(entry["trace"]), entry.get("standard_error"))
    interval = entry.get("interval")
    low, high = interval if interval is not None else (whole.low, whole.high)
    if low is None or high is None or (quantity != "trace" and not whole.value):
        return Point(value)
    scale = 1.0 if quantity == "trace" else value / whole.value
    return Point(value, low * scale, high * scale)


def _around(value: float, error: Any) -> Point:
    if not is_number(error):
        return Point(value)
    return Point(value, value - _NORMAL * error, value + _NORMAL * error)


def _bounded(line: Curve, quantity: str) -> Curve:
    """Return a line whose band is cut at the ends of a range that its values keep to."""
    low, high = WATCHED[quantity].ends
    inside = all((low is None or v >= low) and (high is None or v <= high) for v in line.values)
    return within(line, (low, high)) if inside else line
