"""The plain trainer: one recipe in, one trained model with its metrics out."""

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sharpscope.datasets import Dataset
from sharpscope.datasets.noise import LabelNoise
from sharpscope.models import MultimodalModel
from sharpscope.recipes import Recipe, build_dataset, build_model
from sharpscope.streams import stream
from sharpscope.training.heads import fit_heads
from sharpscope.training.history import Epoch
from sharpscope.training.keeping import Files
from sharpscope.training.metrics import Metrics, evaluate
from sharpscope.training.run import Run
from sharpscope.training.watching import Watching


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A trained model and how it came to be.

    Args:
        model: In eval mode, on the device it was trained on.
        recipe: What it was trained by.
        metrics: Per split (``train``, ``val``, ``test``) and output (``fusion``, each modality).
        history: One entry per epoch.
        seconds: Wall-clock time of training and of validation after each epoch; data, the final
            metrics and what watches apart.
        noise: Which training labels were wrong on purpose, if any.
    """

    model: MultimodalModel
    recipe: Recipe
    metrics: Mapping[str, Mapping[str, Metrics]]
    history: tuple[Epoch, ...]
    seconds: float
    noise: LabelNoise | None = None


def train(
    recipe: Recipe,
    *,
    device: str | torch.device = "cpu",
    progress: Callable[[Epoch], None] | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    keep_every: int | None = None,
    watch: Watching | None = None,
) -> Trained:
    """Train a recipe: bit-identical when repeated on the same machine with as many threads.

    Batches are drawn anew each epoch from a stream that the recipe's seed names; the learning rate
    falls to 0 along a cosine. The global random state is left as it was. A method that does not
    train the unimodal heads has them fitted at the end, on fixed embeddings.

    Args:
        recipe: What to train.
        device: Where.
        progress: Called after each epoch.
        out: Where the checkpoint will be written. The state after each epoch is kept beside it,
            under ``OUT.state``, until ``save_checkpoint`` writes it.
        resume: Whether to go on from that state, bit for bit as if it had not been interrupted.
        keep_every: Keep a checkpoint beside ``out`` after every so many epochs, as
            ``OUT.epoch0010.pt``.
        watch: Looks on after each step and epoch, such as a ``FlatnessMonitor``; it is closed at
            the end, and also where training fails.

    Raises:
        MisuseError: If there is nothing to resume, or it is the training of another recipe.
        SharpscopeError: If the loss stops being finite.

    Example:
        >>> from sharpscope.recipes import parse_recipe
        >>> trained = train(parse_recipe("mfeat:fou+mor", epochs=1))
        >>> sorted(trained.metrics["test"])
        ['fou', 'fusion', 'mor']
    """
    files = Files(out, keep_every=keep_every)
    dataset = build_dataset(recipe)
    device = torch.device(device)
    model = build_model(recipe, dataset).to(device)
    with _own_randomness(recipe, device):
        run = Run(recipe, model, dataset, device, watch)
        if resume:
            run.take_up(files.state())
        with _closing(watch, run):
            run.begin()
            while not run.done:
                epoch = run.epoch()
                files.after(run)
                if progress is not None:
                    progress(epoch)
    run.finish()
    if not recipe.trains_heads and model.fusion.takes == "features":
        fit_heads(model, dataset.splits["train"])
    seconds = run.seconds
    model.zero_grad()
    model.eval()
    return Trained(
        model=model,
        recipe=recipe,
        metrics=_all_metrics(model, dataset),
        history=tuple(run.history),
        seconds=seconds,
        noise=dataset.noise,
    )


@contextmanager
def _closing(watch: Watching | None, run: Run) -> Generator[None]:
    """Tell those who watch that there is no more, also where training fails."""
    ended = False
    try:
        yield
        ended = True
    finally:
        if watch is not None:
            with run.apart():
                watch.close(ended=ended)


@contextmanager
def _own_randomness(recipe: Recipe, device: torch.device) -> Generator[None]:
    """Give dropout a random stream of the recipe; put the global state back afterwards."""
    start = stream(recipe.seed, "dropout")
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.set_rng_state(start.get_state())
        if device.type == "cuda":
            torch.cuda.manual_seed(start.initial_seed())
        yield


def _all_metrics(model: MultimodalModel, dataset: Dataset) -> dict[str, dict[str, Any]]:
    return {
        name: evaluate(model, split, classes=dataset.classes)
        for name, split in dataset.splits.items()
    }
