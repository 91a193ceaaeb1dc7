"""Files of every kind are read without running their code, or refused in one sentence."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from sharpscope.errors import CheckpointError, SpecError
from sharpscope.subject.checkpoints import read_checkpoint


def state() -> dict[str, torch.Tensor]:
    return {"ehr.weight": torch.arange(6.0).reshape(2, 3), "cxr.bias": torch.ones(400)}


def saved(path: Path, content: Any, **options: Any) -> Path:
    torch.save(content, path, **options)
    return path


def same(left: Any, right: Any) -> bool:
    return list(left) == list(right) and all(torch.equal(left[k], right[k]) for k in left)


OURS = {
    "format": "sharpscope/checkpoint",
    "format_version": 1,
    "sharpscope_version": "0.1.0",
    "recipe": {"dataset": "avdigits", "seed": 3},
    "state_dict": state(),
    "metrics": {"test": {"accuracy": 0.9}},
    "epoch": 7,
}


def test_a_checkpoint_of_ours_gives_its_recipe_metrics_and_hash(tmp_path: Path):
    path = saved(tmp_path / "a.pt", OURS)
    read = read_checkpoint(path)
    assert (read.kind, read.epoch, read.recipe) == ("sharpscope", 7, OURS["recipe"])
    assert read.metrics == {"test": {"accuracy": 0.9}}
    assert read.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert read.keys == tuple(OURS)
    assert same(read.state(), state())
    assert not read.unpickled


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize(
    ("content", "key"),
    [
        (state(), ""),
        ({"state_dict": state(), "epoch": 3}, "state_dict"),
        ({"model": state(), "optimizer": {"state": {0: {"exp_avg": torch.ones(2)}}}}, "model"),
        ({"weights": state(), "optimizer_state_dict": {"m": torch.ones(2)}}, "weights"),
        ({"net": state(), "loss": torch.tensor(0.5), "rng": torch.get_rng_state()}, "net"),
        ({"run": {"best": state()}, "args": {"lr": 0.1, "layers": [1, 2]}}, "run.best"),
        ({**state(), "epoch": 3}, ""),
    ],
)  # fmt: skip
def test_the_state_dict_is_found_at_the_root_or_under_a_key(
    tmp_path: Path, content: Any, key: str, legacy: bool
):
    path = saved(tmp_path / "a.pth", content, _use_new_zipfile_serialization=not legacy)
    read = read_checkpoint(path)
    assert (read.kind, list(read.states)) == ("torch", [key])
    assert same(read.state(), state())
    assert same(read.state(key), state())


def test_lightning_uses_its_state_dict_whatever_else_holds_tensors(tmp_path: Path):
    content = {
        "pytorch-lightning_version": "2.4.0",
        "epoch": 4,
        "state_dict": state(),
        "hyper_parameters": {"lr": 0.1, "sizes": [1, 2]},
        "ema": state(),
    }
    read = read_checkpoint(saved(tmp_path / "a.ckpt", content))
    assert (read.kind, read.epoch, list(read.states)) == ("lightning", 4, ["state_dict"])


@pytest.mark.parametrize("name", ["a.safetensors", "renamed.bin"])
def test_safetensors_are_known_by_name_and_by_content(tmp_path: Path, name: str):
    save_file(state(), tmp_path / name)
    read = read_checkpoint(tmp_path / name)
    assert (read.kind, read.epoch, read.metrics) == ("safetensors", None, None)
    assert all(torch.equal(read.state()[k], v) for k, v in state().items())


def test_extra_state_of_a_module_does_not_hide_its_tensors(tmp_path: Path):
    content = state() | {"ehr._extra_state": {"scale": 2}}
    read = read_checkpoint(saved(tmp_path / "a.pt", content))
    assert list(read.state()) == list(content)


def test_several_state_dicts_are_listed_and_one_must_be_chosen(tmp_path: Path):
    path = saved(tmp_path / "a.pt", {"model": state(), "ema": state()})
    read = read_checkpoint(path)
    with pytest.raises(SpecError) as caught:
        read.state()
    assert str(caught.value) == (
        f"{path} holds several state dicts, 'model' (2 tensors), 'ema' (2 tensors): choose one "
        'with state = "model" in [model] of sharpscope.toml'
    )
    assert same(read.state("ema"), state())
    with pytest.raises(SpecError) as caught:
        read.state("modle", spec="my.toml")
    assert str(caught.value) == (
        f"{path} has no state dict under 'modle', the state of [model] in my.toml; did you mean "
        "'model'?; there are 'model' (2 tensors), 'ema' (2 tensors)"
    )


def test_a_key_for_a_state_dict_at_the_root_is_too_much(tmp_path: Path):
    path = saved(tmp_path / "a.pt", state())
    with pytest.raises(SpecError) as caught:
        read_checkpoint(path).state("state_dict")
    assert str(caught.value) == (
        f"{path} has its state dict at the root and nothing under 'state_dict': delete the line "
        "with state from [model] of sharpscope.toml"
    )


def refused(path: Path, error: type[Exception] = CheckpointError) -> str:
    """Return what reading ``path`` raises, and prove that it is one line."""
    with pytest.raises(error) as caught:
        read_checkpoint(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"format_version": 2, "sharpscope_version": "9.0"},
            "has checkpoint format 2, written by sharpscope 9.0, and this one reads up to 1: "
            "install a newer sharpscope",
        ),
        (
            {"format_version": None},
            "says it is a sharpscope checkpoint, but its format_version is None",
        ),
        (
            {"recipe": None},
            "says it is a sharpscope checkpoint, but holds no recipe to rebuild it by",
        ),
    ],
)
def test_a_checkpoint_of_ours_that_cannot_be_used(tmp_path: Path, change: Any, message: str):
    path = saved(tmp_path / "a.pt", OURS | change)
    assert refused(path) == f"{path} {message}"


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ([1, 2], "a list"),
        ({}, "an empty mapping"),
        ({"epoch": 1, "loss": torch.tensor(0.5)}, "a mapping with the keys 'epoch', 'loss'"),
        (torch.ones(3), "a Tensor"),
    ],
)
def test_no_tensors_by_name(tmp_path: Path, content: Any, what: str):
    path = saved(tmp_path / "a.pt", content)
    assert refused(path) == (
        f"{path} holds no tensors by name: it is {what}; save model.state_dict()"
    )
