"""Unimodal heads for models that were trained without them."""

import torch
from torch import Tensor, nn

from sharpscope.datasets import Split
from sharpscope.models import MultimodalModel
from sharpscope.modes import evaluating
from sharpscope.recipes import summed_loss
from sharpscope.training.metrics import BATCH_SIZE

PENALTY = 1e-3  # on the squared weights, so that separable classes have a finite solution
ITERATIONS = 50


def fit_heads(model: MultimodalModel, split: Split) -> None:
    """Fit each unimodal head on its encoder's fixed embeddings; change nothing else.

    A method that trains on the fused loss alone leaves the heads at their initial values, and their
    predictions would say nothing about the encoders. The fit is a penalized logistic regression by
    L-BFGS, from zero, so that it has one answer.

    Args:
        model: Its heads are fitted in place.
        split: Training items.
    """
    device = next(model.parameters()).device
    with evaluating(model), torch.no_grad():
        seen = [
            model.features({name: values.to(device) for name, values in batch.items()})
            for batch in split.batches(BATCH_SIZE)
        ]
    target = split.target.to(device)
    for name, head in model.heads.items():
        _fit(head, torch.cat([part[name] for part in seen]), target)


def _fit(head: nn.Module, features: Tensor, target: Tensor) -> None:
    """Minimize the penalized mean loss of one head over all items at once."""
    parameters = list(head.parameters())
    for parameter in parameters:
        nn.init.zeros_(parameter)
    optimizer = torch.optim.LBFGS(parameters, max_iter=ITERATIONS, line_search_fn="strong_wolfe")

    def objective() -> float:
        optimizer.zero_grad()
        loss = summed_loss(head(features), target) / target.numel()
        loss = loss + PENALTY * sum(parameter.square().sum() for parameter in parameters)
        loss.backward()
        return loss.item()

    optimizer.step(objective)
    optimizer.zero_grad()
