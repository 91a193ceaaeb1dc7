"""Models that a replay would get wrong unnoticed are noticed; those it would break run plainly."""

import copy
import inspect
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import CheckpointFunction, checkpoint

from sharpscope.errors import SubjectError
from sharpscope.operators import FiniteDifferenceHessian, GaussNewtonOperator, HessianOperator
from tests import problems
from tests.replay import awkward

KINDS = [HessianOperator, GaussNewtonOperator, FiniteDifferenceHessian]
ELSEWHERE = SimpleNamespace(feature=None, stack=[])


class Aliases(nn.Module):
    """Returns a tensor and a view of it."""

    def __init__(self, inner: nn.Module):
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Any:
        found = self.inner(x)
        return found, found.view(-1, 2, 2)


class SharedOutputs(awkward.Base):
    """One of two outputs on the same memory is changed in place."""

    def __init__(self):
        super().__init__()
        self.cxr_model = Aliases(self.cxr_model)

    def join(self, ehr: Tensor, cxr: Any) -> Tensor:
        one, other = cxr
        one.mul_(0.5).add_(1)
        return super().join(ehr, one + other.flatten(1))


class LeavesElsewhere(nn.Module):
    """Leaves a feature where no module is."""

    def __init__(self, inner: nn.Module):
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        found = self.inner(x)
        ELSEWHERE.feature = found * 2
        ELSEWHERE.stack.append(found)
        return found


class Stale(awkward.Base):
    """Reads that feature: under replay, that of another batch."""

    def __init__(self):
        super().__init__()
        self.cxr_model = LeavesElsewhere(self.cxr_model)

    def join(self, ehr: Tensor, cxr: Tensor) -> Tensor:
        return super().join(ehr, cxr + ELSEWHERE.feature)


class Pops(Stale):
    """Takes it from a list, which is empty under replay."""

    def join(self, ehr: Tensor, cxr: Tensor) -> Tensor:
        return awkward.Base.join(self, ehr, cxr + ELSEWHERE.stack.pop())


class LooksAtSignature(awkward.Base):
    """Calls a module by what its forward takes."""

    def forward(self, ehr: Tensor, cxr: Tensor) -> Tensor:
        takes = inspect.signature(self.cxr_model.forward).parameters
        assert list(takes) == ["input"]
        return super().forward(ehr, cxr)


class CopiesItself(awkward.Base):
    """Runs a copy of a module with other weights."""

    def forward(self, ehr: Tensor, cxr: Tensor) -> Tensor:
        other = copy.deepcopy(self.cxr_model)
        for parameter in other.parameters():
            parameter.data.mul_(0.5)
        return self.join(self.ehr_model(ehr), self.cxr_model(cxr) + other(cxr))


class HooksItself(awkward.Base):
    """Registers a hook for the time of one pass."""

    def forward(self, ehr: Tensor, cxr: Tensor) -> Tensor:
        seen: list[Tensor] = []
        handle = self.cxr_model[1].register_forward_hook(lambda *found: seen.append(found[2]))
        features = self.cxr_model(cxr)
        handle.remove()
        return self.join(self.ehr_model(ehr), features + seen[0])


MODELS = [SharedOutputs, Stale, Pops, LooksAtSignature, CopiesItself, HooksItself]


@pytest.mark.parametrize("sizes", [(6,), (4, 3)])
@pytest.mark.parametrize("memory", [700, 10**9])
@pytest.mark.parametrize("model", MODELS)
def test_products_and_gradients_are_those_of_a_plain_pass(
    model: type[nn.Module], memory: int, sizes: tuple[int, ...]
):
    torch.manual_seed(5)
    built = model()
    data = problems.batches(sizes)
    for kind in KINDS:
        found: list[tuple[Tensor, ...]] = []
        for settings in ({"replay": False, "memory": 0}, {"replay": True, "memory": memory}):
            operator = kind(awkward.subject_of(built, data=data, **settings), "ehr")
            with operator.session():
                first = operator.gradient()
                found.append((first, *(operator.matvec(torch.ones(64)) for _ in range(3))))
        for plain, ours in zip(*found, strict=True):
            assert (ours - plain).norm() <= 1e-5 * plain.norm()


class Carries(awkward.Base):
    """Takes something from one batch to the next, and begins anew at the first."""

    def forward(self, ehr: Tensor, cxr: Tensor) -> Tensor:
        if len(ehr) == 5:  # the first batch
            ELSEWHERE.feature = 0.0
        features = self.ehr_model(ehr)
        carried, ELSEWHERE.feature = ELSEWHERE.feature, features.detach().mean()
        return self.join(features, self.cxr_model(cxr) + carried)


@pytest.mark.parametrize("replay", [True, False])
def test_what_is_carried_from_batch_to_batch_is_never_left_out(replay: bool):
    data = problems.batches((5, 4, 3, 2))
    torch.manual_seed(5)
    model, found = Carries(), list[Tensor]()
    for memory in (0, 8000, 20_000, 10**9):
        subject = awkward.subject_of(model, data=data, replay=replay, memory=memory)
        operator = HessianOperator(subject, "ehr")
        with operator.session():
            found += [operator.matvec(torch.ones(64)) for _ in range(3)]
    for product in found[1:]:
        assert (product - found[0]).norm() <= 1e-5 * found[0].norm()


def test_a_loss_that_moves_between_visits_is_refused():
    class Moves(awkward.Base):
        def forward(self, ehr: Tensor, cxr: Tensor) -> Tensor:
            ELSEWHERE.feature += 1
            return super().forward(ehr, cxr) * (1.0 if ELSEWHERE.feature <= 4 * 2 else 1.5)

    ELSEWHERE.feature = 0
    operator = HessianOperator(awkward.subject_of(Moves(), replay=False, memory=0), "ehr")
    with pytest.raises(SubjectError, match=r"does not stand still: batch 1 has the loss .* and"):
        operator.matvec(torch.ones(64))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("chosen", ["ehr_model.*", "late.*"])
def test_reentrant_checkpoints_lose_nothing(kind: Any, chosen: str):
    class Checkpointed(awkward.Base):
        reentrant = True

        def __init__(self):
            super().__init__()
            self.late = nn.Sequential(nn.Linear(4, 4), nn.Tanh())

        def forward(self, ehr: Tensor, cxr: Tensor) -> Tensor:
            features: Any = self.ehr_model(ehr)
            features = (
                checkpoint(self.late, features, use_reentrant=True)
                if self.reentrant
                else self.late(features)
            )
            return self.join(features, self.cxr_model(cxr))

    torch.manual_seed(5)
    model = Checkpointed()
    found: list[Tensor] = []
    for model.reentrant in (False, True):
        operator = kind(awkward.subject_of(model), chosen)
        found.append(operator.matvec(torch.ones(operator.dim)))
    assert found[0].norm() > 1e-3
    torch.testing.assert_close(found[1], found[0])
    assert "apply" not in vars(CheckpointFunction)
