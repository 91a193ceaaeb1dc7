"""Layers with a cheaper second derivative: their values, and where torch's own are taken."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad, gradcheck, gradgradcheck
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.checkpoint import checkpoint

from sharpscope.operators import GaussNewtonOperator, HessianOperator, layers
from sharpscope.operators.layers import TwiceCheap
from sharpscope.operators.twice import is_ours
from sharpscope.replay.watching import tensors_in
from sharpscope.subject import Subject
from tests.oracles import Oracle, spectral_norm


def tensor(*shape: int) -> Tensor:
    """Return numbers away from the kink of ReLU."""
    found = torch.randn(*shape, dtype=torch.float64)
    return (found + 0.1 * found.sign()).requires_grad_()


def _normed(x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None) -> Tensor:
    mean, var = torch.tensor([3.0, -1.0, 0.5]), torch.tensor([0.2, 4.0, 1.0])
    return functional.batch_norm(x, mean.to(x), var.to(x), weight, bias)


def _named(name: str) -> Callable[..., Tensor]:
    return lambda *given: getattr(functional, name)(*given)


def _channels_last(x: Tensor, weight: Tensor) -> Tensor:
    last = x.contiguous(memory_format=torch.channels_last)
    return functional.conv2d(last, weight, padding=[1])


LAYERS: dict[str, tuple[Callable[..., Tensor], Callable[[], list[Tensor]]]] = {
    "conv1d": (
        lambda *given: functional.conv1d(*given),
        lambda: [tensor(2, 3, 5), tensor(4, 3, 2), tensor(4)],
    ),
    "conv1d without bias": (
        lambda *given: functional.conv1d(*given),
        lambda: [tensor(2, 3, 5), tensor(4, 3, 2)],
    ),
    "conv2d, strides": (
        lambda x, w, b: functional.conv2d(x, w, b, (2, 1), (1, 0)),
        lambda: [tensor(2, 2, 4, 3), tensor(3, 2, 3, 2), tensor(3)],
    ),
    "conv2d, dilated groups": (
        lambda x, w, b: functional.conv2d(x, w, b, 1, 2, dilation=2, groups=2),
        lambda: [tensor(1, 4, 3, 3), tensor(6, 2, 3, 3), tensor(6)],
    ),
    "conv2d, channels last": (
        lambda x, w: functional.conv2d(
            x.contiguous(memory_format=torch.channels_last), w, padding=[1]
        ),
        lambda: [tensor(2, 2, 3, 3), tensor(3, 2, 3, 3)],
    ),
    "conv3d": (
        lambda *given: functional.conv3d(*given),
        lambda: [tensor(1, 2, 2, 2, 3), tensor(2, 2, 2, 1, 2)],
    ),
    "batch norm": (_normed, lambda: [tensor(4, 3), tensor(3), tensor(3)]),
    "batch norm of images": (_normed, lambda: [tensor(2, 3, 2, 2), tensor(3), tensor(3)]),
    "batch norm, neither scale nor shift": (_normed, lambda: [tensor(2, 3, 2)]),
    "relu": (_named("relu"), lambda: [tensor(3, 4)]),
}


@pytest.mark.parametrize("name", LAYERS)
def test_both_derivatives_equal_numerical_ones_for_every_set_of_inputs(name: str):
    layer, inputs = LAYERS[name]
    for chosen in range(1, 2 ** len(inputs())):
        given = inputs()
        for place, value in enumerate(given):
            value.requires_grad_(bool(chosen >> place & 1))
        with TwiceCheap():
            found = layer(*given)
            assert is_ours(found.grad_fn._forward_cls)  # type: ignore[union-attr]
            assert gradcheck(layer, given)
            assert gradgradcheck(layer, given)
        assert torch.equal(found, layer(*given))


@pytest.mark.parametrize("part", ["values", "of x alone", "of the weight alone"])
@pytest.mark.parametrize("name", ["conv2d, strides", "batch norm of images"])
def test_each_part_of_a_second_derivative_alone_equals_torchs(name: str, part: str):
    layer, inputs = LAYERS[name]
    x, weight, bias = inputs()

    def second(gradient_of: list[Tensor]) -> list[Tensor]:
        slopes = torch.autograd.grad(
            layer(x, weight, bias).square().sum(), gradient_of, create_graph=True
        )
        bent = torch.stack([s.pow(3).sum() for s in slopes]).sum()
        return list(torch.autograd.grad(bent, [x, weight, bias]))

    chosen = {"values": [x, weight, bias], "of x alone": [x], "of the weight alone": [weight]}
    theirs = second(chosen[part])
    with TwiceCheap():
        ours = second(chosen[part])
    for one, other in zip(ours, theirs, strict=True):
        assert torch.allclose(one, other, rtol=1e-10)


OWN: dict[str, Callable[[], Tensor]] = {
    "padding by name": lambda: functional.conv1d(tensor(1, 2, 4), tensor(2, 2, 3), padding="same"),
    "no batch axis": lambda: functional.conv1d(tensor(2, 4), tensor(2, 2, 3)),
    "transposed": lambda: functional.conv_transpose1d(tensor(1, 2, 4), tensor(2, 2, 3)),
    "training": lambda: functional.batch_norm(tensor(4, 2), None, None, training=True),
    "no statistics": lambda: functional.instance_norm(tensor(4, 2, 3)),
    "in place": lambda: functional.relu(tensor(3) * 2, inplace=True),
    "complex": lambda: functional.conv1d(
        torch.randn(1, 1, 4, dtype=torch.complex128, requires_grad=True),
        torch.randn(1, 1, 2, dtype=torch.complex128),
    ),
    "autocast": lambda: _under_autocast(),
    "nested": lambda: functional.relu(
        torch.nested.nested_tensor([torch.ones(2), torch.ones(3)], requires_grad=True)
    ),
    "a subclass": lambda: functional.relu(_Named(tensor(3).detach()).requires_grad_()),
}


def _under_autocast() -> Tensor:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return functional.conv1d(torch.randn(1, 1, 4).requires_grad_(), torch.randn(1, 1, 2))


class _Named(Tensor):
    """A tensor of a class of its own."""


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize("name", OWN)
def test_everything_else_is_left_to_torch(name: str):
    with TwiceCheap():
        found = OWN[name]()
    assert not hasattr(found.grad_fn, "_forward_cls")


def test_an_error_of_torchs_own_comes_as_ever():
    with TwiceCheap(), pytest.raises(RuntimeError, match="not differentiable with respect to"):
        functional.batch_norm(tensor(4, 2), tensor(2), torch.ones(2, dtype=torch.float64))


def test_without_gradients_nothing_is_replaced():
    x = tensor(3)
    with TwiceCheap(), torch.no_grad():
        assert functional.relu(x).grad_fn is None
    with TwiceCheap():
        assert functional.relu(x.detach()).grad_fn is None


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")  # torch's own use of it
def test_forward_differentiation_and_transforms_pass():
    x, weight = torch.randn(2, 1, 4), torch.randn(1, 1, 2).requires_grad_()
    with TwiceCheap():
        several = torch.func.vmap(lambda row: functional.conv1d(row[None], weight)[0])(x)
        with forward_ad.dual_level():
            pushed = functional.relu(forward_ad.make_dual(x, torch.ones_like(x)) * weight.sum())
            tangent = forward_ad.unpack_dual(pushed).tangent
    assert torch.allclose(several, functional.conv1d(x, weight), atol=1e-6)
    assert tangent is not None


@pytest.mark.parametrize("name", LAYERS)
def test_a_third_derivative_is_torchs(name: str):
    """A model may differentiate inside its loss: then a Hessian needs it."""
    layer, inputs = LAYERS[name]
    given = inputs()

    def third() -> list[Tensor]:
        found = layer(*given).pow(4).sum()
        for _ in range(2):
            slopes = torch.autograd.grad(found, given, create_graph=True)
            found = torch.stack([slope.square().sum() for slope in slopes]).sum()
        return list(torch.autograd.grad(found, given))

    theirs = third()
    with TwiceCheap():
        ours = third()
    for one, other in zip(ours, theirs, strict=True):
        assert torch.allclose(one, other, rtol=1e-9)


def test_many_cotangents_at_once_keep_their_graph():
    """A penalty on a vectorized Jacobian: dropping the graph would drop it from the Hessian."""
    x, weight, bias = tensor(2, 2, 4), tensor(3, 2, 2), tensor(3)
    many = torch.randn(4, 2, 3, 3, dtype=torch.float64)

    def penalty(kind: str) -> list[Tensor]:
        y = functional.relu(_normed(functional.conv1d(x, weight, bias), bias, bias)).tanh()
        if kind == "batched":
            found = torch.autograd.grad(y, x, many, is_grads_batched=True, create_graph=True)[0]
        else:
            found = torch.func.vmap(lambda v: torch.autograd.grad(y, x, v, create_graph=True)[0])(
                many
            )
        return list(torch.autograd.grad(found.pow(3).sum(), [x, weight, bias]))

    for kind in ("batched", "vmap"):
        theirs = penalty(kind)
        with TwiceCheap():
            ours = penalty(kind)
        for one, other in zip(ours, theirs, strict=True):
            assert torch.allclose(one, other, rtol=1e-10)


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
        found = functional.relu(tensor(3))
    assert "Softplus" in type(found.grad_fn).__name__


def test_a_layer_that_has_another_gradient_than_torchs_is_left_out_and_said(
    monkeypatch: pytest.MonkeyPatch,
):
    subject, loss = _measured(saving=False)
    right = layers.Relu.backward
    monkeypatch.setattr(
        layers.Relu,
        "backward",
        staticmethod(lambda ctx, *g: 1.5 * right(ctx, *g)),  # type: ignore[operator]
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
            norm.running_mean.normal_()  # type: ignore[union-attr,operator]
            norm.running_var.uniform_(0.5, 2)  # type: ignore[union-attr,operator]

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
