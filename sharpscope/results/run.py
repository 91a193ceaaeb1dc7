"""A training run: what was trained, how well it predicts, and what each epoch left."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from sharpscope.errors import MisuseError
from sharpscope.results.base import Record

_RECIPE = ("dataset", "preset", "method", "settings", "seed", "epochs")


def by_modality(
    history: Sequence[Mapping[str, Any]], modalities: Sequence[str], what: str
) -> dict[str, list[float | None]]:
    """Return what the entries of a history have of each modality; None where one has none."""
    found = [entry.get(what) or {} for entry in history]
    names = [name for name in modalities if any(name in entry for entry in found)]
    return {name: [entry.get(name) for entry in found] for name in names}


@dataclass(frozen=True, kw_only=True, repr=False)
class RunRecord(Record):
    """A training run as its checkpoint tells it.

    Attributes:
        checkpoint: The file that the run ended with.
        recipe: Data set, preset, method, settings, seed and epochs.
        metrics: Per split and output (``fusion``, each modality); cross entropy per item, the
            rest from 0 to 1.
        history: One entry for each epoch: ``epoch``, ``loss``, ``losses``, ``dominant`` (steps in
            which each modality dominated), ``alignment``, ``shares``, ``scores``, ``val``.
        seconds: Wall-clock time of training and of validation after each epoch, without watching.
    """

    schema: ClassVar[str] = "sharpscope/train"

    checkpoint: str | None = None
    recipe: Mapping[str, Any]
    metrics: Mapping[str, Any]
    history: tuple[Mapping[str, Any], ...]
    seconds: float

    def __post_init__(self) -> None:
        lacking = [name for name in _RECIPE if name not in self.recipe]
        if lacking:
            raise MisuseError(
                f"a {self.schema} record needs {', '.join(_RECIPE)} in its recipe; it lacks "
                f"{', '.join(lacking)}"
            )

    @property
    def settings(self) -> Mapping[str, Any]:
        """Settings of the model, the optimizer and the method."""
        return self.recipe["settings"]

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities of the model, in its order."""
        return tuple(str(self.settings["modalities"]).split("+"))

    def course(self, what: str) -> dict[str, list[float | None]]:
        """Return what the epochs recorded of each modality; None where an epoch has none of it.

        Args:
            what: ``dominant``, ``alignment``, ``shares`` or ``scores``.
        """
        return by_modality(self.history, self.modalities, what)

    def __repr__(self) -> str:
        recipe = self.recipe
        return (
            f"RunRecord({recipe['dataset']}:{recipe['preset']}, {recipe['method']}, seed "
            f"{recipe['seed']}, {len(self.history)} epochs, {self.seconds:.1f} s)"
        )
