"""The model comes back bit for bit from PyHessian, also where it fails or is interrupted."""

import random
import warnings
from collections.abc import Generator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sharpscope.engines import PyHessianEigenvalue, PyHessianTrace
from sharpscope.errors import SubjectError
from tests import problems


class Interrupted:
    """Batches whose walk fails at a chosen pass."""

    def __init__(self, error: type[BaseException], at: int):
        self.error, self.at, self.walks = error, at, 0

    def __iter__(self) -> Generator[Any]:
        self.walks += 1
        yield from problems.batches()
        if self.walks == self.at:
            raise self.error("halfway")


def _state(model: nn.Module) -> list[Any]:
    tensors = [*model.parameters(), *model.buffers()]
    return [
        [(id(t), t.data_ptr(), t.dtype, t.detach().clone()) for t in tensors],
        [(p.requires_grad, None if p.grad is None else p.grad.clone()) for p in model.parameters()],
        [module.training for module in model.modules()],
        torch.get_rng_state(),
        random.getstate(),
        str(np.random.get_state()),
    ]


def _same(one: Any, two: Any) -> bool:
    if isinstance(one, Tensor):
        return bool(torch.equal(one, two))
    if isinstance(one, list | tuple):
        return len(one) == len(two) and all(_same(a, b) for a, b in zip(one, two, strict=True))
    return bool(one == two)


@pytest.mark.parametrize("estimator", [PyHessianTrace(probes=3), PyHessianEigenvalue(budget=3)])
@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt])
def test_the_model_is_given_back_bit_identical(estimator: Any, error: Any):
    model = problems.build("conv_batchnorm")
    names = [name for name, _ in model.named_parameters() if name.startswith("ehr")]
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name not in names[:1])
        parameter.grad = torch.randn_like(parameter) if name not in names[1:] else None
    # The proof takes two walks and the first look at a batch a third: the fifth is a product.
    data = Interrupted(error, at=5) if error else problems.batches()
    subject = problems.subject_of(model, data=data)
    before = _state(model)
    filters = list(warnings.filters)
    if error is None:
        estimator(subject, "cxr")
    else:
        with pytest.raises(SubjectError if error is ValueError else error):
            estimator(subject, "cxr")
    assert _same(before, _state(model))
    assert warnings.filters == filters


@pytest.mark.parametrize("estimator", [PyHessianTrace(probes=3), PyHessianEigenvalue(budget=3)])
def test_gpus_are_not_seeded_by_a_measurement_on_the_cpu(
    estimator: Any, monkeypatch: pytest.MonkeyPatch
):
    subject = problems.subject_of(problems.build("maxout"))

    def seeded(_: int) -> None:
        raise AssertionError("a GPU was seeded")

    for name in ("manual_seed", "manual_seed_all"):
        monkeypatch.setattr(torch.cuda, name, seeded)
    estimator(subject, "cxr")


@pytest.mark.gpu
@pytest.mark.parametrize("estimator", [PyHessianTrace(probes=3), PyHessianEigenvalue(budget=3)])
def test_the_state_of_the_gpu_is_given_back_and_the_seed_decides(estimator: Any):
    subject = problems.subject_of(problems.build("maxout"), device="cuda")
    torch.cuda.init()
    before = torch.cuda.get_rng_state()
    first, second = (estimator(subject, "cxr").to_dict() for _ in range(2))
    assert torch.equal(before, torch.cuda.get_rng_state())
    for name in ("value", "eigenvalues"):
        assert first.get(name) == pytest.approx(second.get(name), rel=1e-6)
