"""Files beside a checkpoint while it is trained: the state to go on from, and kept epochs."""

from pathlib import Path
from typing import Any

import torch

import sharpscope
from sharpscope.checks import at_least
from sharpscope.errors import CheckpointError, MisuseError
from sharpscope.results import write_whole
from sharpscope.training.run import Run

FORMAT = "sharpscope/checkpoint"
FORMAT_VERSION = 1


class Files:
    """The files of a run; none where no checkpoint is named.

    Args:
        out: The checkpoint to come.
        keep_every: Epochs between kept checkpoints.

    Raises:
        MisuseError: If ``keep_every`` is not allowed, or asked for without a file.
    """

    def __init__(self, out: str | Path | None, *, keep_every: int | None):
        self.out = None if out is None else Path(out)
        if keep_every is not None:
            at_least("keep_every", keep_every, 1, "epochs")
            if out is None:
                raise MisuseError("keep_every keeps checkpoints beside out: name that file")
        self.keep_every = keep_every

    def after(self, run: Run) -> None:
        """Write what an epoch leaves; ``save_checkpoint`` takes the state away in the end."""
        if self.out is None:
            return
        number = len(run.history)
        if self.keep_every and number % self.keep_every == 0:
            kept = self.out.with_name(f"{self.out.stem}.epoch{number:04d}{self.out.suffix}")
            write_whole(kept, lambda file: torch.save(_kept(run), file))
        write_whole(state_path(self.out), lambda file: torch.save(run.state(), file))

    def state(self) -> dict[str, Any]:
        """Return the state of an interrupted run.

        Raises:
            MisuseError: If there is none.
            CheckpointError: If it cannot be read.
        """
        path = None if self.out is None else state_path(self.out)
        if path is None or not path.is_file():
            where = "out, which is not named" if path is None else str(path)
            raise MisuseError(
                f"there is nothing to resume: no training state at {where}; it is there while a "
                "run has not ended, so train without resume"
            )
        try:
            return torch.load(path, weights_only=True)
        except Exception as error:
            raise CheckpointError(f"{path} cannot be read as a training state: {error}") from error


def state_path(out: Path) -> Path:
    """Return where the state of a run is kept."""
    return out.with_name(f"{out.name}.state")


def _kept(run: Run) -> dict[str, Any]:
    """Return the checkpoint of an epoch: weights and recipe, metrics on the validation split."""
    last = run.history[-1]
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "sharpscope_version": sharpscope.__version__,
        "recipe": run.recipe.to_dict(),
        "state_dict": {k: v.detach().cpu() for k, v in run.model.state_dict().items()},
        "metrics": {"val": dict(last.val)},
        "epoch": last.epoch,
    }
