"""Names are matched whatever wraps them; a state dict is loaded whole or not at all."""

import copy
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sharpscope.errors import CheckpointError, SpecError
from sharpscope.subject.states import load_state
from sharpscope.subject.wrappers import prefixes


class Two(nn.Module):
    def __init__(self, hidden: int = 4, *, fill: float = 0.0):
        super().__init__()
        self.ehr = nn.Linear(3, hidden)
        self.cxr = nn.Sequential(nn.Linear(5, hidden), nn.BatchNorm1d(hidden))
        self.head = nn.Linear(2 * hidden, 2)
        with torch.no_grad():
            for p in self.parameters():
                p.fill_(fill)


def numbers(model: nn.Module) -> dict[str, Tensor]:
    """Return a state dict for ``model`` whose tensors all differ."""
    return {
        name: (torch.arange(value.numel()) + 100.0 * i).reshape(value.shape).to(value.dtype)
        for i, (name, value) in enumerate(model.state_dict().items())
    }


def renamed(state: dict[str, Tensor], before: str) -> dict[str, Tensor]:
    return {before + name: value for name, value in state.items()}


def assert_loaded(model: nn.Module, state: dict[str, Tensor]):
    own = model.state_dict()
    assert len(own) == len(state)
    for (name, value), wanted in zip(own.items(), state.values(), strict=True):
        assert torch.equal(value, wanted), name


@pytest.mark.parametrize(
    "before",
    ["", "module.", "model.", "_orig_mod.", "module.module.", "model._orig_mod.module.", "module.model."],  # noqa: E501
)  # fmt: skip
def test_wrapper_prefixes_are_stripped_however_nested(before: str):
    model = Two()
    state = numbers(model)
    assert load_state(model, renamed(state, before)) == ()
    assert_loaded(model, state)


def test_wrappers_inside_the_name_are_stripped():
    model = Two()
    state = numbers(model)
    inside = {
        name.replace("cxr.", "cxr._orig_mod.").replace("ehr.", "ehr.module."): value
        for name, value in state.items()
    }
    load_state(model, renamed(inside, "model."))
    assert_loaded(model, state)


@pytest.mark.parametrize("before", ["", "module.", "model.", "_orig_mod."])
def test_a_model_whose_own_attribute_is_called_model(before: str):
    outer = nn.ModuleDict({"model": Two(), "module": nn.Linear(2, 2)})
    state = numbers(outer)
    load_state(outer, renamed(state, before))
    assert_loaded(outer, state)


def compiled(model: nn.Module) -> nn.Module:
    return torch.compile(model, backend="eager")  # type: ignore[return-value]


@pytest.mark.parametrize("wrap", [compiled, nn.DataParallel])
@pytest.mark.parametrize("before", ["", "module.", "_orig_mod.", "model."])
def test_the_model_may_be_wrapped_as_well(wrap: Any, before: str):
    inner = Two()
    state = numbers(inner)
    load_state(wrap(inner), renamed(state, before))
    assert_loaded(inner, state)


def test_a_prefix_takes_only_what_lies_under_it():
    model = Two()
    state = numbers(model)
    file = renamed(state, "net.") | {"criterion.weight": torch.ones(2)}
    for prefix in ("net.", "net"):
        model = Two()
        load_state(model, file, prefix=prefix)
        assert_loaded(model, state)


def test_tensors_to_ignore_are_left_out_and_said():
    extra = {"aux.0.weight": torch.ones(2), "aux.0.bias": torch.ones(2), "cxr.old": torch.ones(1)}
    for before in ("", "module.", "model.module."):
        model = Two()
        state = numbers(model)
        file = renamed(state | extra, before)
        assert load_state(model, file, ignore=["aux", "*.old"]) == (
            f"3 tensors of the file were ignored, as the spec says ({before}aux.0.weight, "
            f"{before}aux.0.bias, {before}cxr.old).",
        )
        assert_loaded(model, state)
    with_other = renamed(numbers(Two()) | extra, "net.") | {"criterion.weight": torch.ones(2)}
    for patterns in (["aux.*", "cxr.old"], ["net.aux", "net.cxr.old"]):
        model = Two()
        load_state(model, with_other, prefix="net", ignore=patterns)
        assert_loaded(model, state)


