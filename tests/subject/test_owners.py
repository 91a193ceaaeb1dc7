"""Who owns which parameter."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import Parameter

from sharpscope.errors import MisuseError
from sharpscope.subject.owners import assign_owners
from sharpscope.subject.subject import Subject


def model() -> Any:
    parts = {"enc": nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2)), "encoder2": nn.Linear(2, 2)}
    return nn.ModuleDict({**parts, "head": nn.Linear(2, 2), "proj": nn.Linear(2, 2)})


def owned(patterns: Any, whole: nn.Module | None = None) -> list[str]:
    return list(assign_owners(whole or model(), {"a": patterns}).of("a"))


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        ("enc", ["enc.0.weight", "enc.0.bias", "enc.1.weight", "enc.1.bias"]),
        ("enc.1", ["enc.1.weight", "enc.1.bias"]),
        ("enc.*.bias", ["enc.0.bias", "enc.1.bias"]),
        ("enc*.bias", ["enc.0.bias", "enc.1.bias", "encoder2.bias"]),
        ("encoder2.weight", ["encoder2.weight"]),
        (["proj", "encoder2"], ["encoder2.weight", "encoder2.bias", "proj.weight", "proj.bias"]),
        (("head.bias", "head.weight", "head"), ["head.weight", "head.bias"]),
        ("_orig_mod.enc.1", ["enc.1.weight", "enc.1.bias"]),
    ],
)
def test_patterns_own_in_the_order_of_the_model(patterns: Any, names: list[str]):
    assert owned(patterns) == names


def test_modules_and_parameters_own_as_their_names_do():
    whole = model()
    assert owned(whole["enc"][1], whole) == ["enc.1.weight", "enc.1.bias"]
    assert owned(whole["head"].bias, whole) == ["head.bias"]
    mixed = [whole["head"].bias, whole["encoder2"], "enc.0"]
    assert len(owned(mixed, whole)) == 5


def test_what_no_encoder_owns_is_shared():
    owners = assign_owners(model(), {"b": "encoder2", "a": "enc"})
    assert owners.modalities == ("b", "a")
    assert list(owners.of("shared")) == ["head.weight", "head.bias", "proj.weight", "proj.bias"]
    assert set(owners.owner.values()) == {"a", "b", "shared"}


@pytest.mark.parametrize(
    ("encoders", "sentence"),
    [
        ({}, "encoders must name at least one modality; got none"),
        (["enc"], "encoders must map each modality to a part of the model, .*; got list"),
        ({"a": []}, "the encoder of 'a' is an empty list: name its modules"),
        ({"a": "encodr2"}, "pattern 'encodr2' of 'a' matches no parameter; did you mean 'encoder2"),
        ({"a": "zzz"}, "no parameter; the model's top-level parts are enc, encoder2, head, proj$"),
        ({"a": nn.Linear(1, 1)}, "the Linear given of 'a' matches no parameter; the model's"),
        ({"a": Parameter(torch.ones(1))}, "the Parameter given of 'a' matches no parameter"),
        ({"a": 3}, "the encoder of 'a' must be a module path, .* a list of these; got int"),
        ({"a": "enc", "b": "enc.1"}, "'enc.1.weight' is owned twice, by 'a' and by 'b': give it"),
    ],
)
def test_maps_that_cannot_be_meant(encoders: Any, sentence: str):
    with pytest.raises(MisuseError, match=sentence):
        assign_owners(model(), encoders)


@pytest.mark.parametrize("how", ["by name", "as a module", "compiled"])
def test_a_module_without_parameters_is_told_as_such(how: str):
    whole = nn.ModuleDict({"enc": nn.Linear(2, 2), "image": nn.Sequential(nn.Flatten())})
    pattern = whole["image"] if how == "as a module" else "image"
    found: Any = torch.compile(whole, backend="eager") if how == "compiled" else whole
    with pytest.raises(MisuseError, match=r"of 'a' is a module without parameters, .*leave it out"):
        assign_owners(found, {"a": pattern})


@pytest.mark.parametrize("name", ["all", "shared", "fusion", "total"])
def test_words_with_a_meaning_are_no_names(name: str):
    with pytest.raises(MisuseError, match=f"an encoder cannot be called '{name}', a word with"):
        assign_owners(model(), {name: "enc"})


def test_a_model_without_parts_says_so():
    with pytest.raises(MisuseError, match="top-level parts are unnamed"):
        assign_owners(nn.Linear(1, 1), {"a": "enc"})


def test_a_weight_tied_across_encoders_is_owned_twice_and_both_names_are_said():
    whole = model()
    whole["proj"].weight = whole["encoder2"].weight
    with pytest.raises(MisuseError, match=r"'proj.weight' \(tied to 'encoder2.weight'\) is owned"):
        assign_owners(whole, {"a": "encoder2", "b": "proj"})


@pytest.mark.parametrize("encoder", ["proj", "encoder2"])
def test_a_weight_tied_to_a_shared_one_belongs_to_the_encoder_once(encoder: str):
    whole = model()
    whole["proj"].weight = whole["encoder2"].weight
    owners = assign_owners(whole, {"a": encoder})
    assert list(owners.of("a")) == ["encoder2.weight", f"{encoder}.bias"]
    assert "proj.weight" not in owners.parameters


def test_integer_parameters_are_nobodys():
    whole = model()
    whole["enc"].register_parameter("levels", Parameter(torch.ones(2).int(), requires_grad=False))
    assert "enc.levels" not in assign_owners(whole, {"a": "enc"}).parameters


def test_compiled_and_parallel_wrappers_are_seen_through():
    plain = model()
    names = list(assign_owners(plain, {"a": "enc"}).of("a"))
    compiled: Any = torch.compile(plain, backend="eager")
    parallel = nn.DataParallel(compiled)
    inner = model()
    inner["enc"] = torch.compile(inner["enc"], backend="eager")
    for whole in (compiled, parallel, inner):
        subject = Subject(whole, [], loss="mse", encoders={"a": "enc"})
        assert list(subject.owners.of("a")) == names
        assert subject.model is (inner if whole is inner else plain)
    assert owned(inner["enc"], inner) == names
