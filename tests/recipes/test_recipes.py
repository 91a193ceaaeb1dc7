"""Recipes: parsed from a command line, stored as plain types, never trusted from a file."""

import json
import re
from typing import Any

import pytest

from sharpscope.datasets import DATASETS
from sharpscope.errors import CheckpointError, MisuseError
from sharpscope.recipes import DEFAULTS, METHODS, Recipe, Value, parse_recipe

METHOD_NAMES = "'joint', 'late', 'sam', 'asam', 'msam' or 'masam'"


def test_a_bare_name_gets_every_default():
    recipe = parse_recipe("avdigits")
    assert (recipe.preset, recipe.method, recipe.seed) == ("hard", "joint", 0)
    assert recipe.epochs == DEFAULTS["avdigits"].epochs
    assert recipe.modalities == ("image", "audio")
    assert recipe.settings["fusion"] == "concat"
    assert recipe.unimodal_weight == 0
    assert parse_recipe("avdigits", method="late").unimodal_weight == 1


def test_defaults_differ_by_data_set():
    assert parse_recipe("ehr-cxr").settings["series_encoder"] == "transformer"
    assert parse_recipe("avdigits").settings["series_encoder"] == "conv"


@pytest.mark.parametrize("text", ["audio,", "+audio", "+"])
def test_a_list_of_modalities_has_no_holes(text: str):
    with pytest.raises(MisuseError, match=r"^modality of avdigits must be .*; got ''$"):
        parse_recipe("avdigits", settings={"modalities": text})


@pytest.mark.parametrize("text", ["mor,pix", "mor+pix"])
def test_modalities_are_stored_in_one_spelling(text: str):
    recipe = parse_recipe("mfeat:fou+pix+mor", settings={"modalities": text})
    assert recipe.preset == "pix+fou+mor"
    assert recipe.settings["modalities"] == "pix+mor"


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("method", METHODS)
def test_a_recipe_survives_json(dataset: str, method: str):
    recipe = parse_recipe(dataset, method=method, settings={"lr": "0.5"}, seed=3, epochs=2)
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe


def test_a_stored_recipe_without_a_newer_setting_gets_its_default():
    stored = parse_recipe("emoji").to_dict()
    del stored["settings"]["dropout"]
    assert Recipe.from_dict(stored).settings["dropout"] == 0.2


def test_the_dictionary_is_a_copy():
    recipe = parse_recipe("emoji")
    recipe.to_dict()["settings"]["lr"] = 5
    assert recipe.settings["lr"] == 2e-3


@pytest.mark.parametrize(
    ("text", "method", "settings", "sentence"),
    [
        ("avdigit", "joint", {}, "dataset must be 'avdigits', 'emoji', 'mfeat' or 'ehr-cxr'; got "
         "'avdigit'; did you mean 'avdigits'?"),
        ("avdigits:", "joint", {}, "preset of avdigits must be 'hard', 'clean', 'imbalanced' or "
         "'image-dominant'; got ''"),
        ("emoji", "lat", {}, f"method must be {METHOD_NAMES}; got 'lat'; did you mean 'late'?"),
        ("emoji", "joint", {"lrr": "1"}, "setting of emoji with method joint must be 'modalities', "
         "'fusion', 'width', 'dropout', 'optimizer', 'lr', 'momentum', 'weight_decay', "
         "'batch_size', 'patience', 'keep', 'label_noise', 'noise_kind', 'data_seed', "
         "'image_encoder' or 'vector_encoder'; "
         "got 'lrr'; did you mean "
         "'lr'?"),
        ("emoji", "joint", {"modalities": "imgae"}, "modality of emoji must be 'image' or 'en'; "
         "got 'imgae'; did you mean 'image'?"),
        ("emoji", "joint", {"lr": "x"}, "setting lr must be a number above 0; got 'x'"),
    ],
)  # fmt: skip
def test_recipes_that_cannot_be_meant(
    text: str, method: str, settings: dict[str, Value], sentence: str
):
    with pytest.raises(MisuseError, match=f"^{re.escape(sentence)}$"):
        parse_recipe(text, method=method, settings=settings)


def test_joint_has_no_unimodal_weight():
    with pytest.raises(MisuseError, match=r"^setting of emoji with method joint .*'unimodal_weig"):
        parse_recipe("emoji", settings={"unimodal_weight": 1.0})


def test_seed_and_epochs_are_whole_numbers():
    with pytest.raises(MisuseError, match=r"^epochs must be a whole number of at least 1; got 0"):
        parse_recipe("emoji", epochs=0)
    with pytest.raises(MisuseError, match=r"^seed must be a whole number of at least 0; got -1"):
        parse_recipe("emoji", seed=-1)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"dataset": "os"}, "dataset must be 'avdigits', 'emoji', 'mfeat' or 'ehr-cxr'; got 'os'"),
        (
            {"method": "eval"},
            "method must be 'joint', 'late', 'sam', 'asam', 'msam' or 'masam'; got 'eval'",
        ),
        ({"settings": {"lr": "1"}}, "setting lr must be a number above 0; got '1'"),
        ({"settings": {3: 1}}, "setting of emoji with method joint must be"),
        ({"settings": []}, "its entry 'settings' is of type list"),
        ({"dataset": 7}, "its entry 'dataset' is of type int"),
        ({"preset": None}, "its entry 'preset' is of type NoneType"),
        ({"seed": "0"}, "its entry 'seed' is of type str"),
        ({"epochs": True}, "epochs must be a whole number of at least 1; got True"),
        ({"epoch": 3}, "it has an unknown entry 'epoch'; did you mean 'epochs'?"),
    ],
)
def test_a_file_is_not_trusted(change: dict[str, Any], sentence: str):
    stored = parse_recipe("emoji").to_dict() | change
    whole = f"the recipe in the file cannot be used: {sentence}"
    with pytest.raises(CheckpointError, match=f"^{re.escape(whole)}"):
        Recipe.from_dict(stored)


def test_a_file_that_lacks_entries():
    stored = parse_recipe("emoji").to_dict()
    del stored["method"], stored["seed"]
    with pytest.raises(CheckpointError, match=r"cannot be used: it lacks 'method' or 'seed'$"):
        Recipe.from_dict(stored)
    with pytest.raises(CheckpointError, match=r"cannot be used: it is of type list, not a dict"):
        Recipe.from_dict([])  # pyright: ignore[reportArgumentType]