def test_tensors_that_are_too_many_come_with_the_line_that_ignores_them():
    file = numbers(Two()) | {"aux.0.weight": torch.ones(2), "aux.0.bias": torch.ones(2)}
    file["cxr.old"] = torch.ones(1)
    assert failure(Two(), file, source="a.pt") == (
        "a.pt does not fit the model: tensors unexpected 3 ('aux.0.weight', 'aux.0.bias', "
        "'cxr.old'); the model has no place for them: build it as it was trained (kwargs in "
        '[model] of my.toml), or leave them out with ignore = ["aux", "cxr.old"] there'
    )
    load_state(Two(), file, ignore=["aux", "cxr.old"])
    wrapped = renamed(file, "module.")
    assert 'ignore = ["module.aux", "module.cxr.old"] there' in failure(Two(), wrapped)
    load_state(Two(), wrapped, ignore=["module.aux", "module.cxr.old"])
    under = renamed(file, "net.") | {"criterion.weight": torch.ones(2)}
    assert 'ignore = ["aux", "cxr.old"] there' in failure(Two(), under, prefix="net.")


def test_a_pattern_to_ignore_that_matches_nothing_is_refused():
    file = numbers(Two()) | {"aux.weight": torch.ones(2)}
    assert failure(Two(), file, SpecError, ignore=["aux", "cxx.0"]) == (
        "my.toml: ignore pattern 'cxx.0' matches no tensor of the checkpoint; did you mean "
        "'cxr.0'?; correct or delete it in [model]"
    )


def test_what_the_model_needs_cannot_be_ignored():
    assert failure(Two(), numbers(Two()), ignore=["head", "cxr.1.num_batches_tracked"]) == (
        "the checkpoint does not fit the model: tensors missing 2 of 11 ('head.weight', "
        "'head.bias'); ignore in [model] of my.toml leaves out what the model needs: shorten it"
    )


def test_an_unknown_prefix_names_what_there_is():
    file = renamed(numbers(Two()), "network.") | {"criterion.weight": torch.ones(2)}
    assert failure(Two(), file, SpecError, prefix="netwrk") == (
        "the checkpoint has no tensor under 'netwrk', the prefix of [model] in my.toml; did you "
        "mean 'network.'?; its names begin with 'network.', 'criterion.'"
    )


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(4, 3)
        self.out = nn.Linear(3, 4, bias=False)
        self.out.weight = self.embed.weight


@pytest.mark.parametrize(
    "saved", [("embed.weight",), ("out.weight",), ("embed.weight", "out.weight")]
)
def test_a_tied_tensor_may_be_saved_once_or_twice(saved: tuple[str, ...]):
    model, weight = Tied(), torch.arange(12.0).reshape(4, 3)
    load_state(model, dict.fromkeys(saved, weight))
    assert torch.equal(model.out.weight, weight)
    assert model.out.weight is model.embed.weight


def test_a_tie_that_the_file_does_not_have_is_refused():
    file = {"embed.weight": torch.zeros(4, 3), "out.weight": torch.ones(4, 3)}
    assert failure(Tied(), file) == (
        "the checkpoint does not fit the model: 'embed.weight' and 'out.weight' are one tensor in "
        "the model and differ in the file; build it without the tie"
    )


