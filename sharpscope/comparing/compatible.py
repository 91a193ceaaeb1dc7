"""What must be equal before two numbers may stand side by side."""

from collections.abc import Generator, Sequence
from typing import Any

from sharpscope.comparing.measurement import QUANTITIES, label, quantity_of
from sharpscope.errors import MisuseError
from sharpscope.results import GapResult, LandscapeResult, Result, SharpnessResult

Fact = tuple[str, Any, str]
# Settings of sharpness that change no number but its error.
_EFFORT = ("max_seconds", "draws", "batches")


def check_comparable(results: Sequence[Result]) -> None:
    """Refuse results of other data, losses or directions.

    Raises:
        MisuseError: If two differ; both values are named.
    """
    for first, other in _pairs(results):
        for (what, theirs, hint), (_, ours, _) in zip(_facts(first), _facts(other), strict=True):
            if ours != theirs:
                raise MisuseError(
                    f"{_who(other)} cannot be compared with {_who(first)}: {what} is "
                    f"{_told(ours)} and {_told(theirs)}; {hint}"
                )
        _check_batches(first, other)


def _check_batches(first: Result, other: Result) -> None:
    """Refuse means over the worst of other batches, as one that ran out of time has."""
    if not isinstance(first, SharpnessResult) or not isinstance(other, SharpnessResult):
        return
    if first.settings.get("case") != "worst" or None in (first.value, other.value):
        return
    if len(first.values) != len(other.values):
        raise MisuseError(
            f"{_who(other)} cannot be compared with {_who(first)}: {len(other.values)} and "
            f"{len(first.values)} batches were searched; give both the time for all of them "
            "(--max-seconds)"
        )


def _pairs(results: Sequence[Result]) -> Generator[tuple[Result, Result]]:
    """Yield each result with the first of its quantity; before, with the first on the same data."""
    heads: dict[str, Result] = {}
    for result in results:
        head = heads.setdefault(QUANTITIES[result.schema], result)
        if result is not head:
            yield head, result


def check_same_data(results: Sequence[Result]) -> None:
    """Refuse quantities of one comparison that are of different data; a gap has its own.

    Raises:
        MisuseError: If two differ; both values are named.
    """
    found = [result for result in results if not isinstance(result, GapResult)]
    for other in found[1:]:
        for (what, theirs, hint), (_, ours, _) in zip(_data(found[0]), _data(other), strict=True):
            if ours != theirs:
                raise MisuseError(
                    f"{_who(other)} cannot stand beside {_who(found[0])}: {what} is {_told(ours)} "
                    f"and {_told(theirs)}; {hint}"
                )


def check_same_planes(results: Sequence[LandscapeResult]) -> None:
    """Refuse landscapes that no one scale can show: of other data, directions or ranges.

    Raises:
        MisuseError: If two differ; both values are named.
    """
    first = results[0]
    for other in results[1:]:
        for (what, theirs, hint), (_, ours, _) in zip(_plane(first), _plane(other), strict=True):
            if ours != theirs:
                raise MisuseError(
                    f"the landscape of {other.tag} ({other.modality}) cannot stand beside that of "
                    f"{first.tag} ({first.modality}): {what} is {_told(ours)} and {_told(theirs)}; "
                    f"{hint}"
                )


def _plane(result: LandscapeResult) -> list[Fact]:
    hint = "measure both with the same options"
    return [
        *_data(result),
        ("the kind of directions", result.axes, hint),
        *((f"the setting {n}", result.settings.get(n), hint) for n in ("normalize", "orthogonal")),
        ("the seed of the directions", result.seed, "measure both with one --seed"),
        ("the grid", "x".join(str(n) for n in reversed(result.values.shape)), hint),
        ("the reach", f"{result.x[0]:g} to {result.x[-1]:g}", "give both the same --span"),
    ]


def _facts(result: Result) -> list[Fact]:
    settings = result.settings
    facts = _data(result)
    if isinstance(result, GapResult):
        facts += [
            ("the metric", result.metric, "measure both with the same --metric"),
            ("the number of train samples", result.train_samples, "measure both on the same data"),
            (
                "the fingerprint of the train data",
                result.provenance.get("train_fingerprint"),
                "measure both on the same data in the same batches (--batch-size)",
            ),
        ]
    elif isinstance(result, SharpnessResult):
        hint = "measure both with the same options"
        facts.append(("the method", result.method, hint))
        names = sorted(set(settings) - set(_EFFORT))
        facts += [(f"the setting {name}", settings[name], hint) for name in names]
        facts.append(("the seed of the directions", result.seed, "measure both with one --seed"))
    else:
        facts.append(
            ("the matrix", settings.get("operator"), "measure both with the same --operator")
        )
        if quantity_of(result) != "trace":
            facts.append(("the eigenvalue", label(result), "measure both with the same --engine"))
    return facts


def _data(result: Result) -> list[Fact]:
    known = result.provenance
    return [
        ("the loss", result.loss, "measure both with the same --loss"),
        ("the split", known.get("split"), "measure both with the same --split"),
        ("the number of samples", result.samples, "measure both with the same --samples"),
        (
            "the fingerprint of the data",
            known.get("data_fingerprint"),
            "measure both on the same data in the same batches (--batch-size)",
        ),
    ]


def _who(result: Result) -> str:
    return f"{label(result)} of {result.tag} ({result.modality})"


def _told(value: Any) -> str:
    return "unknown" if value is None else str(value)
