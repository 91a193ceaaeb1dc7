"""Checkpoints of trained recipes: a ``torch.save`` dictionary of plain types and tensors."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

import sharpscope
from sharpscope.results import write_whole
from sharpscope.training.keeping import FORMAT, FORMAT_VERSION, state_path
from sharpscope.training.trainer import Trained


def checkpoint(trained: Trained) -> dict[str, Any]:
    """Return what the file holds; all of it is readable with ``weights_only=True``."""
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "sharpscope_version": sharpscope.__version__,
        "recipe": trained.recipe.to_dict(),
        "state_dict": {
            name: values.detach().cpu() for name, values in trained.model.state_dict().items()
        },
        "metrics": trained.metrics,
        "epoch": len(trained.history),
        "history": [asdict(epoch) for epoch in trained.history],
        **({} if trained.noise is None else {"label_noise": vars(trained.noise)}),
    }


def save_checkpoint(path: str | Path, trained: Trained) -> Path:
    """Write a trained model with its recipe, whole or not at all; make the folder if needed.

    ``check_writable`` answers before training whether this will work.

    Raises:
        MisuseError: If the file cannot be written.
    """
    path = Path(path)
    write_whole(path, lambda file: torch.save(checkpoint(trained), file))
    state_path(path).unlink(missing_ok=True)  # what the run would have been resumed from
    return path
