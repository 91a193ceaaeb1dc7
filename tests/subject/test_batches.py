"""The batch contract: how a batch is counted, called, moved, cut and recognized again."""

from collections import OrderedDict, UserDict
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_sequence

from sharpscope.errors import MisuseError, SubjectError
from sharpscope.subject.batches import (
    FirstSamples,
    fingerprint,
    length,
    logits,
    moved,
    run,
    separate,
)

X, Z, Y = torch.randn(4, 3), torch.randn(4, 2), torch.tensor([0, 1, 1, 0])


class WithTarget(NamedTuple):
    label: Tensor
    image: Tensor


class Plain(NamedTuple):
    image: Tensor
    goal: Tensor


@dataclass
class Opaque:
    x: Tensor


def packed() -> PackedSequence:
    return pack_sequence([torch.randn(3, 2), torch.randn(2, 2), torch.randn(1, 2)])


@pytest.mark.parametrize(
    ("batch", "items"),
    [
        ((X, Y), 4),
        ({"id": "a", "scale": torch.tensor(2.0), "x": [X]}, 4),
        ((packed(), torch.zeros(3)), 3),
    ],
)
def test_length_is_the_first_axis_of_the_first_tensor(batch: Any, items: int):
    assert length(batch) == items


@pytest.mark.parametrize("batch", [Opaque(X), ("a", 3), (torch.tensor(1.0),)])
def test_a_batch_without_a_tensor_to_count_by(batch: Any):
    kind = type(batch).__name__
    with pytest.raises(SubjectError, match=f"of type {kind} holds no tensor.*pass batch_size="):
        length(batch)


@pytest.mark.parametrize("kind", [tuple, list])
def test_tuples_and_lists_end_with_the_target(kind: Any):
    inputs, target = separate(kind([X, Z, Y]))
    assert target is Y
    assert isinstance(inputs, tuple)
    assert [id(t) for t in inputs] == [id(X), id(Z)]


@pytest.mark.parametrize("key", ["target", "label", "labels", "y"])
@pytest.mark.parametrize("kind", [dict, OrderedDict, UserDict])
def test_mappings_find_their_target(key: str, kind: Any):
    inputs, target = separate(kind({key: Y, "x": X}))
    assert target is Y
    assert inputs == {"x": X}


def test_a_target_is_named_where_two_could_be_meant():
    batch = {"x": X, "y": X, "label": Y}
    with pytest.raises(SubjectError, match=r"among the keys .*has the keys x, y, label: say which"):
        separate(batch)
    assert separate(batch, target="label")[1] is Y
    assert set(separate(batch, target="label")[0]) == {"x", "y"}


def test_mappings_without_the_target():
    with pytest.raises(SubjectError, match=r"needs one target among .*has the keys x: say which"):
        separate({"x": X})
    with pytest.raises(SubjectError, match="no target 'lable' in the batch; did you mean 'label'"):
        separate({"x": X, "label": Y}, target="lable")


def test_named_tuples():
    inputs, target = separate(WithTarget(label=Y, image=X))
    assert (target is Y, list(inputs)) == (True, ["image"])
    inputs, target = separate(Plain(X, Y))
    assert (inputs[0] is X, target is Y) == (True, True)
    assert separate(Plain(Y, X), target="image")[1] is Y


@pytest.mark.parametrize("batch", [Opaque(X), X, (X,), [], "xy"])
def test_other_batches_need_a_callable_loss(batch: Any):
    with pytest.raises(SubjectError, match=r"must be a tuple .*got .*pass loss=callable"):
        separate(batch)


class Echo(nn.Module):
    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return args, kwargs


def test_batches_become_calls():
    model, both = Echo(), {"a": 1, "b": 2}
    assert run(model, (1, 2)) == ((1, 2), {})
    assert run(model, both) == ((), both)
    assert run(model, both, call="args") == ((1, 2), {})
    assert run(model, both, call="kwargs") == ((), both)
    assert run(model, both, call="whole") == ((both,), {})
    assert run(model, (1, 2), call="whole") == (((1, 2),), {})
    with pytest.raises(SubjectError, match="call='kwargs' needs mapping batches; these are tuples"):
        run(model, (1, 2), call="kwargs")
    with pytest.raises(MisuseError, match="call must be 'args', 'kwargs' or 'whole'; got 'star'"):
        run(model, (1, 2), call="star")


@pytest.mark.parametrize(
    "output", [X, {"logits": X, "loss": 1}, SimpleNamespace(logits=X), UserDict(logits=X)]
)
def test_logits_are_found(output: Any):
    assert logits(output) is X


@pytest.mark.parametrize("output", [(X, Z), [X], {"out": X}, None, SimpleNamespace(logits=3)])
def test_other_outputs_are_not_guessed(output: Any):
    with pytest.raises(SubjectError, match=r"returned a .* without logits.*pass loss=callable"):
        logits(output)


def test_moving_changes_the_dtype_of_floating_tensors_alone():
    batch = {"x": X.half(), "n": (Y, WithTarget(Y.bool(), X)), "name": "a", "none": None}
    found: Any = moved(batch, torch.device("cpu"), torch.float64)
    assert found["x"].dtype == torch.float64
    assert found["n"][0].dtype == torch.int64
    assert isinstance(found["n"][1], WithTarget)
    assert found["n"][1].label.dtype == torch.bool
    assert found["n"][1].image.dtype == torch.float64
    assert (found["name"], found["none"]) == ("a", None)
    assert moved((X,), torch.device("cpu"), None)[0].dtype == torch.float32


