"""How well a trained model predicts: its fused output and each modality's own."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from sharpscope.datasets import Split
from sharpscope.models import MultimodalModel
from sharpscope.modes import evaluating
from sharpscope.ranking import auprc, auroc, mean
from sharpscope.recipes import summed_loss

Metrics = dict[str, Any]

BATCH_SIZE = 500


def evaluate(
    model: MultimodalModel,
    split: Split,
    *,
    classes: Sequence[str],
    outputs: Sequence[str] | None = None,
    ranked: bool = True,
) -> dict[str, Metrics]:
    """Measure predictions in eval mode.

    ``loss`` is the cross entropy per item (and label), ``accuracy`` the share of right classes, or
    of right labels where they do not exclude each other. ``macro_auprc`` is the mean over classes
    of the average precision (what is called mAP), ``macro_auroc`` that of the area under the ROC
    curve, each class against the rest. Where labels do not exclude each other, ``auprc`` and
    ``auroc`` give them per label and ``excluded`` names those without a positive item in the
    split, which have neither.

    Args:
        model: Left as it was.
        split: Items to predict, at least one.
        classes: Names of classes or labels.
        outputs: ``fusion`` and modalities to report; all by default.
        ranked: Whether to rank exclusive classes as well, for ``macro_auprc`` and ``macro_auroc``.
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
    return {
        name: _scores(torch.cat(predicted[name]), split.target, classes, ranked=ranked)
        for name in names
    }


def _scores(logits: Tensor, target: Tensor, classes: Sequence[str], *, ranked: bool) -> Metrics:
    loss = summed_loss(logits.double(), target).item() / target.numel()
    if target.is_floating_point():
        right = ((logits > 0) == (target > 0.5)).double().mean().item()
        order, truth = logits.numpy(), target.numpy()
        precisions, areas = auprc(order, truth, classes), auroc(order, truth, classes)
        return {
            "loss": loss,
            "accuracy": right,
            "macro_auprc": mean(precisions),
            "macro_auroc": mean(areas),
            "auprc": precisions,
            "auroc": areas,
            "excluded": [name for name in classes if name not in precisions],
        }
    right = (logits.argmax(1) == target).double().mean().item()
    found = {"loss": loss, "accuracy": right}
    if not ranked:
        return found
    one_hot = torch.nn.functional.one_hot(target, logits.shape[1]).numpy()
    order = logits.double().softmax(1).numpy()
    return found | {
        "macro_auprc": mean(auprc(order, one_hot, classes)),
        "macro_auroc": mean(auroc(order, one_hot, classes)),
    }
