"""One training step of a recipe's method, and what an epoch of them was like."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from sharpscope.models import MultimodalModel
from sharpscope.optim import (
    ASAM,
    MASAM,
    MSAM,
    SAM,
    Losses,
    MASAMStep,
    MSAMStep,
    Step,
    masked_performance,
)
from sharpscope.recipes import Recipe, summed_loss, total_of, training_losses

Batch = dict[str, Tensor]


@dataclass
class Tally:
    """Sums over the steps of an epoch.

    Attributes:
        weight: Of all batches.
        losses: Weighted sums: ``total``, ``fusion`` and each modality.
        dominant: How often each modality dominated.
        means: What the method says of each modality, by its word: sums, and over how many steps.
    """

    weight: float = 0.0
    losses: dict[str, float] = field(default_factory=dict[str, float])
    dominant: dict[str, int] = field(default_factory=dict[str, int])
    means: dict[str, dict[str, tuple[float, int]]] = field(
        default_factory=dict[str, dict[str, tuple[float, int]]]
    )

    def add(self, losses: Mapping[str, float], weight: float) -> None:
        """Add a batch's mean losses."""
        self.weight += weight
        for name, value in losses.items():
            self.losses[name] = self.losses.get(name, 0.0) + weight * value

    def note(self, record: Step) -> None:
        """Add what a method says of a step."""
        said: dict[str, Mapping[str, float]] = {}
        if isinstance(record, MASAMStep):
            said = {"alignment": record.alignment, "scores": record.scores}
        if isinstance(record, MSAMStep):
            said = {"shares": record.shares}
        if isinstance(record, MSAMStep | MASAMStep) and record.dominant is not None:
            self.dominant[record.dominant] = self.dominant.get(record.dominant, 0) + 1
        for word, values in said.items():
            sums = self.means.setdefault(word, {})
            for name, value in values.items():
                before, count = sums.get(name, (0.0, 0))
                sums[name] = before + value, count + 1

    def mean_losses(self) -> dict[str, float]:
        """Return the mean losses over the items."""
        return {name: value / self.weight for name, value in self.losses.items()}

    def mean_words(self, word: str) -> dict[str, float]:
        """Return the mean of what was said under a word, over the steps that said it."""
        return {n: value / count for n, (value, count) in self.means.get(word, {}).items()}


class Stepper:
    """Takes the steps of a recipe's method.

    Args:
        recipe: What is trained.
        model: In train mode.
        base: The base optimizer of its parameters.

    Attributes:
        optimizer: What steps: the base optimizer, or the method's around it.
    """

    def __init__(self, recipe: Recipe, model: MultimodalModel, base: Optimizer):
        self.recipe, self.model = recipe, model
        self._losses_of = training_losses(recipe)
        make = _OPTIMIZERS.get(recipe.method)
        encoders = dict(model.encoders.items())
        self.optimizer = base if make is None else make(base, encoders, recipe)

    def step(self, batch: Batch, tally: Tally) -> None:
        """Take one step on a batch."""
        if isinstance(self.optimizer, SAM | MSAM | MASAM):
            self._sharp(batch, tally)
            return
        sums, weight = self._losses_of(self.model, batch)
        total = total_of(sums, self.recipe.unimodal_weight)
        self.optimizer.zero_grad()
        (total / weight).backward()
        self.optimizer.step()
        values = torch.stack([total, *sums.values()]).detach().tolist()
        names = ["total", *sums]
        tally.add({n: v / weight for n, v in zip(names, values, strict=True)}, weight)

    def _sharp(self, batch: Batch, tally: Tally) -> None:
        extra: dict[str, Any] = {}
        settings = self.recipe.settings
        if isinstance(self.optimizer, MSAM):
            inputs = {name: batch[name] for name in self.recipe.modalities}
            extra["performance"] = masked_performance(
                self.model,
                inputs,
                batch["target"],
                str(settings["contribution"]),
                str(settings["mask"]),
            )
        closure: Any = self._forward(batch)
        if settings.get("decompose") == "present":
            closure = self._forward_present(batch)
        optimizer: Any = self.optimizer
        record = optimizer.step(closure, **extra)
        losses = {"total": record.total, "fusion": record.fusion, **record.unimodal}
        tally.add(losses, float(batch["target"].numel()))
        tally.note(record)

    def _forward(self, batch: Batch) -> Callable[[], Losses]:
        def losses() -> Losses:
            if self.recipe.settings.get("score") == "ogm":
                return self._with_scores(batch)
            sums, weight = self._losses_of(self.model, batch)
            fusion = sums.pop("fusion") / weight
            return Losses(fusion, {name: loss / weight for name, loss in sums.items()})

        return losses

    def _forward_present(self, batch: Batch) -> Callable[[frozenset[str]], Losses]:
        """Return the pass with absent modalities masked as for the shares."""
        mask = self.recipe.settings["mask"]

        def losses(present: frozenset[str]) -> Losses:
            absent = [name for name in self.recipe.modalities if name not in present]
            if mask == "zero_input":
                zeros = {name: torch.zeros_like(batch[name]) for name in absent}
                return self._forward(batch | zeros)()
            features = self.model.features(batch)
            for name in absent:
                z = features[name]
                mean = z.mean(0, keepdim=True).expand_as(z)
                features[name] = mean if mask == "mean_feature" else torch.zeros_like(z)
            target, weight = batch["target"], float(batch["target"].numel())
            logits = self.model.read(features) if self.recipe.trains_heads else {}
            return Losses(
                summed_loss(self.model.fuse(features), target) / weight,
                # A masked head says nothing of its encoder.
                {n: summed_loss(v, target) / weight for n, v in logits.items() if n in present},
            )

        return losses

    def _with_scores(self, batch: Batch) -> Losses:
        """Return the losses, and the summed probability of what is true by each unimodal head."""
        target, outputs = batch["target"], self.model.outputs(batch)
        scores: dict[str, Tensor] = {}
        for name, logits in outputs.unimodal.items():
            if target.is_floating_point():
                there = logits.detach().sigmoid()
                scores[name] = (target * there + (1 - target) * (1 - there)).sum()
            else:
                scores[name] = logits.detach().softmax(1).gather(1, target[:, None]).sum()
        weight = float(target.numel())
        unimodal = {n: summed_loss(v, target) / weight for n, v in outputs.unimodal.items()}
        return Losses(summed_loss(outputs.fusion, target) / weight, unimodal, scores)


def _plain(kind: Any, *names: str) -> Callable[[Optimizer, Mapping[str, Any], Recipe], Optimizer]:
    """Return what makes an optimizer from a recipe's settings of these names."""

    def make(base: Optimizer, encoders: Mapping[str, Any], recipe: Recipe) -> Optimizer:
        yes = {"yes": True, "no": False}
        chosen = {name: recipe.settings[name] for name in ("rho", "unimodal_weight", *names)}
        chosen = {name: yes.get(str(value), value) for name, value in chosen.items()}
        if chosen.get("score") == "ogm":
            chosen["score"] = "given"
        return kind(base, encoders=encoders, **chosen)

    return make


_OPTIMIZERS = {
    "sam": _plain(SAM),
    "asam": _plain(ASAM, "eta"),
    "msam": _plain(MSAM, "decompose", "normalize", "scope", "empty", "every", "ema"),
    "masam": _plain(
        MASAM,
        "alpha",
        "beta",
        "mode",
        "decay",
        "other_first",
        "select",
        "scale",
        "score",
        "direction",
        "negative",
        "alignment",
        "every",
    ),
}
