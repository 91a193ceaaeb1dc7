"""Which numbers stand side by side: of the same data and matrix, one in each place."""

from collections.abc import Mapping, Sequence
from typing import Any

from sharpscope.figures.alike import matrix_of
from sharpscope.figures.captions import data_of, said
from sharpscope.results import ContributionResult, GapResult, Result, SharpnessResult
from sharpscope.results.quantities import QUANTITIES

Place = tuple[str, str, str]
Key = tuple[str, str]


def key_of(result: Result) -> Key:
    """Return the data behind a number, and the matrix, the measure or the metric, in words."""
    return data_of([result]), _what(result)


def sides(results: Sequence[Result], names: Mapping[int, str]) -> list[list[Result]]:
    """Return results in groups whose bars mean the same thing and do not hide each other.

    Args:
        results: Of any kinds; those without a number are left out.
        names: What the checkpoint of each is called, by ``id``.
    """
    groups: list[tuple[list[Result], set[Place]]] = []
    # What has data of its own stands beside the rest.
    for result in sorted(results, key=_elsewhere):
        places = {
            (quantity.key, names[id(result)], one.modality)
            for quantity in QUANTITIES
            for one in quantity.find(result)
            if one.value is not None
        }
        if not places:
            continue
        for group, taken in groups:
            if not places & taken and all(_beside(result, other) for other in group):
                group.append(result)
                taken |= places
                break
        else:
            groups.append(([result], places))
    return [group for group, _ in groups]


def told(results: Sequence[Result]) -> str:
    """Return what the numbers of a group are of, as a sentence."""
    heads: dict[Key, list[str]] = {}
    for result in results:
        found = [
            quantity.head.removesuffix(" ± error").removesuffix(", %")
            for quantity in QUANTITIES
            if quantity.drawn and list(quantity.find(result))
        ]
        if found:
            heads.setdefault(key_of(result), []).extend(found)
    return "; ".join(
        f"{said(found)}: {f'{what}, ' if what else ''}{data}"
        for (data, what), found in heads.items()
    )


def _beside(result: Result, other: Result) -> bool:
    if result.schema == other.schema:
        return key_of(result) == key_of(other)
    if _elsewhere(result) or _elsewhere(other):
        return True
    matrices = {matrix_of(result), matrix_of(other)} - {""}
    return len(matrices) < 2 and data_of([result]) == data_of([other])


def _what(result: Result) -> str:
    if isinstance(result, SharpnessResult):
        return result.method
    if isinstance(result, GapResult):
        return result.metric
    if isinstance(result, ContributionResult):
        settings: Mapping[str, Any] = result.settings
        found = (settings.get(name) for name in ("kind", "normalize", "mask"))
        told = [result.metric, *(str(value) for value in found if value is not None)]
        return ", ".join(dict.fromkeys(told))  # the kind may be the metric
    return matrix_of(result)


def _elsewhere(result: Result) -> bool:
    return isinstance(result, ContributionResult | GapResult)
