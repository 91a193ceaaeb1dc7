"""Models with layers of a cheaper second derivative: their Hessians, and what is left alone."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.checkpoint import checkpoint

from sharpscope.operators import GaussNewtonOperator, HessianOperator, layers
from sharpscope.operators.layers import TwiceCheap
from sharpscope.replay.watching import tensors_in
from sharpscope.subject import Subject
from tests.oracles import Oracle, spectral_norm


class Masked(nn.Module):
    """BatchNorm of the items that a mask leaves, of which there are none."""

    def __init__(self):
        super().__init__()
        self.norm, self.out = nn.BatchNorm1d(3), nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, 3) to (N, 2)."""
        few = self.norm(x[x[:, 0] > 100])
        return self.out(torch.tanh(self.norm(x))) + few.sum()


class Chosen(nn.Module):
    """A module that knows its activation by identity, and looks it up."""

    def __init__(self):
        super().__init__()
        self.layer, self.act = nn.Linear(3, 2), functional.relu

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, 3) to (N, 2)."""
        scale = {functional.relu: 1.0}[self.act]
        return self.act(self.layer(x)) * scale + self.layer(x).square()


@pytest.mark.parametrize("kind", [Masked, Chosen])
def test_models_that_look_at_functions_or_at_no_items_have_their_hessian(kind: Any):
    model, x = kind().double(), torch.randn(6, 3, dtype=torch.float64)
    target = torch.tensor([0, 1, 1, 0, 1, 0])
    subject = Subject(model, [(x, target)], loss=functional.cross_entropy, encoders={"x": "*"})
    operator = HessianOperator(subject, "x")
    names = operator.selection.names
    dense = Oracle(model, names, lambda m: functional.cross_entropy(m(x), target)).hessian()
    found = operator.matmat(torch.eye(operator.dim, dtype=torch.float64))
    assert (found - dense).abs().max() <= 1e-8 * spectral_norm(dense)


def test_functions_that_the_user_replaced_are_the_users(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(functional, "relu", functional.softplus)
    with TwiceCheap():
        found = functional.relu(torch.ones(3, requires_grad=True))
    assert "Softplus" in type(found.grad_fn).__name__


def test_a_layer_that_has_another_gradient_than_torchs_is_left_out_and_said(
    monkeypatch: pytest.MonkeyPatch,
):
    subject, loss = _measured(saving=False)
    right: Any = layers.Relu.backward
    monkeypatch.setattr(
        layers.Relu,
        "backward",
        staticmethod(lambda ctx, *g: 1.5 * right(ctx, *g)),
    )
    operator = HessianOperator(subject, "x")
    dense = Oracle(subject.model, operator.selection.names, loss).hessian()
    with operator.session():
        found = operator.matmat(torch.eye(operator.dim, dtype=torch.float64))
        notes = operator.report().notes
    assert (found - dense).abs().max() <= 1e-8 * spectral_norm(dense)
    assert any("Second derivatives were left to torch" in note for note in notes)


class Convolutional(nn.Module):
    """Two blocks with a shortcut, the second one checkpointed where asked."""

    def __init__(self, *, saving: bool):
        super().__init__()
        self.enter = nn.Conv2d(1, 3, 3, padding=1, bias=False)
        self.block = nn.Sequential(
            nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)
        )
        self.head = nn.Linear(3, 2)
        self.saving = saving
        for norm in (self.block[0], self.block[3]):
            norm.get_buffer("running_mean").normal_()
            norm.get_buffer("running_var").uniform_(0.5, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, 1, H, W) to (N, 2)."""
        hidden = self.enter(x)
        inner: Any = (
            checkpoint(self.block, hidden, use_reentrant=False)
            if self.saving
            else self.block(hidden)
        )
        return self.head((hidden + torch.tanh(inner)).mean((2, 3)))


def _measured(*, saving: bool, dtype: torch.dtype = torch.float64) -> tuple[Subject, Any]:
    model = Convolutional(saving=saving).to(dtype)
    images, targets = torch.randn(5, 1, 4, 4, dtype=dtype), torch.tensor([0, 1, 1, 0, 1])
    data = [(images[:3], targets[:3]), (images[3:], targets[3:])]
    subject = Subject(model, data, loss=functional.cross_entropy, encoders={"x": "*"})

    def loss(model: nn.Module) -> Tensor:
        return functional.cross_entropy(model(images.double()), targets)

    return subject, loss


@pytest.mark.parametrize("memory", [None, 0])
@pytest.mark.parametrize("saving", [False, True])
def test_a_network_of_them_has_its_dense_hessian(saving: bool, memory: int | None):
    subject, loss = _measured(saving=saving)
    subject.memory = memory
    operator = HessianOperator(subject, "x")
    dense = Oracle(subject.model, operator.selection.names, loss).hessian()
    found = operator.matmat(torch.eye(operator.dim, dtype=torch.float64))
    assert (found - dense).abs().max() <= 1e-8 * spectral_norm(dense)
    assert not any("custom" in note for note in operator.report().notes)


@pytest.mark.parametrize("operator", [HessianOperator, GaussNewtonOperator])
def test_a_product_writes_less_and_is_the_same(operator: Any, monkeypatch: pytest.MonkeyPatch):
    subject, _ = _measured(saving=False, dtype=torch.float32)

    def product() -> tuple[Tensor, int]:
        made = operator(subject, "x")
        vector = torch.randn(made.dim, generator=torch.Generator().manual_seed(0))
        with made.session():
            made.matvec(vector)
            with Written() as written:
                return made.matvec(vector), written.numbers

    ours, few = product()
    monkeypatch.setattr(layers, "_LAYERS", {})
    theirs, many = product()
    assert torch.allclose(ours, theirs, rtol=1e-5, atol=1e-6 * theirs.abs().max().item())
    assert few < 0.8 * many, few / many


class Written(TorchDispatchMode):
    """Adds up the numbers that operations write into new memory."""

    numbers = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run the operation and count what it made."""
        found = func(*args, **(kwargs or {}))
        if not func.is_view:
            self.numbers += sum(leaf.numel() for leaf in tensors_in(found))
        return found
