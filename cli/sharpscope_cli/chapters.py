"""The models that ``sharpscope demo`` trains."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Chapter:
    """One model to train.

    Args:
        name: Of the checkpoint.
        recipe: What to train.
        method: How.
        epochs: How long; the recipe's own where left out.
        quick: Whether it is measured to a loose error and without a landscape, which takes seconds.
    """

    name: str
    recipe: str
    method: str
    epochs: int | None = None
    quick: bool = False


CHAPTERS = (
    Chapter(name="avdigits-joint", recipe="avdigits:hard", method="joint"),
    Chapter(name="avdigits-late", recipe="avdigits:hard", method="late"),
    # The small preset, so that the command to type next answers within a minute.
    Chapter(name="ehr-cxr", recipe="ehr-cxr:small", method="late", epochs=20, quick=True),
)
