"""Names of checkpoints where many stand together: the tag, and the hash where two share it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sharpscope.results import Result, RunRecord

Checkpoint = tuple[str, str]


def checkpoint_of(result: Result) -> Checkpoint:
    """Return what a checkpoint is called and what tells it from another of that name."""
    known: Mapping[str, Any] = result.provenance
    name = result.tag or str(known.get("checkpoint") or "model")
    return name, str(known.get("checkpoint_sha256") or known.get("model_fingerprint") or "")


def named_apart(checkpoints: Iterable[Checkpoint]) -> dict[Checkpoint, str]:
    """Return a name for each checkpoint, with its hash where two share one.

    Example:
        >>> named_apart([("late", "12"), ("late", "34"), ("masam", "56")]).values()
        dict_values(['late (12)', 'late (34)', 'masam'])
    """
    found = list(dict.fromkeys(checkpoints))
    tags = Counter(tag for tag, _ in found)
    return {
        key: key[0] if tags[key[0]] == 1 else f"{key[0]} ({key[1][:8] or 'no hash'})"
        for key in found
    }


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
