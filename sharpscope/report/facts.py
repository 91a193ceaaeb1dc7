"""How each result came about: what a reader needs to judge and to repeat it."""

from collections.abc import Iterator, Mapping
from typing import Any

from sharpscope.results import Comparison, MonitorRecord, Record, Result
from sharpscope.results.base import plain

Facts = list[tuple[str, str]]
# Of a record that is no measurement: a training run, a comparison.
_OTHERS = ("recipe", "metrics", "reference", "names", "settings", "provenance", "notes", "seconds")


def facts_of(path: str, record: Record) -> dict[str, Any]:
    """Return the summary of a result and, in groups, everything that was recorded with it."""
    kind = record.schema.removeprefix("sharpscope/")
    whose = " · ".join(
        part for part in (record.tag, getattr(record, "modality", None)) if part is not None
    )
    if isinstance(record, MonitorRecord):
        return {"kind": kind, "whose": whose, "short": path, "groups": _of_monitor(record)}
    if not isinstance(record, Result):
        content = record.to_dict(arrays=False)
        told = {name: content[name] for name in _OTHERS if name in content}
        return {"kind": kind, "whose": whose, "short": path, "groups": {"record": _flat(told)}}
    outcome = str(record.outcome).replace("_", " ")
    measured: Facts = [
        ("file", path),
        ("method", record.method),
        ("outcome", f"{outcome}: {record.advice}"),
        ("loss", f"{record.loss}, {record.loss_value:.6g} over {record.samples:,} items"),
        ("seed", str(record.seed)),
        ("products", f"{record.matvecs:g}"),
        ("seconds", f"{record.seconds:.1f}"),
    ]
    if record.peak_bytes is not None:
        measured.append(("peak memory", f"{record.peak_bytes / 2**20:,.0f} MiB"))
    if record.replayed:
        measured.append(("played back", ", ".join(record.replayed)))
    return {
        "kind": kind,
        "whose": whose,
        "short": f"{record.method}, {outcome}, seed {record.seed}, {record.seconds:.1f} s",
        "groups": {
            "measurement": measured,
            "notes": [("", note) for note in record.notes],
            "settings": _flat(record.settings),
            "provenance": _flat(record.provenance),
        },
    }


def about(comparison: Comparison) -> str:
    """Return what a comparison is of: who, which loss and data, at which train losses."""
    split = f" {comparison.split}" if comparison.split else ""
    told = [
        f"{', '.join(comparison.names[1:])} compared with {comparison.reference}: the "
        f"{comparison.loss} loss over {comparison.samples:,}{split} items"
    ]
    if comparison.train_loss is not None:
        matched = "; ".join(
            f"{match.name}: {match.run} at {'epoch' if len(match.epochs) == 1 else 'epochs'} "
            f"{' and '.join(map(str, match.epochs))}"
            for match in comparison.matches
        )
        told.append(f"at the train loss {comparison.train_loss:.4g} ({matched})")
    else:
        losses = {
            name: list(
                dict.fromkeys(
                    f"{entry.train_loss:.4g}"
                    for entry in comparison.entries
                    if entry.name == name and entry.train_loss is not None
                )
            )
            for name in comparison.names
        }
        known = [f"{' and '.join(found)} of {name}" for name, found in losses.items() if found]
        told += [f"train losses {', '.join(known)}"] if known else []
    if comparison.grouped:
        counts = {
            name: {entry.runs for entry in comparison.entries if entry.name == name}
            for name in comparison.names
        }
        told.append(
            "runs: "
            + ", ".join(
                f"{' to '.join(map(str, sorted(n)))} of {name}" for name, n in counts.items()
            )
        )
    return f"{'; '.join(told)}."


def _of_monitor(record: MonitorRecord) -> dict[str, Facts]:
    count, steps = len(record.measurements), record.steps
    return {
        "record": [
            ("encoders", ", ".join(record.modalities)),
            ("measurements", f"{count} from step {steps[0]:,} to {steps[-1]:,}"),
            ("training", "ended" if record.ended else "had not ended"),
            ("seconds of measuring", f"{record.seconds:.1f}"),
        ],
        "events": [(f"step {e['step']:,}", str(e.get("text", e["signal"]))) for e in record.events],
        "failures": [(f"step {f['step']:,}", str(f["reason"])) for f in record.failures],
        "settings": _flat(record.settings),
        "provenance": _flat(record.provenance),
    }


def _flat(content: Mapping[str, Any]) -> Facts:
    return list(_leaves(plain(content), ""))


def _leaves(value: Any, name: str) -> Iterator[tuple[str, str]]:
    """Yield the leaves of nested mappings by dotted name."""
    if isinstance(value, Mapping) and value:
        for key, entry in value.items():
            yield from _leaves(entry, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list):
        yield name, ", ".join(str(entry) for entry in value) or "none"
    else:
        yield name, "none" if value is None or value == {} else str(value)
