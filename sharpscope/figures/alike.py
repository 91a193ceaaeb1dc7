"""What results must share before one scale, or one mean, holds them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sharpscope.errors import MisuseError
from sharpscope.results import CouplingResult, DensityResult, EigenResult, Result, TraceResult

Read = Callable[[Any], Any]
_MATRICES = {
    "hessian": "Hessian",
    "gauss-newton": "Gauss-Newton matrix",
    "finite-difference": "Hessian by finite differences",
}
_CURVATURE = (TraceResult, EigenResult, DensityResult, CouplingResult)
_PREFIXES = {"gauss-newton": "Gauss-Newton ", "finite-difference": "finite-difference "}


def matrix_of(result: Result) -> str:
    """Return which matrix a number of curvature is of; empty for other numbers."""
    if not isinstance(result, _CURVATURE):
        return ""
    name = str(result.settings.get("operator", "hessian"))
    return _MATRICES.get(name, name)


def prefix_of(result: Result) -> str:
    """Return what stands before the name of a number: ``Gauss-Newton ``, of a Hessian nothing."""
    return _PREFIXES.get(str(result.settings.get("operator")), "") if matrix_of(result) else ""


def axis_of(result: Result, label: str) -> str:
    """Return a label with the matrix before it; then its unit has a line of its own, for room."""
    prefix = prefix_of(result)
    return f"{prefix}{label}".replace(" (", "\n(") if prefix else label


def check_alike(results: Sequence[Any], **more: Read) -> None:
    """Refuse to put numbers of different losses, splits or matrices on one scale.

    Args:
        results: What stands on it.
        more: Other things that must be equal, by name.

    Raises:
        MisuseError: If they differ.
    """
    facts: dict[str, Read] = {
        "loss": lambda result: result.loss,
        "split": lambda result: result.provenance.get("split"),
        "matrix": matrix_of,
    }
    for what, read in (facts | more).items():
        found = sorted({str(read(result)) for result in results})
        if len(found) > 1:
            thing = what.replace("_", " ")
            raise MisuseError(
                f"results on one scale must be of one {thing}; got {' and '.join(found)}"
            )


def setting(name: str) -> Read:
    """Return what reads a setting."""
    return lambda result: result.settings.get(name)


def check_one_mean(groups: Mapping[str, Sequence[Any]]) -> None:
    """Refuse a mean over seeds of numbers that are of different items.

    Raises:
        MisuseError: If there would be one.
    """
    for name, results in groups.items():
        for modality in dict.fromkeys(result.modality for result in results):
            own = [result for result in results if result.modality == modality]
            samples = sorted({result.samples for result in own})
            prints = {result.provenance.get("data_fingerprint") for result in own} - {None}
            if len(samples) > 1 or len(prints) > 1:
                told = (
                    f"{' and '.join(f'{count:,}' for count in samples)} samples"
                    if len(samples) > 1
                    else f"data with {len(prints)} fingerprints"
                )
                raise MisuseError(
                    f"a mean over seeds must be of the same data; {name} ({modality}) is of {told}"
                )
