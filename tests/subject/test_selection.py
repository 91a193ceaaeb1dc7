"""The parameters under study as one flat vector."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import Parameter

from sharpscope.errors import MisuseError
from sharpscope.subject.owners import assign_owners
from sharpscope.subject.selection import Selection, select


def choose(name: Any, encoders: Any = None) -> Selection:
    whole = nn.ModuleDict({"enc": nn.Linear(2, 3), "encoder2": nn.Linear(2, 2)})
    whole["head"] = nn.Linear(2, 1)
    whole["enc"].requires_grad_(False)
    whole["odd"] = nn.Module()
    whole["odd"].levels = Parameter(torch.ones(2).int(), requires_grad=False)
    return select(assign_owners(whole, encoders or {"ehr": "enc", "cxr": "encoder2"}), name)


@pytest.mark.parametrize(
    ("name", "names", "dim", "frozen"),
    [
        ("ehr", ("enc.weight", "enc.bias"), 9, 9),
        ("cxr", ("encoder2.weight", "encoder2.bias"), 6, 0),
        ("shared", ("head.weight", "head.bias"), 3, 0),
        ("*.bias", ("enc.bias", "encoder2.bias", "head.bias"), 6, 3),
        ("enc", ("enc.weight", "enc.bias"), 9, 9),
        ("head.weight", ("head.weight",), 2, 0),
    ],
)
def test_names_mean_parameters(name: str, names: tuple[str, ...], dim: int, frozen: int):
    found = choose(name)
    assert (found.name, found.names, found.dim, found.frozen) == (name, names, dim, frozen)


def test_all_is_every_parameter_in_the_order_of_the_model():
    assert choose("all").names[::2] == ("enc.weight", "encoder2.weight", "head.weight")
    assert choose("all").dim == 18


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("exr", "unknown modality 'exr'; did you mean 'ehr'.; there are ehr, cxr, shared, all, or"),
        ("q", "unknown modality 'q'; there are ehr, cxr, shared, all, or a glob of parameter na"),
        (3, "modality must be a name; got int"),
        (None, "modality must be a name; got NoneType"),
    ],
)
def test_unknown_names(name: Any, sentence: str):
    with pytest.raises(MisuseError, match=sentence):
        choose(name)


def test_owners_of_nothing():
    with pytest.raises(MisuseError, match="'shared' owns no parameter to measure: every one bel"):
        choose("shared", {"ehr": "*"})
    with pytest.raises(MisuseError, match="'odd' owns no parameter to measure: its own are integ"):
        choose("odd", {"odd": "odd"})


def test_split_and_flatten_are_inverse_and_none_is_zeros():
    found = choose("all")
    vector = torch.randn(found.dim)
    pieces = found.split(vector)
    assert [p.shape for p in pieces] == [p.shape for p in found.parameters]
    assert torch.equal(found.flatten(pieces), vector)
    holes = [None, *pieces[1:]]
    assert torch.equal(found.flatten(holes)[6:], vector[6:])
    assert not found.flatten(holes)[:6].any()
    assert not found.flatten(found.parameters).requires_grad
