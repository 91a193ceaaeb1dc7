"""Settings read texts, check values, and say what they want."""

import re

import pytest

from sharpscope.datasets import dataset_entry
from sharpscope.errors import MisuseError
from sharpscope.recipes import METHODS, Setting, Value, available

KNOWN = available(dataset_entry("avdigits"), "hard", METHODS["late"])


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("lr", "1e-3", 0.001),
        ("lr", "1", 1.0),
        ("width", "16", 16),
        ("optimizer", "sgd", "sgd"),
        ("modalities", "audio", "audio"),
        ("dropout", "0", 0.0),
        ("unimodal_weight", "0", 0.0),
    ],
)
def test_texts_are_read_by_type(name: str, text: str, value: Value):
    read = KNOWN[name].read(text)
    assert read == value
    assert type(read) is type(value)


def test_whole_numbers_pass_as_numbers_but_not_the_other_way():
    assert KNOWN["lr"].check(1) == 1.0
    assert isinstance(KNOWN["lr"].check(1), float)
    with pytest.raises(MisuseError, match=r"^setting width must be a whole number .*; got 2\.0$"):
        KNOWN["width"].check(2.0)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("lr", "fast", "setting lr must be a number above 0; got 'fast'"),
        ("lr", "0", "setting lr must be a number above 0; got '0'"),
        ("lr", "nan", "setting lr must be a number above 0; got 'nan'"),
        ("lr", "inf", "setting lr must be a number above 0; got 'inf'"),
        ("width", "3.5", "setting width must be a whole number from 1 to 4096; got '3.5'"),
        ("width", "0", "setting width must be a whole number from 1 to 4096; got '0'"),
        ("width", "5000", "setting width must be a whole number from 1 to 4096; got '5000'"),
        ("batch_size", "1", "setting batch_size must be a whole number from 2 to 1000000; got '1'"),
        ("dropout", "1", "setting dropout must be a number from 0 to below 1; got '1'"),
        ("momentum", "-0.1", "setting momentum must be a number from 0 to below 1; got '-0.1'"),
        ("weight_decay", "-1", "setting weight_decay must be a number of at least 0; got '-1'"),
        (
            "unimodal_weight",
            "-1",
            "setting unimodal_weight must be a number of at least 0; got '-1'",
        ),
        (
            "optimizer",
            "adam",
            "setting optimizer must be 'adamw' or 'sgd'; got 'adam'; did you mean 'adamw'?",
        ),
    ],
)
def test_texts_that_mean_nothing(name: str, value: str, sentence: str):
    with pytest.raises(MisuseError, match=f"^{re.escape(sentence)}$"):
        KNOWN[name].read(value)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("lr", True, "setting lr must be a number above 0; got True"),
        ("lr", 10**400, "setting lr must be a number above 0; got 1000"),
        ("lr", None, "setting lr must be a number above 0; got None"),
        ("lr", "0.1", "setting lr must be a number above 0; got '0.1'"),
        (
            "fusion",
            ["concat"],
            "setting fusion must be 'concat', 'sum' or 'maxout'; got ['concat']",
        ),
        ("modalities", 3, "setting modalities must be a text; got 3"),
    ],
)
def test_values_of_the_wrong_type(name: str, value: object, sentence: str):
    with pytest.raises(MisuseError, match=f"^{re.escape(sentence)}"):
        KNOWN[name].check(value)


@pytest.mark.parametrize(
    ("dataset", "preset", "encoders"),
    [
        ("avdigits", "hard", ["image_encoder", "series_encoder"]),
        ("emoji", "en+de", ["vector_encoder"]),
        ("mfeat", "pix+mor", ["image_encoder", "vector_encoder"]),
    ],
)
def test_only_encoders_that_a_recipe_has_can_be_set(dataset: str, preset: str, encoders: list[str]):
    known = available(dataset_entry(dataset), preset, METHODS["joint"])
    assert [name for name in known if name.endswith("_encoder")] == encoders


@pytest.mark.parametrize("setting", KNOWN.values(), ids=lambda setting: setting.name)
def test_every_setting_describes_itself_and_accepts_its_default(setting: Setting):
    assert setting.description
    assert setting.check(setting.default) == setting.default
