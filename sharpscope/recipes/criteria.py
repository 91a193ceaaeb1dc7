"""The losses of a recipe, each as a sum and the weight to divide it by."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from torch import Tensor
from torch.nn import functional as F

from sharpscope.datasets import Dataset
from sharpscope.models import MultimodalModel
from sharpscope.recipes.recipe import Recipe

Batch = Mapping[str, Tensor]
BatchLoss = Callable[[Any, Batch], tuple[Tensor, float]]
BatchLosses = Callable[[Any, Batch], tuple[dict[str, Tensor], float]]


def summed_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Return the loss summed over items (and labels).

    Args:
        logits: (N, outputs).
        target: Classes, int64 (N,): cross entropy. Zeros and ones, float (N, outputs): binary cross
            entropy of each label.
    """
    if target.is_floating_point():
        return F.binary_cross_entropy_with_logits(logits, target.to(logits.dtype), reduction="sum")
    return F.cross_entropy(logits, target, reduction="sum")


def losses(recipe: Recipe, dataset: Dataset) -> dict[str, BatchLoss]:
    """Return the loss of the fused prediction as ``fusion``, and one per modality by its name.

    Each is called with model and batch and returns (sum, weight); the weight is the number of
    items, times the number of labels where these are not exclusive. A modality's loss runs only
    that modality's encoder and head.
    """
    return {"fusion": _fusion_loss} | {
        name: partial(_unimodal_loss, name) for name in dataset.modalities
    }


def predict(model: MultimodalModel, batch: Batch) -> tuple[Tensor, Tensor]:
    """Return fused logits and target of a batch."""
    return model(batch), batch["target"]


def training_losses(recipe: Recipe) -> BatchLosses:
    """Return what a training step looks at, as sums by name and their weight, in one pass.

    ``fusion``, and each modality where the unimodal losses have a weight.
    """
    return _all_losses if recipe.trains_heads else _fusion_alone


def total_of(sums: Mapping[str, Tensor], weight: float) -> Tensor:
    """Return ``L_fusion + λ Σ_m L_m`` of losses by name."""
    total = sums["fusion"]
    for name, loss in sums.items():
        if name != "fusion":
            total = total + weight * loss
    return total


def _fusion_loss(model: MultimodalModel, batch: Batch) -> tuple[Tensor, float]:
    return summed_loss(model(batch), batch["target"]), float(batch["target"].numel())


def _unimodal_loss(name: str, model: MultimodalModel, batch: Batch) -> tuple[Tensor, float]:
    target = batch["target"]
    return summed_loss(model.unimodal(name, batch), target), float(target.numel())


def _fusion_alone(model: MultimodalModel, batch: Batch) -> tuple[dict[str, Tensor], float]:
    total, weight = _fusion_loss(model, batch)
    return {"fusion": total}, weight


def _all_losses(model: MultimodalModel, batch: Batch) -> tuple[dict[str, Tensor], float]:
    target = batch["target"]
    outputs = model.outputs(batch)
    found = {"fusion": outputs.fusion} | outputs.unimodal
    sums = {name: summed_loss(logits, target) for name, logits in found.items()}
    return sums, float(target.numel())
