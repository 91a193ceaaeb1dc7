"""Names of checkpoints where many stand together: the tag, and the hash where two share it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sharpscope.results import Result, RunRecord


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that was measured.

    Attributes:
        name: What it is called.
        sha: What tells it from another of that name.
        folder: Where it lies, as far as that is known.
    """

    name: str
    sha: str
    folder: str = field(default="", compare=False)


def checkpoint_of(result: Result) -> Checkpoint:
    """Return which checkpoint a result is of."""
    known: Mapping[str, Any] = result.provenance
    path = str(known.get("checkpoint") or "")
    return Checkpoint(
        result.tag or path or "model",
        str(known.get("checkpoint_sha256") or known.get("model_fingerprint") or ""),
        Path(path).parent.name,
    )


def named_apart(checkpoints: Iterable[Checkpoint]) -> dict[Checkpoint, str]:
    """Return a name for each checkpoint: with its folder where two share one, else with its hash.

    Example:
        >>> one, two = Checkpoint("ep3", "12", "late"), Checkpoint("ep3", "34", "masam")
        >>> named_apart([one, two, Checkpoint("ep4", "56")]).values()
        dict_values(['late/ep3', 'masam/ep3', 'ep4'])
    """
    found = list(dict.fromkeys(checkpoints))
    names = Counter(one.name for one in found)
    placed = Counter((one.name, one.folder) for one in found)

    def told(one: Checkpoint) -> str:
        if names[one.name] == 1:
            return one.name
        if one.folder and placed[one.name, one.folder] == 1:
            return f"{one.folder}/{one.name}"
        return f"{one.name} ({one.sha[:8] or 'no hash'})"

    return {one: told(one) for one in found}


def names_of(results: Sequence[Result]) -> dict[int, str]:
    """Return the name of each result's checkpoint by its ``id``; empty for one without a tag."""
    names = named_apart(checkpoint_of(result) for result in results)
    if len(names) == 1 and all(result.tag is None for result in results):
        return dict.fromkeys(map(id, results), "")
    return {id(result): names[checkpoint_of(result)] for result in results}


def lines_of(results: Sequence[Result]) -> dict[int, str]:
    """Return the same, with the seed of the draws where two of an encoder share a name."""
    names = names_of(results)
    places = Counter((names[id(result)], result.modality) for result in results)
    return {
        id(result): " · ".join(
            part
            for part in (
                names[id(result)],
                f"seed {result.seed}" if places[names[id(result)], result.modality] > 1 else "",
            )
            if part
        )
        for result in results
    }


def runs_of(records: Sequence[RunRecord]) -> list[str]:
    """Return a name for each run: its tag or method, with the file where two share it."""
    tags = [record.tag or str(record.recipe["method"]) for record in records]
    return [
        tag if tags.count(tag) == 1 else f"{tag} ({record.checkpoint or place + 1})"
        for place, (tag, record) in enumerate(zip(tags, records, strict=True))
    ]
