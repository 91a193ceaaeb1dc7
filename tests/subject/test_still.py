"""A measured model is given back bit-identical, whatever it did and however the block ended."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from sharpscope.errors import SubjectError
from tests import problems
from tests.subject.restless import data, measure, restless, subject_over
from tests.subject.snapshot import photograph, same


@pytest.mark.parametrize("dtype", [None, "float64"])
@pytest.mark.parametrize("name", ["a", "shared", "all"])
def test_everything_is_as_before_after_success(dtype: Any, name: str):
    model = restless()
    before = photograph(model)
    assert measure(subject_over(model, dtype=dtype), name).abs().max() > 0
    same(model, before)


@pytest.mark.parametrize("problem", ["tied", "frozen", "conv_batchnorm", "lstm", "attention"])
@pytest.mark.parametrize("dtype", [None, "float64"])
def test_stock_layers_are_as_before(problem: str, dtype: Any):
    model = problems.build(problem)
    model.get_submodule("fusion").eval()
    before = photograph(model)
    measure(problems.subject_of(model, dtype=dtype), problems.PROBLEMS[problem].modality)
    same(model, before)


def test_a_tied_weight_stays_tied_inside_and_after():
    model: Any = problems.build("tied")
    subject = problems.subject_of(model)
    with subject.still():
        assert model.ehr_model.again.weight is model.ehr_model.down.weight
        assert model.ehr_model.down.weight.dtype == torch.float64
    assert model.ehr_model.again.weight is model.ehr_model.down.weight


def test_shared_buffers_stay_shared_inside():
    model: Any = nn.Module()
    model.first, model.other = nn.Linear(3, 2), nn.Linear(1, 1)
    buffer = torch.ones(2)
    model.first.register_buffer("scale", buffer)
    model.other.register_buffer("scale", buffer)
    with subject_over(model).still():
        assert model.first.scale is model.other.scale
        assert model.first.scale is not buffer


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_a_half_precision_model_is_measured_in_float32_and_given_back(half: torch.dtype):
    model = restless().to(half)
    before = photograph(model)
    found = measure(subject_over(model))
    assert found.dtype == torch.float32
    same(model, before)


@pytest.mark.parametrize("error", [RuntimeError("in the middle"), KeyboardInterrupt()])
# 4 passes are the proof's; the 6th is the second batch of the product.
@pytest.mark.parametrize("after", [0, 2, 5])
@pytest.mark.parametrize("dtype", [None, "float64"])
def test_everything_is_as_before_after_a_failure(error: BaseException, after: int, dtype: Any):
    model = restless()
    model.fails, model.fails_after = error, after
    before = photograph(model)
    subject = subject_over(model, dtype=dtype)
    expected = SubjectError if isinstance(error, Exception) else KeyboardInterrupt
    with pytest.raises(expected):
        measure(subject)
    same(model, before)
    model.fails = None
    assert measure(subject).abs().max() > 0  # the subject is still good
    model.fails = error
    same(model, before)


def test_an_optimizer_goes_on_as_if_nothing_had_been_measured():
    def trained(*, measured: bool) -> list[Tensor]:
        model = restless()
        optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
        for step in range(3):
            optimizer.zero_grad()
            loss = functional.cross_entropy(model(data()[0][0]), data()[0][1])
            if measured and step > 0:
                measure(subject_over(model, dtype="float64"))  # with the graph alive
            loss.backward()
            if measured:
                measure(subject_over(model))  # with gradients waiting
            optimizer.step()
        return [*model.parameters(), torch.get_rng_state()]

    for ours, plain in zip(trained(measured=True), trained(measured=False), strict=True):
        assert torch.equal(ours, plain)


class Merging(nn.Linear):
    """A LoRA layer: ``eval()`` merges the update into the weight, ``train()`` takes it out."""

    def __init__(self):
        super().__init__(3, 4)
        self.update = nn.Parameter(torch.ones(4, 3))
        self.merged = False

    def train(self, mode: bool = True) -> "Merging":
        super().train(mode)
        if self.merged == mode:
            self.weight.data += -self.update.data if mode else self.update.data
            self.merged = not mode
        return self


def test_a_layer_that_merges_weights_in_eval_mode_is_given_back_unmerged():
    model: Any = restless()
    model.first = Merging().train()
    before = photograph(model)
    measure(subject_over(model))
    same(model, before)
    assert not model.first.merged


class Replacing(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        out = self.first(x)
        self.first.bias = nn.Parameter(torch.full_like(self.first.bias, 7.0))
        self.extra = nn.Linear(1, 1)
        self.note = "new"
        self.first.weight.requires_grad_(False)
        return out


def test_a_model_that_replaces_its_own_parameters_gets_them_back():
    model = Replacing()
    before = photograph(model)
    with pytest.raises(SubjectError, match="does not stand still"):
        subject_over(model).census()
    same(model, before)
