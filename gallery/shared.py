"""What the scripts of the gallery share: small models on embedded data, each trained once.

A script runs alone: what it needs is trained at its first run and kept in ``.gallery``.
"""

from pathlib import Path
from typing import Any

from sharpscope import Subject, load_subject
from sharpscope.figures import save_figure
from sharpscope.recipes import parse_recipe
from sharpscope.training import save_checkpoint, train

HERE = Path(__file__).parent
MODELS = HERE.parent / ".gallery"
SAMPLES = 256  # of the train split, so that a picture takes seconds
# Few epochs of a small model: pictures of methods, not their best numbers.
RECIPE, EPOCHS = "emoji", 8
METHODS = ("late", "masam")


def trained(method: str, *, recipe: str = RECIPE, seed: int = 1, **settings: Any) -> Path:
    """Return the checkpoint of a small model, its epochs kept beside it.

    Args:
        method: As for ``sharpscope train --method``.
        recipe: What to train.
        seed: Of the training.
        settings: As for ``--set``.
    """
    told = "".join(f"-{name}{value}" for name, value in settings.items())
    name = recipe.replace(":", "-").replace("+", "-")
    path = MODELS / f"{name}-{method}{told}-s{seed}" / f"{method}.pt"
    if not path.is_file():
        chosen = parse_recipe(
            recipe,
            method=method,
            seed=seed,
            epochs=EPOCHS,
            settings={name: str(value) for name, value in settings.items()},
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        save_checkpoint(path, train(chosen, out=path, keep_every=1))
    return path


def kept(path: Path) -> list[Path]:
    """Return the checkpoints of every epoch of a run."""
    return sorted(path.parent.glob(f"{path.stem}.epoch*.pt"))


def subject(path: Path, *, split: str = "train", samples: int | None = SAMPLES) -> Subject:
    """Return a checkpoint on the first items of a split."""
    return load_subject(path, split=split, samples=samples)


def picture(figure: Any, script: str) -> None:
    """Save a script's figure beside it, as a PNG of the same name."""
    save_figure(figure, HERE / f"{Path(script).stem}.png")


if __name__ == "__main__":  # what several scripts use, so that these can run side by side
    for method in ("joint", "msam", *METHODS):
        trained(method)
    for method in METHODS:
        for seed in (1, 2):
            trained(method, recipe="mfeat:fou+mor", seed=seed)
