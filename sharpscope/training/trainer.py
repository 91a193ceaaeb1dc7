"""The plain trainer: one recipe in, one trained model with its metrics out."""

import math
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

from sharpscope.datasets import Dataset, Split
from sharpscope.errors import MisuseError, SharpscopeError
from sharpscope.models import MultimodalModel
from sharpscope.recipes import Recipe, build_dataset, build_model
from sharpscope.streams import stream
from sharpscope.training.metrics import Metrics, evaluate
from sharpscope.training.readout import fit_heads
from sharpscope.training.stepping import Stepper, Tally


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """One pass over the training split.

    Args:
        epoch: Its number, from 1.
        epochs: How many there will be.
        loss: Mean training loss over the items, in train mode, while the weights moved.
        seconds: Since training began.
        losses: The same of ``fusion`` and of each modality in the training loss.
        dominant: In how many steps each modality dominated, where the method says.
        alignment: Mean over steps of ``γ_m``, where the method takes it.
        shares: Mean over steps of ``v_m``, likewise.
        scores: Mean over steps of the score that the dominant modality is the largest of.
    """

    epoch: int
    epochs: int
    loss: float
    seconds: float
    losses: Mapping[str, float] = field(default_factory=dict[str, float])
    dominant: Mapping[str, int] = field(default_factory=dict[str, int])
    alignment: Mapping[str, float] = field(default_factory=dict[str, float])
    shares: Mapping[str, float] = field(default_factory=dict[str, float])
    scores: Mapping[str, float] = field(default_factory=dict[str, float])


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A trained model and how it came to be.

    Args:
        model: In eval mode, on the device it was trained on.
        recipe: What it was trained by.
        metrics: Per split (``train``, ``val``, ``test``) and output (``fusion``, each modality).
        history: One entry per epoch.
        seconds: Wall-clock time of training, data and metrics apart.
    """

    model: MultimodalModel
    recipe: Recipe
    metrics: Mapping[str, Mapping[str, Metrics]]
    history: tuple[Epoch, ...]
    seconds: float


def train(
    recipe: Recipe,
    *,
    device: str | torch.device = "cpu",
    progress: Callable[[Epoch], None] | None = None,
) -> Trained:
    """Train a recipe: bit-identical when repeated on the same machine with as many threads.

    Batches are drawn anew each epoch from a stream that the recipe's seed names; the learning rate
    falls to 0 along a cosine. The global random state is left as it was. A method that does not
    train the unimodal heads has them fitted at the end, on fixed embeddings.

    Args:
        recipe: What to train.
        device: Where.
        progress: Called after each epoch.

    Raises:
        SharpscopeError: If the loss stops being finite.

    Example:
        >>> from sharpscope.recipes import parse_recipe
        >>> trained = train(parse_recipe("mfeat:fou+mor", epochs=1))
        >>> sorted(trained.metrics["test"])
        ['fou', 'fusion', 'mor']
    """
    dataset = build_dataset(recipe)
    device = torch.device(device)
    model = build_model(recipe, dataset).to(device)
    started = time.perf_counter()
    with _own_randomness(recipe, device):
        history = tuple(_epochs(recipe, model, dataset.splits["train"], device, progress))
    if not recipe.trains_heads and model.fusion.takes == "features":
        fit_heads(model, dataset.splits["train"])
    seconds = time.perf_counter() - started
    model.zero_grad()
    model.eval()
    return Trained(
        model=model,
        recipe=recipe,
        metrics=_all_metrics(model, dataset),
        history=history,
        seconds=seconds,
    )


def _epochs(
    recipe: Recipe,
    model: MultimodalModel,
    split: Split,
    device: torch.device,
    progress: Callable[[Epoch], None] | None,
) -> Iterator[Epoch]:
    inputs = {name: values.to(device) for name, values in split.inputs.items()}
    items = inputs | {"target": split.target.to(device)}
    optimizer = _optimizer(recipe, model)
    stepper = Stepper(recipe, model, optimizer)
    steps = recipe.epochs * len(_cuts(len(split), int(recipe.settings["batch_size"])))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)
    started = time.perf_counter()
    model.train()
    for epoch in range(1, recipe.epochs + 1):
        order = torch.randperm(len(split), generator=stream(recipe.seed, "shuffle", epoch))
        tally = Tally()
        for start, stop in _cuts(len(split), int(recipe.settings["batch_size"])):
            rows = order[start:stop].to(device)
            batch = {name: values[rows] for name, values in items.items()}
            with _named(epoch, recipe):
                stepper.step(batch, tally)
            schedule.step()
        losses = tally.mean_losses()
        total = losses.pop("total")
        if not math.isfinite(total):
            raise SharpscopeError(
                f"training diverged: the loss of epoch {epoch} is {total}; "
                f"lower the setting lr, now {recipe.settings['lr']}"
            )
        entry = Epoch(
            epoch=epoch,
            epochs=recipe.epochs,
            loss=total,
            seconds=time.perf_counter() - started,
            losses=losses,
            dominant=tally.dominant,
            alignment=tally.mean_words("alignment"),
            shares=tally.mean_words("shares"),
            scores=tally.mean_words("scores"),
        )
        if progress is not None:
            progress(entry)
        yield entry


@contextmanager
def _named(epoch: int, recipe: Recipe) -> Generator[None]:
    """Say in which epoch an optimizer met a loss that is not finite."""
    try:
        yield
    except MisuseError:
        raise
    except SharpscopeError as error:
        raise SharpscopeError(
            f"training diverged in epoch {epoch}: {error}; the setting lr is now "
            f"{recipe.settings['lr']}"
        ) from error


def _cuts(items: int, batch_size: int) -> list[tuple[int, int]]:
    """Return where batches start and stop; one item left over joins the batch before it.

    BatchNorm has no variance over one item and raises.
    """
    starts = list(range(0, items, batch_size))
    if len(starts) > 1 and items - starts[-1] == 1:
        starts.pop()
    return list(zip(starts, [*starts[1:], items], strict=True))


def _optimizer(recipe: Recipe, model: MultimodalModel) -> torch.optim.Optimizer:
    lr, decay = float(recipe.settings["lr"]), float(recipe.settings["weight_decay"])
    if recipe.settings["optimizer"] == "adamw":
        return torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=decay)
    return torch.optim.SGD(
        model.parameters(),
        lr=lr,
        weight_decay=decay,
        momentum=float(recipe.settings["momentum"]),
    )


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
