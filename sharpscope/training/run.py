"""A training run: its epochs, and the state that it can be taken up from."""

import math
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import torch

from sharpscope.datasets import Dataset
from sharpscope.errors import CheckpointError, MisuseError, SharpscopeError
from sharpscope.models import MultimodalModel
from sharpscope.recipes import Recipe
from sharpscope.streams import stream
from sharpscope.training.history import Epoch
from sharpscope.training.metrics import evaluate
from sharpscope.training.stepping import Stepper, Tally
from sharpscope.training.watching import Watching

STATE_FORMAT = "sharpscope/training-state"


class Run:
    """The training of a recipe, epoch by epoch.

    Args:
        recipe: What is trained.
        model: On the device.
        dataset: The data.
        device: Where.
        watch: Looks on, if anybody does.

    Attributes:
        history: One entry per epoch so far.
        best: The epoch with the best validation score so far, and the weights after it.
    """

    def __init__(
        self,
        recipe: Recipe,
        model: MultimodalModel,
        dataset: Dataset,
        device: torch.device,
        watch: Watching | None = None,
    ):
        self._watch = watch
        self.recipe, self.model, self.dataset, self.device = recipe, model, dataset, device
        split = dataset.splits["train"]
        inputs = {name: values.to(device) for name, values in split.inputs.items()}
        self._items = inputs | {"target": split.target.to(device)}
        self._cuts = cuts(len(split), int(recipe.settings["batch_size"]))
        base = _optimizer(recipe, model)
        self.stepper = Stepper(recipe, model, base)
        steps = recipe.epochs * len(self._cuts)
        self._schedule = torch.optim.lr_scheduler.CosineAnnealingLR(base, T_max=steps)
        self.history: list[Epoch] = []
        self.best: tuple[int, float, dict[str, Any]] | None = None
        self._before = 0.0
        self._started = time.perf_counter()
        self._apart = 0.0

    @property
    def done(self) -> bool:
        """Whether there is nothing left to train: all epochs, or patience is at its end."""
        if len(self.history) >= self.recipe.epochs:
            return True
        patience = int(self.recipe.settings["patience"])
        return bool(patience and self.best and len(self.history) - self.best[0] >= patience)

    @property
    def seconds(self) -> float:
        """Seconds of training so far, also before it was taken up again; of watching none."""
        return self._before + time.perf_counter() - self._started - self._apart

    @contextmanager
    def apart(self) -> Generator[None]:
        """Leave the seconds of the block out of those of training, also where it raises."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self._apart += time.perf_counter() - began

    def begin(self) -> None:
        """Let those who watch see the model before the next step."""
        if self._watch is not None:
            done = len(self.history)
            with self.apart():
                self._watch.begin(
                    self.model,
                    optimizer=self.stepper.optimizer,
                    step=done * len(self._cuts),
                    epoch=float(done),
                )

    def epoch(self) -> Epoch:
        """Train for one epoch and return what it was like.

        Raises:
            SharpscopeError: If the loss stops being finite.
        """
        number = len(self.history) + 1
        rows_in_order = torch.randperm(
            len(self._items["target"]), generator=stream(self.recipe.seed, "shuffle", number)
        )
        tally = Tally()
        self.model.train()
        for place, (start, stop) in enumerate(self._cuts, start=1):
            rows = rows_in_order[start:stop].to(self.device)
            batch = {name: values[rows] for name, values in self._items.items()}
            with _named(number, self.recipe):
                self.stepper.step(batch, tally)
            self._schedule.step()
            if self._watch is not None:
                done = number - 1 + place / len(self._cuts)
                with self.apart():
                    self._watch((number - 1) * len(self._cuts) + place, epoch=done)
        losses = tally.mean_losses()
        total = losses.pop("total")
        if not math.isfinite(total):
            raise SharpscopeError(
                f"training diverged: the loss of epoch {number} is {total}; "
                f"lower the setting lr, now {self.recipe.settings['lr']}"
            )
        trained = self.recipe.trains_heads or self.model.fusion.takes == "logits"
        found = Epoch(
            epoch=number,
            epochs=self.recipe.epochs,
            loss=total,
            seconds=self.seconds,
            losses=losses,
            dominant=tally.dominant,
            alignment=tally.mean_words("alignment"),
            shares=tally.mean_words("shares"),
            scores=tally.mean_words("scores"),
            val=evaluate(
                self.model,
                self.dataset.splits["val"],
                classes=self.dataset.classes,
                outputs=None if trained else ["fusion"],
                ranked=False,
            ),
        )
        self.history.append(found)
        if self._watch is not None:
            with self.apart():
                self._watch.epoch(number)
        if found.score is not None and (self.best is None or found.score > self.best[1]):
            weights = {k: v.detach().cpu().clone() for k, v in self.model.state_dict().items()}
            self.best = (number, found.score, weights)
        return found

    def finish(self) -> None:
        """Leave the model with the weights that the recipe keeps."""
        if self.recipe.settings["keep"] == "best" and self.best is not None:
            self.model.load_state_dict(self.best[2])

    def state(self) -> dict[str, Any]:
        """Return all that the next epoch depends on, as plain types and tensors."""
        on_cuda = self.device.type == "cuda"
        return {
            "format": STATE_FORMAT,
            "recipe": self.recipe.to_dict(),
            "model": self.model.state_dict(),
            "optimizer": self.stepper.optimizer.state_dict(),
            "schedule": self._schedule.state_dict(),
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state(self.device) if on_cuda else None,
            "history": [asdict(epoch) for epoch in self.history],
            "best": self.best,
            "seconds": self.seconds,
        }

    def take_up(self, state: Mapping[str, Any]) -> None:
        """Go on from a state.

        Raises:
            CheckpointError: If it is none.
            MisuseError: If it is that of another recipe.
        """
        if state.get("format") != STATE_FORMAT:
            raise CheckpointError(
                f"this is no training state: its format is {state.get('format')!r}"
            )
        theirs = Recipe.from_dict(state["recipe"])
        if theirs != self.recipe:
            raise MisuseError(
                f"the training that was begun is another one: {_difference(theirs, self.recipe)}; "
                "repeat its arguments, or name another file with --out"
            )
        self.model.load_state_dict(state["model"])
        self.stepper.optimizer.load_state_dict(state["optimizer"])
        self._schedule.load_state_dict(state["schedule"])
        torch.set_rng_state(state["random"].cpu())
        if state["random_cuda"] is not None and self.device.type == "cuda":
            torch.cuda.set_rng_state(state["random_cuda"].cpu(), self.device)
        self.history = [Epoch(**entry) for entry in state["history"]]
        self.best = None if state["best"] is None else tuple(state["best"])
        self._before = state["seconds"]


def _difference(theirs: Recipe, ours: Recipe) -> str:
    """Return the first entry in which two recipes differ."""
    flat = [r.to_dict() | dict(r.settings) | {"settings": None} for r in (theirs, ours)]
    name = next(n for n in flat[0] if flat[0][n] != flat[1].get(n))
    return f"its {name} is {flat[0][name]!r}, not {flat[1].get(name)!r}"


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


def cuts(items: int, batch_size: int) -> list[tuple[int, int]]:
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
