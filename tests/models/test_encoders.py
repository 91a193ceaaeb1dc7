"""Encoders: shapes, sizes, and second derivatives that exist and are right."""

import re
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from sharpscope.errors import MisuseError
from sharpscope.models import ENCODERS, TransformerEncoder, build_encoder

SHAPES = {
    "image": [(1, 28, 28), (3, 32, 32), (1, 16, 15), (1, 64, 64), (1, 3, 3)],
    "series": [(13, 32), (24, 48), (2, 3)],
    "vector": [(6,), (512,)],
}
CASES = [
    (kind, name, shape) for kind in SHAPES for name in ENCODERS[kind] for shape in SHAPES[kind]
]


@pytest.mark.parametrize(("kind", "name", "shape"), CASES)
def test_shapes(kind: str, name: str, shape: tuple[int, ...]):
    encoder = build_encoder(name, kind=kind, shape=shape, width=7)
    assert encoder(torch.randn(5, *shape)).shape == (5, 7)
    assert encoder.eval()(torch.randn(1, *shape)).shape == (1, 7)


def size(name: str, kind: str, shape: tuple[int, ...]) -> int:
    """Return the number of parameters of an encoder of default width."""
    return sum(p.numel() for p in build_encoder(name, kind=kind, shape=shape).parameters())


def test_the_encoders_of_ehr_cxr_have_the_size_they_should():
    assert size("transformer", "series", (24, 48)) == 43_088
    assert size("conv", "image", (1, 64, 64)) == 22_392


@pytest.mark.parametrize(
    ("kind", "name", "shape"),
    [
        ("image", "conv", (1, 8, 8)),
        ("series", "conv", (3, 8)),
        ("series", "transformer", (3, 6)),
        ("vector", "mlp", (5,)),
    ],
)
def test_second_derivatives_agree_with_finite_differences(
    kind: str, name: str, shape: tuple[int, ...]
):
    encoder = build_encoder(name, kind=kind, shape=shape, width=4).double().eval()
    items = torch.randn(3, *shape, dtype=torch.float64)
    parameters = list(encoder.parameters())
    direction = [torch.randn_like(p) / p.numel() ** 0.5 for p in parameters]

    def gradient(*, graph: bool = False) -> list[Tensor]:
        loss = encoder(items).square().mean()
        return list(torch.autograd.grad(loss, parameters, create_graph=graph))

    with sdpa_kernel(SDPBackend.MATH):
        first = gradient(graph=True)
        along = torch.stack([(g * d).sum() for g, d in zip(first, direction, strict=True)]).sum()
        product = torch.autograd.grad(along, parameters)
        step, sides = 1e-6, list[list[Tensor]]()
        for sign in (1, -1):
            with torch.no_grad():
                for p, d in zip(parameters, direction, strict=True):
                    p.add_(sign * step * d)
            sides.append(gradient())
            with torch.no_grad():
                for p, d in zip(parameters, direction, strict=True):
                    p.sub_(sign * step * d)
    difference = [(up - down) / (2 * step) for up, down in zip(*sides, strict=True)]
    exact, approximate = (
        torch.cat([part.flatten() for part in parts]) for parts in (product, difference)
    )
    assert exact.norm() > 0
    assert (exact - approximate).norm() / exact.norm() < 1e-5


def test_the_transformer_gives_the_same_numbers_with_and_without_a_gradient():
    encoder = build_encoder("transformer", kind="series", shape=(24, 48), dropout=0.5).eval()
    series = torch.randn(9, 24, 48)
    with torch.no_grad():
        without = encoder(series)
    assert torch.equal(encoder(series), without)


def test_layers_of_the_transformer_start_different():
    layers: Any = TransformerEncoder((24, 48)).layers
    first, second = (layer.linear1.weight for layer in layers)
    assert not torch.equal(first, second)


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind in SHAPES for name in ENCODERS[kind]]
)
def test_dropout_acts_in_training_only(kind: str, name: str):
    shape = SHAPES[kind][0]
    encoder = build_encoder(name, kind=kind, shape=shape, dropout=0.5)
    items = torch.randn(4, *shape)
    for module in encoder.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.eval()
    assert not torch.equal(encoder(items), encoder(items))
    encoder.eval()
    assert torch.equal(encoder(items), encoder(items))


@pytest.mark.parametrize(
    ("kind", "name", "sentence"),
    [
        ("imag", "conv", "kind must be 'image', 'series' or 'vector'; got 'imag'; did you mean"),
        ("image", "cov", "image encoder must be 'conv' or 'mlp'; got 'cov'; did you mean 'conv'?"),
    ],
)
def test_unknown_names(kind: str, name: str, sentence: str):
    with pytest.raises(MisuseError, match=f"^{re.escape(sentence)}"):
        build_encoder(name, kind=kind, shape=(1, 8, 8))


def test_a_large_image_is_halved_by_the_first_convolution():
    large = build_encoder("conv", kind="image", shape=(1, 64, 64))
    small = build_encoder("conv", kind="image", shape=(1, 32, 32))
    strides = [
        next(m.stride for m in encoder.modules() if isinstance(m, nn.Conv2d))
        for encoder in (large, small)
    ]
    assert strides == [(2, 2), (1, 1)]
