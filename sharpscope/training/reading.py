"""The record of a training run, from its checkpoint or right after it."""

from dataclasses import asdict
from pathlib import Path

from sharpscope.errors import MisuseError
from sharpscope.recipes import Recipe
from sharpscope.results import RunRecord
from sharpscope.subject.checkpoints import read_checkpoint
from sharpscope.training.trainer import Trained


def run_record(path: str | Path, *, tag: str | None = None) -> RunRecord:
    """Return the record of the run that a checkpoint of sharpscope ended.

    Args:
        path: The checkpoint.
        tag: What to call the run; the name of the file if left out.

    Raises:
        MisuseError: If there is no such file, or it holds no record of a run.
        CheckpointError: If it cannot be read.

    Example:
        >>> run_record("runs/emoji-masam.pt").draw("dominance")  # doctest: +SKIP
    """
    read = read_checkpoint(path)
    if read.recipe is None:
        raise MisuseError(
            f"{path} is not a checkpoint of sharpscope train, which alone keeps the record of its "
            "run: measure it and name the results"
        )
    if read.history is None:
        raise MisuseError(
            f"{path} was kept on the way and holds no record of its run: name the checkpoint that "
            "the run ended with"
        )
    return RunRecord.from_dict(
        {
            "checkpoint": str(path),
            "recipe": Recipe.from_dict(read.recipe).to_dict(),
            "metrics": read.metrics or {},
            "history": list(read.history),
            "seconds": read.history[-1]["seconds"],
            "tag": Path(path).stem if tag is None else tag,
        }
    )


def record_of(trained: Trained, path: str | Path) -> RunRecord:
    """Return the record of a run whose checkpoint is, or will be, at ``path``."""
    return RunRecord.from_dict(
        {
            "checkpoint": str(path),
            "recipe": trained.recipe.to_dict(),
            "metrics": trained.metrics,
            "history": [asdict(epoch) for epoch in trained.history],
            "seconds": trained.seconds,
            "tag": Path(path).stem,
        }
    )
