"""Native and PyHessian engines agree on every bundled recipe."""

import functools
import math
from typing import Any

import pytest
import torch
from torch import Tensor

import sharpscope as ss
from sharpscope.engines import PyHessianOperator
from sharpscope.operators import HessianOperator
from sharpscope.recipes import build_dataset, build_model, losses, parse_recipe
from sharpscope.results import TraceResult
from sharpscope.subject import Subject

CASES = {
    "avdigits": "image",
    "emoji": "image",
    "mfeat": "pix",
    "ehr-cxr:small": "ehr",
}


@functools.cache
def trained(name: str, *, fusion: float = 1.0) -> Subject:
    """Return 24 items, in batches of 16 and 8, under a model after 15 steps.

    A fusion scaled by -1 makes confident mistakes, where curvature is negative.
    """
    recipe = parse_recipe(name)
    dataset = build_dataset(recipe)
    model, loss = build_model(recipe, dataset), losses(recipe, dataset)["fusion"]
    batches: list[Any] = list(dataset.splits["train"].batches(16))[:2]
    optimizer = torch.optim.AdamW(model.train().parameters(), lr=2e-3)
    for step in range(15):
        optimizer.zero_grad()
        _mean(loss(model, batches[step % 2])).backward()
        optimizer.step()
    optimizer.zero_grad()
    with torch.no_grad():
        for parameter in model.fusion.parameters():
            parameter.mul_(fusion)
    encoders = {modality: f"encoders.{modality}" for modality in dataset.modalities}
    return Subject(model, batches, loss=loss, encoders=encoders, samples=24)


@pytest.mark.parametrize("name", CASES)
def test_products_agree(name: str):
    subject, modality = trained(name), CASES[name]
    ours, theirs = HessianOperator(subject, modality), PyHessianOperator(subject, modality)
    vector = torch.randn(ours.dim)
    product = ours.matvec(vector)
    assert product.norm() > 0
    assert (theirs.matvec(vector) - product).norm() <= 1e-4 * product.norm()


@pytest.mark.parametrize("name", CASES)
def test_traces_agree_within_their_errors(name: str):
    subject, modality = trained(name), CASES[name]
    ours = ss.trace(subject, modality, method="hutchinson", probes=20)
    theirs = ss.trace(subject, modality, engine="pyhessian", probes=20, seed=1)
    _agree(ours, theirs)


def test_a_negative_trace_agrees():
    subject = trained("ehr-cxr:small", fusion=-1.0)
    ours = ss.trace(subject, "ehr", method="hutchinson", probes=20)
    theirs = ss.trace(subject, "ehr", engine="pyhessian", probes=20, seed=1)
    _agree(ours, theirs)
    for found in (ours, theirs):
        assert found.interval is not None
        assert found.interval[1] < 0


@pytest.mark.parametrize("name", CASES)
def test_eigenvalues_agree(name: str):
    subject, modality = trained(name), CASES[name]
    ours = ss.eigenvalues(subject, modality, rtol=1e-3)
    theirs = ss.eigenvalues(subject, modality, engine="pyhessian", rtol=1e-2)
    assert (ours.outcome, theirs.outcome) == ("converged", "converged")
    assert theirs.largest_magnitude == pytest.approx(ours.largest_magnitude, rel=1e-3)


def _mean(value: Tensor | tuple[Tensor, float]) -> Tensor:
    return value[0] / value[1] if isinstance(value, tuple) else value


def _agree(ours: TraceResult, theirs: TraceResult) -> None:
    assert ours.value is not None
    assert theirs.value is not None
    assert ours.standard_error is not None
    assert theirs.standard_error is not None
    error = math.hypot(ours.standard_error, theirs.standard_error)
    assert abs(ours.value - theirs.value) <= 4 * error
    assert (ours.loss_value, ours.samples) == (theirs.loss_value, theirs.samples)