def test_moving_keeps_the_kind_of_a_mapping_where_it_can():
    class Stubborn(UserDict[str, Any]):
        def __init__(self):
            super().__init__(x=X)

    class Carrier:
        def to(self, device: torch.device) -> str:
            return f"on {device}"

    cpu = torch.device("cpu")
    assert type(moved(UserDict(x=X), cpu, None)) is UserDict
    assert type(moved(Stubborn(), cpu, None)) is dict
    assert moved([Carrier()], cpu, None) == ["on cpu"]
    sequence: Any = moved((packed(),), cpu, torch.float64)[0]
    assert isinstance(sequence, PackedSequence)
    assert (sequence.data.dtype, sequence.batch_sizes.dtype) == (torch.float64, torch.int64)


def batches() -> list[Any]:
    return [
        {
            "x": torch.arange(4) + start,
            "deep": {"z": [torch.arange(8).view(4, 2) + start]},
            "caption": ["a", "b", "c", "d"],
            "scale": torch.tensor(2.0),
            "other": torch.ones(7),
            "tag": "t",
        }
        for start in (0, 4)
    ]


def test_the_first_samples_cut_the_last_batch():
    cut = FirstSamples(batches(), 6)
    for _ in range(2):  # again and again
        first, last = cut
        assert first["x"].tolist() == [0, 1, 2, 3]
        assert last["x"].tolist() == [4, 5]
        assert last["deep"]["z"][0].tolist() == [[4, 5], [6, 7]]
        assert last["caption"] == ["a", "b"]
        assert (last["scale"].item(), len(last["other"]), last["tag"]) == (2.0, 7, "t")


@pytest.mark.parametrize(("count", "sizes"), [(1, [1]), (4, [4]), (8, [4, 4]), (99, [4, 4])])
def test_samples_at_the_borders_of_batches(count: int, sizes: list[int]):
    assert [len(b["x"]) for b in FirstSamples(batches(), count)] == sizes


def test_a_pair_of_two_items_keeps_its_pair():
    (batch,) = FirstSamples([(X[:2], Y[:2])], 1)
    assert [len(part) for part in batch] == [1, 1]


def test_no_batch_is_read_that_is_not_needed():
    def endless() -> Any:
        yield X, Y
        raise AssertionError("read too far")

    assert len(list(FirstSamples(endless(), 4))) == 1


@pytest.mark.parametrize(
    ("batch", "what"),
    [
        ((X, Opaque(X)), "a Opaque to 2 of its 4"),
        ((X, packed()), "a PackedSequence to 2"),
        ((X.T, Y), r"a tensor of shape \(3, 4\) to 2 of its 4 items: choose --samples so that"),
    ],
)
def test_batches_that_cannot_be_cut(batch: Any, what: str):
    cut = FirstSamples([batch], 2, length=lambda b: 4)
    with pytest.raises(SubjectError, match=f"cannot cut a batch that holds {what}"):
        list(cut)
    assert len(list(FirstSamples([batch], 4, length=lambda b: 4))) == 1


@pytest.mark.parametrize("samples", [0, -1, 2.5, True])
def test_samples_must_be_a_whole_number_above_zero(samples: Any):
    with pytest.raises(MisuseError, match="samples must be a whole number of at least 1; got "):
        FirstSamples([], samples)


def test_fingerprints_tell_batches_apart():
    base = torch.tensor([1.0, 2.0, 3.0, 4.0])
    sparse = torch.eye(2).to_sparse()
    others: list[Any] = [
        (base,),
        (base.double(),),
        (base.bfloat16(),),
        (base.view(2, 2),),
        (base.flip(0),),
        (base[:3],),
        (base, base),
        (torch.tensor(1.0),),
        (torch.tensor([1.0]),),
        (torch.empty(0),),
        (torch.tensor([1.0 + 2j]).conj(),),
        (torch.tensor([1.0 + 2j]),),
        (sparse,),
        (sparse * 2,),
        (torch.tensor([True]),),
        (base.numpy(),),
        (base.numpy()[::-1],),
        (np.float32(1.5),),
        (packed(),),
        ("a", "bc"),
        ("ab", "c"),
        (1, 23),
        (12, 3),
        (None,),
        (b"1",),
        (Opaque(X),),
    ]
    assert len({fingerprint(batch) for batch in others}) == len(others)


def test_fingerprints_see_content_not_layout():
    grid = torch.randn(4, 3)
    assert fingerprint((grid.T,)) == fingerprint((grid.T.contiguous(),))
    line = torch.ones(1).expand(4)
    assert (
        fingerprint((line,)) == fingerprint((torch.ones(8)[::2],)) == fingerprint((line.clone(),))
    )
    assert fingerprint((grid.requires_grad_(),)) == fingerprint((grid.detach().clone(),))
    assert fingerprint([grid, 1, "a"]) == fingerprint((grid.clone(), 1, "a"))
