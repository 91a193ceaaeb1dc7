"""The error bar is honest: intervals cover the true trace as often as they say."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from sharpscope.estimators import Hutchinson, HutchPlusPlus
from sharpscope.operators import DenseOperator, HessianOperator
from sharpscope.recipes import parse_recipe
from sharpscope.subject.rebuild import load_subject
from sharpscope.training import save_checkpoint, train
from tests import problems

SEEDS = 200


@functools.cache
def trained_encoder() -> DenseOperator:
    """Return the float32 Hessian of an encoder after 300 steps of Adam, column by column."""
    model = problems.build("conv_batchnorm")
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(300):
        for ehr, cxr, target in problems.batches((8, 8)):
            optimizer.zero_grad()
            functional.cross_entropy(model(ehr, cxr), target).backward()
            optimizer.step()
    return _columns(HessianOperator(problems.subject_of(model, dtype=None), "cxr"))


@functools.cache
def negative_encoder() -> DenseOperator:
    """Return the Hessian of an encoder that is trained to be unsure: its trace is negative."""

    def loss(model: nn.Module, batch: Any) -> torch.Tensor:
        return -functional.cross_entropy(model(*batch[:2]), batch[2])

    subject = problems.subject_of(problems.build("layer_norm"), loss=loss, dtype=None)
    return _columns(HessianOperator(subject, "ehr"))


def _columns(operator: HessianOperator) -> DenseOperator:
    matrix = operator.matmat(torch.eye(operator.dim))
    return DenseOperator((matrix + matrix.T) / 2)


@pytest.mark.parametrize("estimator", [Hutchinson, HutchPlusPlus])
@pytest.mark.parametrize("encoder", [trained_encoder, negative_encoder])
@pytest.mark.parametrize("rtol", [0.1, 0.2])
def test_intervals_cover_the_true_trace(
    estimator: Callable[..., Any], encoder: Callable[[], DenseOperator], rtol: float
):
    operator = encoder()
    true = operator.matrix.double().trace().item()
    assert operator.dtype == torch.float32
    assert (true < 0) == (encoder is negative_encoder)
    covered = 0
    for seed in range(SEEDS):
        found = estimator(rtol=rtol, seed=seed)(operator)
        assert found.interval is not None
        low, high = found.interval
        covered += low <= true <= high
    assert 0.90 <= covered / SEEDS <= 0.99


@pytest.mark.slow
@pytest.mark.parametrize("estimator", [Hutchinson, HutchPlusPlus])
def test_intervals_cover_through_the_operator_of_a_trained_recipe(
    estimator: Callable[..., Any], tmp_path: Path
):
    """Nothing in between: a checkpoint from disk, float32 products, 2,624 parameters."""
    path = tmp_path / "mfeat.pt"
    save_checkpoint(path, train(parse_recipe("mfeat", method="joint", seed=0)))
    operator = HessianOperator(load_subject(path, samples=256), "mor")
    assert operator.dtype == torch.float32
    covered = 0
    with operator.session():
        blocks = torch.eye(operator.dim).split(64, dim=1)
        true = sum(operator.products(block).quadratic.sum().item() for block in blocks)
        for seed in range(SEEDS):
            found = estimator(rtol=0.05, seed=seed)(operator)
            assert found.interval is not None
            covered += found.interval[0] <= true <= found.interval[1]
    assert 0.90 <= covered / SEEDS <= 0.99, covered
