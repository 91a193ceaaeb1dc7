"""A recipe: what a trained model can be rebuilt from, as registered names and numbers."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self, cast

from sharpscope.checks import at_least, listed, nearest, one_of
from sharpscope.datasets import DatasetEntry, dataset_entry
from sharpscope.errors import CheckpointError, MisuseError
from sharpscope.recipes.catalog import DEFAULTS, available
from sharpscope.recipes.methods import METHODS, Method
from sharpscope.recipes.settings import Value


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Data set, model, method and seed of one training run.

    The names can only choose among what is registered here, so a recipe read from a file decides
    nothing about which code runs. Settings left out get the defaults of the data set and method, so
    that a stored recipe stays what it was when a default changes.

    Args:
        dataset: Registered data set.
        preset: Its variant.
        method: Registered training method.
        settings: Of the model, the optimizer and the method.
        seed: Initial values, order of batches, dropout.
        epochs: Passes over the training split, at least 1.

    Raises:
        MisuseError: If a name is unknown or a value out of range.
    """

    dataset: str
    preset: str
    method: str
    settings: Mapping[str, Value] = field(default_factory=dict[str, Value])
    seed: int = 0
    epochs: int

    def __post_init__(self) -> None:
        entry = dataset_entry(self.dataset)
        object.__setattr__(self, "preset", entry.preset(self.preset))
        method = METHODS[one_of("method", self.method, METHODS)]
        object.__setattr__(self, "settings", _resolved(self.settings, entry, self.preset, method))
        at_least("seed", self.seed, 0)
        at_least("epochs", self.epochs, 1)

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities that the model has."""
        return tuple(str(self.settings["modalities"]).split("+"))

    @property
    def unimodal_weight(self) -> float:
        """The weight λ of each unimodal loss; 0 for methods without them."""
        return float(self.settings.get("unimodal_weight", 0.0))

    @property
    def trains_heads(self) -> bool:
        """Whether the unimodal heads are part of the training loss."""
        return self.unimodal_weight > 0

    def to_dict(self) -> dict[str, Any]:
        """Return the recipe as plain JSON types."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild a recipe that came from a file; nothing in it is trusted.

        Raises:
            CheckpointError: If an entry is missing, unknown, or of the wrong type or range.
        """
        types: dict[str, type] = dict.fromkeys(("dataset", "preset", "method"), str)
        types |= {"settings": dict, "seed": int, "epochs": int}
        problem = None
        if not isinstance(data, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
            problem = f"it is of type {type(data).__name__}, not a dictionary"
        elif unknown := [str(name) for name in data if name not in types]:
            problem = f"it has an unknown entry {unknown[0]!r}{nearest(unknown[0], types)}"
        elif missing := [entry.name for entry in fields(cls) if entry.name not in data]:
            problem = f"it lacks {listed(missing)}"
        elif wrong := [name for name, kind in types.items() if not isinstance(data[name], kind)]:
            problem = f"its entry {wrong[0]!r} is of type {type(data[wrong[0]]).__name__}"
        if problem:
            raise CheckpointError(f"the recipe in the file cannot be used: {problem}")
        try:
            return cls(**data)
        except MisuseError as error:
            raise CheckpointError(f"the recipe in the file cannot be used: {error}") from error


def parse_recipe(
    text: str,
    *,
    method: str = "joint",
    settings: Mapping[str, Value] | None = None,
    seed: int = 0,
    epochs: int | None = None,
) -> Recipe:
    """Build a recipe from ``NAME[:PRESET]`` and from settings as a command line gives them.

    Args:
        text: Data set and preset, such as ``avdigits:hard`` or ``emoji``.
        method: Registered training method.
        settings: Values, or their texts (``{"lr": "0.01"}``).
        seed: Of training.
        epochs: Passes over the training split; the data set's default if left out.

    Raises:
        MisuseError: If a name is unknown, or a text is no value of its setting.

    Example:
        >>> recipe = parse_recipe("emoji:en+image", method="late", settings={"lr": "0.01"})
        >>> recipe.preset, recipe.settings["lr"], recipe.settings["unimodal_weight"]
        ('image+en', 0.01, 1.0)
    """
    name, colon, preset = text.partition(":")
    entry = dataset_entry(name)
    chosen = entry.preset(preset if colon else None)
    known = available(entry, chosen, METHODS[one_of("method", method, METHODS)])
    given = {
        key: known[key].read(value) if key in known and isinstance(value, str) else value
        for key, value in (settings or {}).items()
    }
    return Recipe(
        dataset=name,
        preset=chosen,
        method=method,
        settings=given,
        seed=seed,
        epochs=DEFAULTS[name].epochs if epochs is None else epochs,
    )


def _resolved(
    given: Mapping[str, Value], entry: DatasetEntry, preset: str, method: Method
) -> dict[str, Value]:
    """Return every setting of the recipe, given or default, checked."""
    known = available(entry, preset, method)
    for name in cast(Mapping[object, Value], given):
        if name not in known:
            raise MisuseError(
                f"setting of {entry.name} with method {method.name} must be {listed(known)}; "
                f"got {name!r}{nearest(str(name), known)}"
            )
    defaults = DEFAULTS[entry.name].settings
    settings = {
        name: setting.check(given.get(name, defaults.get(name, setting.default)))
        for name, setting in known.items()
    }
    named = str(settings["modalities"])
    names = re.split(r"[+,]", named) if named else None
    return settings | {"modalities": "+".join(entry.modalities(preset, names))}
