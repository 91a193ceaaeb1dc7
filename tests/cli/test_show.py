"""``sharpscope show``: owners, recipe or spec, metrics; of a foreign file what is in it."""

from pathlib import Path

import torch

from sharpscope.subject.rebuild import load_subject
from tests.cli.support import done, failed, foreign, read_json


def test_our_checkpoint(ours: Path) -> None:
    lines = done("show", ours).splitlines()
    text = "\n".join(lines)
    assert lines[0] == str(ours)
    assert "  recipe    mfeat:fou+mor" in lines
    assert "  method    joint, 1 epochs, seed 0" in lines
    subject = load_subject(ours)
    sizes = {name: subject.select(name).dim for name in ("fou", "mor", "shared", "all")}
    for name, modules in (("fou", "encoders.fou"), ("mor", "encoders.mor"), ("shared", "fusion")):
        (line,) = (line for line in lines if line.startswith(f"{name} "))
        assert f"{sizes[name]:,}" in line
        assert modules in line
    assert any(line.split() == ["all", f"{sizes['all']:,}"] for line in lines)
    assert "test   fusion" in text
    assert "accuracy" in text
    assert lines[-1] == f"Next:  sharpscope trace {ours} --modality mor"


def test_parameters_lists_every_owner(ours: Path) -> None:
    text = done("show", ours, "--parameters", "--quiet")
    for name, owner in load_subject(ours).owners.owner.items():
        (line,) = (line for line in text.splitlines() if line.startswith(f"{name} "))
        assert line.split()[-1] == owner
    assert "Next:" not in text


def test_json(ours: Path) -> None:
    found = read_json("show", ours)
    assert found["schema"] == "sharpscope/show"
    assert found["kind"] == "sharpscope"
    assert [part["name"] for part in found["parts"]] == ["fou", "mor", "shared"]
    assert found["recipe"]["dataset"] == "mfeat"
    assert set(found["metrics"]) == {"train", "val", "test"}
    owned = {entry["name"]: entry["owner"] for entry in found["entries"]}
    assert owned == load_subject(ours).owners.owner


def test_foreign_with_a_spec_and_a_frozen_encoder(own_folder: Path) -> None:
    freeze = "model = Two(); model.cxr_model.requires_grad_(False); return model"
    other = foreign(own_folder, build=freeze)
    text = done("show", other.checkpoint, "--spec", other.spec)
    assert f"  spec  {other.spec}" in text
    (line,) = (line for line in text.splitlines() if line.startswith("cxr "))
    assert line.split() == ["cxr", "24", "24", "36%", "cxr_model"]
    listed = done("show", other.checkpoint, "--spec", other.spec, "--parameters")
    (line,) = (line for line in listed.splitlines() if line.startswith("cxr_model.bias "))
    assert line.split() == ["cxr_model.bias", "4", "4", "cxr", "frozen"]


def test_spec_without_encoders_owns_everything_as_shared(own_folder: Path) -> None:
    other = foreign(own_folder)
    other.spec.write_text(other.spec.read_text().partition("[encoders]")[0])
    text = done("show", other.checkpoint, "--spec", other.spec)
    assert "shared          67" in text
    assert "names no encoders: add [encoders]" in " ".join(text.split())


def test_the_metric_of_a_spec_is_shown(own_folder: Path) -> None:
    other = foreign(own_folder)
    options = ("show", other.checkpoint, "--spec", other.spec)
    assert "  metric" not in done(*options)
    other.spec.write_text(other.spec.read_text() + '[metric]\nname = "auprc"\n')
    assert "  metric  auprc\n" in done(*options)
    assert read_json(*options)["metric"] == "auprc"


def test_encoders_of_a_spec_that_are_wrong_name_it(own_folder: Path) -> None:
    other = foreign(own_folder)
    other.spec.write_text(other.spec.read_text().replace('"ehr_model"', '"ehr_modle"'))
    line = failed("show", other.checkpoint, "--spec", other.spec, code=2)
    assert f"{other.spec}: encoder pattern 'ehr_modle' of 'ehr' matches no parameter" in line


def test_an_owner_of_single_parameters(own_folder: Path) -> None:
    other = foreign(own_folder)
    other.spec.write_text(other.spec.read_text().replace('"ehr_model"', '"ehr_model.weight"'))
    found = read_json("show", other.checkpoint, "--spec", other.spec)
    modules = {part["name"]: part["modules"] for part in found["parts"]}
    assert modules["ehr"] == ["ehr_model.weight"]
    assert modules["shared"] == ["ehr_model.bias", "head"]


def test_foreign_without_a_spec_shows_what_is_in_it(own_folder: Path) -> None:
    other = foreign(own_folder / "downloaded", spec_name="sharpscope.toml")
    lines = done("show", other.checkpoint).splitlines()
    text = " ".join(" ".join(lines).split())
    assert "  kind     torch.save" in lines
    assert "cxr_model          24        2" in lines
    assert f"{other.spec} is not used" in text
    assert lines[-1] == f"Next:  sharpscope init {other.checkpoint}"
    assert "is not used" not in done("show", other.checkpoint, "--quiet")
    assert "cxr_model.weight" in done("show", other.checkpoint, "--parameters")
    found = read_json("show", other.checkpoint)
    assert {part["name"]: part["parameters"] for part in found["parts"]}["cxr_model"] == 24
    assert found["beside"] == str(other.spec)


def test_lightning_file_shows_keys_epoch_and_plain_metrics() -> None:
    state = {"model.cxr.weight": torch.ones(2, 3)}
    content = {"state_dict": state, "epoch": 7, "pytorch-lightning_version": "2.4.0"}
    torch.save(content, "theirs.ckpt")
    lines = done("show", "theirs.ckpt").splitlines()
    assert "  kind         Lightning" in lines
    assert "  state under  'state_dict' (1 tensors)" in lines
    assert "  epoch        7" in lines


def test_metrics_in_another_form_are_listed(own_folder: Path) -> None:
    other = foreign(own_folder)
    content = {"state_dict": torch.load(other.checkpoint), "metrics": {"auc": 0.81234, "n": 3}}
    torch.save(content, other.checkpoint)
    text = done("show", other.checkpoint, "--spec", other.spec)
    assert "  auc  0.8123\n  n    3\n" in text
