"""How well a trained model predicts: its fused output and each modality's own."""

from collections.abc import Sequence
from typing import Any

import torch
from sklearn.metrics import average_precision_score
from torch import Tensor

from sharpscope.datasets import Split
from sharpscope.models import MultimodalModel
from sharpscope.modes import evaluating
from sharpscope.recipes import summed_loss

Metrics = dict[str, Any]

BATCH_SIZE = 500


def evaluate(
    model: MultimodalModel,
    split: Split,
    *,
    classes: Sequence[str],
    outputs: Sequence[str] | None = None,
) -> dict[str, Metrics]:
    """Measure predictions in eval mode.

    Where classes exclude each other: ``loss`` (cross entropy per item) and ``accuracy`` (0 to 1).
    Where they do not: ``loss`` (binary cross entropy per item and label), ``auprc`` per label
    (average precision), ``macro_auprc`` (its mean), and ``excluded``, the labels that have no
    positive item in the split and therefore no AUPRC.

    Args:
        model: Left as it was.
        split: Items to predict, at least one.
        classes: Names of classes or labels.
        outputs: ``fusion`` and modalities to report; all by default.
    """
    parameter = next(model.parameters())
    predicted: dict[str, list[Tensor]] = {}
    with evaluating(model), torch.no_grad():
        for batch in split.batches(BATCH_SIZE):
            moved = {name: values.to(parameter.device) for name, values in batch.items()}
            logits = model.outputs(moved)
            for name, values in {"fusion": logits.fusion, **logits.unimodal}.items():
                predicted.setdefault(name, []).append(values.cpu())
    names = list(predicted) if outputs is None else outputs
    return {name: _scores(torch.cat(predicted[name]), split.target, classes) for name in names}


def _scores(logits: Tensor, target: Tensor, classes: Sequence[str]) -> Metrics:
    loss = summed_loss(logits.double(), target).item() / target.numel()
    if not target.is_floating_point():
        return {"loss": loss, "accuracy": (logits.argmax(1) == target).double().mean().item()}
    present = target.sum(0) > 0
    auprc = {
        name: float(average_precision_score(target[:, column].numpy(), logits[:, column].numpy()))
        for column, name in enumerate(classes)
        if present[column]
    }
    return {
        "loss": loss,
        "macro_auprc": sum(auprc.values()) / len(auprc) if auprc else None,
        "auprc": auprc,
        "excluded": [name for name in classes if name not in auprc],
    }
