"""A monitor for the trainer of recipes."""

from pathlib import Path
from typing import Any

from torch import nn

from sharpscope.monitor.core import FlatnessMonitor
from sharpscope.recipes import Recipe
from sharpscope.results.monitor import SUFFIX
from sharpscope.subject import Subject
from sharpscope.subject.sources import RecipeSource


def monitor_of(recipe: Recipe, *, split: str = "train", **settings: Any) -> FlatnessMonitor:
    """Return a monitor for ``sharpscope.training.train(recipe, watch=...)``.

    Args:
        recipe: What is trained. γ needs a method that trains the unimodal heads.
        split: Whose items are measured on.
        settings: Those of ``FlatnessMonitor``.

    Raises:
        MisuseError: If a setting is not allowed.

    Example:
        >>> from sharpscope.recipes import parse_recipe
        >>> from sharpscope.training import train
        >>> recipe = parse_recipe("mfeat:fou+mor", method="late", epochs=1, settings={"width": "4"})
        >>> monitor = monitor_of(recipe, when="epoch", measure=["lambda_max"], samples=64)
        >>> _ = train(recipe, watch=monitor)
        >>> monitor.record.epochs
        [0.0, 1.0]
    """

    def subject(model: nn.Module) -> Subject:
        source = RecipeSource.of(recipe.to_dict())
        losses = source.losses()
        if not recipe.trains_heads:  # heads at their random start say nothing of an encoder
            losses["unimodal"] = {}
        name, batches = source.batches(split, None)
        return Subject(
            model,
            batches,
            encoders=source.encoders(),
            provenance={**source.facts(), "split": name},
            **losses,
        )

    trained = "total" if recipe.trains_heads else "fusion"
    how: dict[str, Any] = {"trained": trained, **settings}
    return FlatnessMonitor(subject, **how)


def beside(checkpoint: str | Path) -> Path:
    """Return the file that a monitor writes beside a checkpoint.

    Example:
        >>> beside("runs/masam.pt").name
        'masam.monitor.jsonl'
    """
    path = Path(checkpoint)
    return path.with_name(f"{path.stem}.monitor{SUFFIX}")