def test_an_old_file_without_batch_counters_loads():
    model = Two()
    state = numbers(model)
    load_state(model, {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")})
    state["cxr.1.num_batches_tracked"].zero_()
    assert_loaded(model, state)


def test_half_precision_is_loaded_and_said():
    model = Two()
    state = numbers(model)
    half = {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
    assert load_state(model, half) == ("10 tensors stored as float16 were loaded as float32.",)
    assert model.ehr.weight.dtype == torch.float32
    assert_loaded(model, state)


class Counted(nn.Linear):
    """Keeps something that is no tensor."""

    count = 0

    def get_extra_state(self):
        return {"count": self.count}

    def set_extra_state(self, state: Any):
        if state["count"] < 0:
            raise ValueError("count\nbelow 0")
        self.count = state["count"]


def test_extra_state_is_handed_to_its_module():
    model = Counted(2, 2)
    load_state(model, model.state_dict() | {"_extra_state": {"count": 5}})
    assert model.count == 5


def failure(
    model: nn.Module, state: Any, error: type[Exception] = CheckpointError, **options: Any
) -> str:
    """Return the one-line refusal, and prove that the model is unchanged after it."""
    before = copy.deepcopy(dict(model.state_dict()))
    with pytest.raises(error) as caught:
        load_state(model, state, **({"spec": "my.toml"} | options))
    after = model.state_dict()
    for name, value in before.items():
        assert (
            torch.equal(after[name], value) if isinstance(value, Tensor) else after[name] == value
        )
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_module_that_refuses_while_loading_leaves_nothing_behind():
    model = Counted(2, 2)
    file = {"weight": torch.ones(2, 2), "bias": torch.ones(2), "_extra_state": {"count": -1}}
    assert failure(model, file) == "the model refuses the checkpoint: ValueError: count below 0"


def test_missing_and_unexpected_tensors_with_a_guess():
    file = numbers(Two())
    file["heads.weight"] = file.pop("head.weight")
    assert failure(Two(), file, source="a.pt") == (
        "a.pt does not fit the model: tensors missing 1 of 11 ('head.weight'), unexpected 1 "
        "('heads.weight'); is 'heads.weight' in the file an older name of 'head.weight'?"
    )


def test_another_size_shows_both_shapes_and_asks_for_the_kwargs():
    assert failure(Two(hidden=4), numbers(Two(hidden=6))) == (
        "the checkpoint does not fit the model: tensors different 9 ('ehr.weight' is [6, 3] in the "
        "file and [4, 3] in the model; 'ehr.bias' is [6] in the file and [4] in the model; "
        "'cxr.0.weight' is [6, 5] in the file and [4, 5] in the model; and 6 more); build the "
        "model as it was trained: compare the kwargs in [model] of my.toml"
    )


def test_a_recipe_that_builds_another_model():
    assert failure(Two(hidden=4), numbers(Two(hidden=6)), spec=None).endswith(
        "; its recipe builds another model here: it was changed, or saved by another version"
    )


def test_another_architecture():
    file = {f"resnet.{i}": torch.ones(2) for i in range(5)}
    assert failure(Two(), file) == (
        "the checkpoint does not fit the model: tensors missing 10 of 11 ('ehr.weight', "
        "'ehr.bias', 'cxr.0.weight', and 7 more), unexpected 5 ('resnet.0', 'resnet.1', "
        "'resnet.2', and 2 more); no name agrees (the file's parts are 'resnet'), this is another "
        "architecture"
    )


@pytest.mark.parametrize("before", ["net.", "model."])
def test_a_prefix_that_would_fit_is_suggested(before: str):
    file = renamed(numbers(Two()), before) | {"criterion.weight": torch.ones(2)}
    assert failure(Two(), file).endswith(
        f'all of it is there under one prefix: set prefix = "{before}" in [model] of my.toml'
    )


def test_tensors_of_another_kind():
    file = numbers(Two())
    file["ehr.bias"] = file["ehr.bias"].to(torch.int8)
    file["head.bias"] = [1.0, 2.0]  # type: ignore[assignment]
    message = failure(Two(), file)
    assert "'ehr.bias' is int8 in the file and float32 in the model" in message
    assert "'head.bias' is a list in the file and a Parameter in the model" in message


@pytest.mark.parametrize("dtype", [torch.float32, torch.float8_e5m2])
def test_weights_that_are_not_finite_are_counted(dtype: torch.dtype):
    file = {name: torch.zeros_like(value) for name, value in numbers(Two()).items()}
    file["ehr.weight"][0] = torch.tensor([float("nan"), float("inf"), 1.0])
    file["ehr.weight"] = file["ehr.weight"].to(dtype)
    assert failure(Two(), file) == (
        "the checkpoint has 2 NaN or infinite of 12 entries in 'ehr.weight': training diverged, "
        "take an earlier checkpoint"
    )


def test_a_mask_may_hold_infinities_and_a_statistic_may_not():
    model = Two()
    model.register_buffer("mask", torch.zeros(2))
    file = numbers(model)
    file["mask"][:] = float("-inf")
    load_state(model, file)
    assert torch.isinf(model.get_buffer("mask")).all()
    file["cxr.1.running_var"][0] = float("inf")
    assert "1 NaN or infinite of 4 entries in 'cxr.1.running_var'" in failure(model, file)


def test_a_lazy_model_is_refused():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = nn.Sequential(nn.LazyLinear(3))
    with pytest.raises(CheckpointError) as caught:
        load_state(model, {"0.weight": torch.ones(3, 2), "0.bias": torch.ones(3)})
    assert str(caught.value) == (
        "the checkpoint cannot be loaded: '0.weight' is lazy and has no shape yet; let the model's "
        "factory run one batch through it first"
    )


def test_a_meta_model_is_refused():
    model = nn.Linear(2, 2, device="meta")
    with pytest.raises(CheckpointError) as caught:
        load_state(model, {"weight": torch.ones(2, 2), "bias": torch.ones(2)})
    assert str(caught.value) == (
        "the checkpoint cannot be loaded: 'weight' is on the meta device; let the model's factory "
        'make it real with model.to_empty(device="cpu")'
    )


def test_prefixes_count_tensors_and_parameters():
    expected = [("ehr", 2, 16), ("cxr", 7, 32), ("head", 2, 18)]
    assert prefixes(Two().state_dict()) == expected
    assert prefixes(renamed(dict(Two().state_dict()), "module.model._orig_mod.")) == expected
    assert prefixes({}) == []


def test_a_bare_tensor_beside_the_model_is_no_prefix():
    message = failure(Two(), numbers(Two()) | {"extra": torch.ones(2)})
    assert "tensors unexpected 1 ('extra')" in message
    assert "the model has no place for them" in message
