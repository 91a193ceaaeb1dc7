"""Layers with a cheaper second derivative: their values, and where torch's own are taken."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad, gradcheck, gradgradcheck
from torch.nn import functional

from sharpscope.operators.layers import TwiceCheap
from sharpscope.operators.twice import is_ours


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
