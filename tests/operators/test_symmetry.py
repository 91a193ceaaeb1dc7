"""Products that a wrong second derivative of a kernel would spoil: mended, or refused."""

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from sharpscope.errors import SubjectError
from sharpscope.estimators import Hutchinson, HutchPlusPlus, TopEigenvalues
from sharpscope.operators import HessianOperator
from sharpscope.subject import Subject, kernels
from tests import problems


class Normed(nn.Module):
    """Weight normalization as torch offers it, twice, or by hand."""

    def __init__(self, norm: Callable[..., nn.Module]):
        super().__init__()
        torch.manual_seed(6)
        self.conv = norm(nn.Conv2d(1, 3, 3))
        self.out = norm(nn.Linear(48, 4))

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.tanh(self.conv(x)).flatten(1))


def by_hand(layer: Any) -> nn.Module:
    """Return a layer whose weight is ``g v / ‖v‖`` by elementary operations."""

    class Hand(nn.Module):
        def forward(self, g: Tensor, v: Tensor) -> Tensor:
            return g * v / v.square().flatten(1).sum(1).sqrt().view(g.shape)

    nn.utils.parametrizations.weight_norm(layer)
    layer.parametrizations.weight[0].forward = Hand().forward
    return layer


def old_way(layer: nn.Module) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return nn.utils.weight_norm(layer)


@pytest.mark.parametrize("norm", [nn.utils.parametrizations.weight_norm, old_way])
@pytest.mark.parametrize("replay", [False, True])
def test_weight_normalization_has_its_hessian(norm: Any, replay: bool):
    """The second derivative of torch's fused kernel is wrong; a trace does not show it."""
    model = problems.TwoEncoders(problems._plain_ehr(), Normed(norm), nn.Linear(8, 3))
    hand = problems.TwoEncoders(problems._plain_ehr(), Normed(by_hand), nn.Linear(8, 3))
    for part in ("ehr_model", "fusion"):
        hand.get_submodule(part).load_state_dict(model.get_submodule(part).state_dict())
    operator = HessianOperator(problems.subject_of(model, replay=replay), "cxr")
    found = operator.matmat(torch.eye(operator.dim, dtype=torch.float64))
    names = HessianOperator(problems.subject_of(hand), "cxr").selection.names
    dense = problems.oracle_of(hand, names).hessian()
    # The old way lists g and v in another order.
    order = torch.cat(
        [
            torch.arange(operator.dim).split([p.numel() for p in operator.selection.parameters])[i]
            for i in _same_order(operator.selection.names, names)
        ]
    )
    torch.testing.assert_close(found[order][:, order], dense, rtol=1e-9, atol=1e-11)
    assert vars(torch)["_weight_norm"].__module__ != kernels.__name__


def _same_order(mine: tuple[str, ...], theirs: tuple[str, ...]) -> list[int]:
    old = {
        "parametrizations.weight.original0": "weight_g",
        "parametrizations.weight.original1": "weight_v",
    }
    wanted = list(theirs)
    if any(name.endswith("weight_g") for name in mine):
        wanted = [next((n.replace(k, v) for k, v in old.items() if k in n), n) for n in theirs]
    return [mine.index(name) for name in wanted]


class Skewed(torch.autograd.Function):
    """A cube whose gradient has a wrong derivative, as a fused kernel may have."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        (x,) = ctx.saved_tensors
        return grad * 3 * x.square() + 0.3 * (x.roll(1, -1) - x.roll(1, -1).detach())


@pytest.mark.parametrize("measure", [HutchPlusPlus(), Hutchinson(), TopEigenvalues()])
def test_products_that_are_not_symmetric_are_refused(measure: Any, monkeypatch: pytest.MonkeyPatch):
    # Custom functions are compared with a finite difference before; kernels of torch are not.
    monkeypatch.setattr("sharpscope.operators.hessian.check_custom_functions", lambda *_: ())

    def loss(model: nn.Module, batch: Any) -> Tensor:
        found: Any = Skewed.apply(model(*batch[:2]))
        return functional.cross_entropy(found, batch[2])

    for dtype in ("float32", "float64"):
        subject = problems.subject_of(problems.build("layer_norm"), loss=loss, dtype=dtype)
        with pytest.raises(
            SubjectError, match=r"the products are not symmetric, uᵀHv = .* an oper"
        ):
            measure(HessianOperator(subject, "ehr"))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rounding_is_not_taken_for_a_wrong_derivative(dtype: str):
    """A linear map of the Selection behind another: its curvature is rounding and nothing else."""

    class Cancelling(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(3, 40)
            self.b = nn.Linear(40, 2)

        def forward(self, x: Tensor) -> Tensor:
            seen = self.a(x)
            return self.b(torch.expm1(torch.log1p(seen.square()))) - self.b(seen.square())

    data = [(torch.randn(n, 3), torch.randn(n, 2)) for n in (5, 4)]
    subject = Subject(
        Cancelling(),
        data,
        loss=lambda model, batch: model(batch[0]).mean() + 1,
        encoders={"a": "a", "b": "b"},
        dtype=dtype,
    )
    found = HutchPlusPlus(budget=200)(HessianOperator(subject, "a"))
    assert abs(found.value or 0.0) < 1e-4


@pytest.mark.parametrize("seed", range(4))
def test_eigenvectors_of_a_fitted_net_are_not_judged_as_random_vectors(seed: int):
    torch.manual_seed(seed)
    x, y = torch.randn(32, 6), torch.randint(0, 2, (32,))
    model = nn.Sequential(nn.Linear(6, 24), nn.ReLU(), nn.Linear(24, 2))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(300):
        optimizer.zero_grad()
        functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    subject = Subject(model, [(x, y)], loss="cross_entropy", encoders={"a": "0", "b": "2"})
    for k in (1, 2, 5):
        assert (TopEigenvalues(k=k)(subject, "b").largest or 0.0) > 0
