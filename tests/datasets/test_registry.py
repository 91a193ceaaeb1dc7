"""Names, presets and modalities: what is accepted, and the sentence where it is not."""

import re
from importlib.resources import files

import pytest

from sharpscope.datasets import DATASETS, Modality, dataset_entry, load_dataset
from sharpscope.errors import MisuseError


@pytest.mark.parametrize(
    ("name", "preset", "sentence"),
    [
        (
            "emojy",
            None,
            "dataset must be 'avdigits', 'emoji', 'mfeat' or 'ehr-cxr'; got 'emojy'; "
            "did you mean 'emoji'?",
        ),
        (
            "avdigits",
            "heard",
            "preset of avdigits must be 'hard', 'clean', 'imbalanced' or 'image-dominant'; "
            "got 'heard'; did you mean 'hard'?",
        ),
        (
            "emoji",
            "imagee+en",
            "modality of emoji must be 'image', 'en' or 'de'; got 'imagee'; did you mean 'image'?",
        ),
        (
            "emoji",
            "en+en",
            "modalities of emoji must be one or more of 'image', 'en' or 'de', each once; "
            "got 'en+en'",
        ),
        ("emoji", "", "modality of emoji must be 'image', 'en' or 'de'; got ''"),
        ("ehr-cxr", "big", "preset of ehr-cxr must be 'default' or 'small'; got 'big'"),
    ],
)
def test_unknown_names(name: str, preset: str | None, sentence: str):
    with pytest.raises(MisuseError, match=f"^{re.escape(sentence)}$"):
        load_dataset(name, preset)


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["adio"], "modality of avdigits must be 'image' or 'audio'; got 'adio'; did you mean"),
        ([], "modalities of avdigits must be one or more of 'image' or 'audio', each once; got ''"),
    ],
)
def test_unknown_modalities(names: list[str], sentence: str):
    with pytest.raises(MisuseError, match=f"^{re.escape(sentence)}"):
        load_dataset("avdigits", modalities=names)


def test_a_modality_outside_the_preset():
    with pytest.raises(MisuseError, match=r"^modality of mfeat must be 'fou' or 'mor'; got 'pix'"):
        load_dataset("mfeat", "fou+mor", modalities=["pix"])


def test_a_seed_below_zero():
    with pytest.raises(MisuseError, match=r"^seed must be a whole number of at least 0; got -1"):
        load_dataset("mfeat", seed=-1)


def test_presets_have_one_spelling():
    assert dataset_entry("emoji").preset("de+image") == "image+de"
    assert dataset_entry("mfeat").preset("mor+fac") == "fac+mor"
    assert {name: entry.preset(None) for name, entry in DATASETS.items()} == {
        "avdigits": "hard",
        "emoji": "image+en",
        "mfeat": "pix+fou+mor",
        "ehr-cxr": "default",
    }


def test_modalities_keep_the_order_of_the_data_set():
    assert dataset_entry("avdigits").modalities("hard", ["audio", "image"]) == ("image", "audio")


@pytest.mark.parametrize("name", DATASETS)
def test_entries_say_what_the_data_are(name: str):
    entry = DATASETS[name]
    dataset = load_dataset(name, "small" if name == "ehr-cxr" else None)
    assert dataset.synthetic == entry.synthetic == (name == "ehr-cxr")
    assert dataset.multilabel == entry.multilabel
    assert ("SYNTHETIC" in entry.description) == entry.synthetic
    kinds = {modality: form.kind for modality, form in dataset.modalities.items()}
    assert kinds == {modality: entry.kinds[modality] for modality in kinds}


def test_the_notice_holds_every_license():
    notice = (files("sharpscope.datasets") / "data" / "NOTICE").read_text()
    for license in ("CC BY-SA 4.0", "CC BY-SA 3.0", "OFL 1.1", "Unicode-DFS-2016", "CC BY 4.0"):
        assert license in notice
    for file in (files("sharpscope.datasets") / "data").iterdir():
        assert file.name == "NOTICE" or file.name in notice


def test_shapes():
    views = load_dataset("mfeat", "pix+fac+fou+kar+zer+mor").modalities
    assert views == {
        "pix": Modality(kind="image", shape=(1, 16, 15)),
        "fac": Modality(kind="vector", shape=(216,)),
        "fou": Modality(kind="vector", shape=(76,)),
        "kar": Modality(kind="vector", shape=(64,)),
        "zer": Modality(kind="vector", shape=(47,)),
        "mor": Modality(kind="vector", shape=(6,)),
    }
    assert load_dataset("emoji", "image+de").modalities == {
        "image": Modality(kind="image", shape=(3, 32, 32)),
        "de": Modality(kind="vector", shape=(512,)),
    }
