"""A draft says what the file tells, marks what it cannot, and becomes a spec when filled in."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch

from sharpscope.errors import CheckpointError, MisuseError, SpecError
from sharpscope.subject.checkpoints import read_checkpoint
from sharpscope.subject.drafts import draft_spec, short_spec, toml_key, write_draft
from sharpscope.subject.guesses import guess_encoders, guess_prefix
from sharpscope.subject.specs import read_spec


def state(*names: str) -> dict[str, torch.Tensor]:
    """Return tensors under ``names``, each a module path."""
    return {f"{name}.weight": torch.ones(2) for name in names}


GUESSES: list[tuple[list[str], dict[str, list[str]]]] = [
    (
        ["ehr_model.lstm", "cxr_model_spec.layer1", "cxr_proj", "fused_cls"],
        {"ehr": ["ehr_model"], "cxr": ["cxr_model_spec", "cxr_proj"]},
    ),
    (
        [
            *("encoders.cxr.conv1", "encoders.ehr.0", "fusion.linear", "heads.cxr", "heads.ehr"),
            *("aux_ehr.fc", "unimodal.cxr", "probes.ehr"),
        ],
        {"cxr": ["encoders.cxr"], "ehr": ["encoders.ehr"]},
    ),
    (
        ["module.model._orig_mod.encoders.cxr.a", "module.model._orig_mod.encoders.ehr.b"],
        {"cxr": ["encoders.cxr"], "ehr": ["encoders.ehr"]},
    ),
    (
        ["model.ehr_net.a", "model.cxr_net.b", "model.classifier", "criterion"],
        {"ehr": ["ehr_net"], "cxr": ["cxr_net"]},
    ),
    (
        ["net.image_encoder.conv1", "net.text_encoder.0", "net.classifier"],
        {"image": ["net.image_encoder"], "text": ["net.text_encoder"]},
    ),
    (
        ["vision_model.a", "text_model.b", "visual_projection", "text_projection", "ln_final"],
        {"image": ["vision_model", "visual_projection"], "text": ["text_model", "text_projection"]},
    ),
    (
        ["encoders.0.conv1", "encoders.1.fc", "fc"],
        {"encoders_0": ["encoders.0"], "encoders_1": ["encoders.1"]},
    ),
    (["audioNet.conv1", "videoNet.0"], {"audio": ["audioNet"], "video": ["videoNet"]}),
    (["enc_a.conv1", "enc_b.0", "out"], {"a": ["enc_a"], "b": ["enc_b"]}),
    (["resnet18.conv1", "lstm.0", "fc"], {"resnet18": ["resnet18"], "lstm": ["lstm"]}),
    (["encoder.conv1", "encoder.layer1.0", "fc"], {"encoder": ["encoder"]}),
    (["0.conv", "1.x"], {"part_0": ["0"], "part_1": ["1"]}),
    (["all.conv"], {"all_encoder": ["all"]}),
    (["head", "classifier"], {}),
]


@pytest.mark.parametrize(("names", "encoders"), GUESSES)
def test_the_likely_encoders(names: list[str], encoders: dict[str, list[str]]):
    assert guess_encoders(state(*names)) == encoders


def test_what_has_no_parameters_is_no_encoder():
    counters = {"norm_a.num_batches_tracked": torch.tensor(3), "ids.x": torch.arange(3)}
    assert guess_encoders(state("ehr") | counters) == {"ehr": ["ehr"]}


def test_a_prefix_is_named_only_where_other_tensors_stand_beside_it():
    assert guess_prefix(state("model.a", "model.b", "criterion")) == "model."
    assert guess_prefix(state("model.a", "model.b")) is None
    assert guess_prefix(state("model.a", "b", "c")) is None


def saved(path: Path, content: Any) -> Path:
    torch.save(content, path)
    return path


def filled(draft: str) -> str:
    """Fill in every marked place as a user would, and nothing else."""
    lines: list[str] = []
    for line in draft.splitlines():
        if line.rstrip().endswith("# <- fill in") and not line.startswith("#"):
            value = "mse" if line.startswith("name") else "own_code:build"
            line = re.sub(r'= "<.*>"', f'= "{value}"', line).replace('"<modality>"', "cxr")
        lines.append(line)
    return "\n".join(lines)


LIGHTNING = {
    "pytorch-lightning_version": "2.4",
    "state_dict": state("model.ehr_model", "model.cxr_model.layer4", "model.head", "criterion"),
}


def test_a_draft_names_its_unfilled_places_and_is_a_spec_once_filled(tmp_path: Path):
    path = saved(tmp_path / "theirs.ckpt", LIGHTNING)
    out = write_draft(path, tmp_path / "sharpscope.toml")
    with pytest.raises(SpecError) as caught:
        read_spec(out)
    assert str(caught.value) == (
        f"{out}: model.factory, data.test and loss.name are not filled in yet: replace "
        '"<...>" in each line marked "<- fill in"'
    )
    out.write_text(filled(out.read_text()))
    spec = read_spec(out)
    assert spec.encoders == {"ehr": ("ehr_model",), "cxr": ("cxr_model",)}
    assert (spec.state, spec.prefix) == ("state_dict", "model.")
    assert spec.loss is not None
    assert spec.loss.name == "mse"
    assert list(spec.data) == ["test"]


def test_what_a_draft_suggests_in_comments_is_right_as_well(tmp_path: Path):
    draft = filled(draft_spec(read_checkpoint(saved(tmp_path / "a.pt", state("ehr.a", "cxr.b")))))
    suggested = [line for line in draft.splitlines() if re.match(r"# (\w+ = |\[)", line)]
    assert [line.split()[1] for line in suggested] == [
        "kwargs", "prefix", "ignore", "train", "val", "factory", "call", "target",
        "[loss.unimodal]", "ehr", "[metric]", "name", "predict",
    ]  # fmt: skip

    def without_marks(*chosen: str) -> Path:
        lines = [line[2:] if line in chosen else line for line in draft.splitlines()]
        if suggested[5] in chosen:
            lines.remove(next(line for line in lines if line.startswith('name = "mse"')))
        out = tmp_path / "sharpscope.toml"
        out.write_text("\n".join(lines))
        return out

    for line in suggested[:8]:
        out = without_marks(line)
        assert tomllib.loads(out.read_text()) != tomllib.loads(draft)
        read_spec(out)
    spec = read_spec(without_marks(*suggested))
    assert (list(spec.data), list(spec.unimodal)) == (["train", "val", "test"], ["ehr"])
    assert (spec.metric, str(spec.predict)[-8:]) == ("accuracy", 'predict"')


def test_a_draft_tells_keys_parts_and_numbers(tmp_path: Path):
    both = {"ema": state("ehr", "cxr"), "model": state("ehr", "cxr", "head")}
    draft = draft_spec(read_checkpoint(saved(tmp_path / "a.pt", both)))
    assert "measure a.pt\n#   (torch.save, 3 tensors, 6 parameters)" in draft
    assert "there are also 'ema'   <- check:\nstate = \"model\"" in draft
    assert "#   ehr  2\n#   cxr  2\n#   head  2" in draft
    lightning = draft_spec(read_checkpoint(saved(tmp_path / "c.ckpt", LIGHTNING)))
    assert lightning.endswith("#   ehr_model  2\n#   cxr_model  2\n#   head  2\n")
    root = draft_spec(read_checkpoint(saved(tmp_path / "b.pt", state("ehr", "cxr"))))
    assert "state" not in tomllib.loads(root)["model"]
    assert "The file is the state dict itself" in root


def test_a_draft_without_a_guess_marks_the_encoders(tmp_path: Path):
    draft = draft_spec(read_checkpoint(saved(tmp_path / "a.pt", state("head", "classifier"))))
    assert tomllib.loads(draft)["encoders"] == {"<modality>": "<module path>"}
    out = tmp_path / "sharpscope.toml"
    out.write_text(draft.replace('"<modality>" = "<module path>"', 'cxr = "head"'))
    with pytest.raises(SpecError, match=r"model\.factory, data\.test and loss\.name are not"):
        read_spec(out)


@pytest.mark.parametrize(
    "evil", ['x\n[model]\nfactory = "os:getcwd"\n#', 'x" = "y', "x\x7f\u2028y"]
)
def test_names_in_a_file_cannot_write_into_the_spec(tmp_path: Path, evil: str):
    path = saved(tmp_path / "a.pt", {evil: state(evil, "cxr")})
    read = read_checkpoint(path)
    for text in (draft_spec(read), short_spec(read)):
        tables = tomllib.loads(text)
        assert tables["model"]["factory"] in ("<module:function>", "my_project.models:build")
        assert evil in tables["encoders"].values()


def test_keys_are_quoted_where_toml_needs_it():
    assert [toml_key("cxr-1"), toml_key("cxr 1")] == ["cxr-1", '"cxr 1"']


def test_the_short_spec_names_state_and_prefix_only_where_they_are_needed(tmp_path: Path):
    read = read_checkpoint(
        saved(tmp_path / "a.pt", {"ema": state("e"), "net": LIGHTNING["state_dict"]})
    )
    assert tomllib.loads(short_spec(read))["model"] == {
        "factory": "my_project.models:build",
        "state": "net",
        "prefix": "model.",
    }
    read = read_checkpoint(saved(tmp_path / "b.pt", state("head")))
    assert tomllib.loads(short_spec(read))["encoders"] == {"ehr": "ehr_model", "cxr": "cxr_model"}


def test_an_existing_file_is_not_overwritten(tmp_path: Path):
    out = tmp_path / "sharpscope.toml"
    out.write_text("mine")
    with pytest.raises(MisuseError) as caught:
        write_draft(saved(tmp_path / "a.pt", state("ehr")), out)
    assert str(caught.value) == (
        f"{out} exists and is not overwritten: move it away, or name another file with --out"
    )
    assert out.read_text() == "mine"


def test_a_checkpoint_of_ours_needs_no_spec(tmp_path: Path):
    ours = {"format": "sharpscope/checkpoint", "format_version": 1, "recipe": {}}
    path = saved(tmp_path / "a.pt", ours | {"state_dict": state("ehr")})
    with pytest.raises(MisuseError) as caught:
        write_draft(path, tmp_path / "x.toml")
    assert str(caught.value) == (
        f"{path} carries its recipe and needs no sharpscope.toml: sharpscope show {path}"
    )


def test_nothing_is_written_where_the_file_is_no_checkpoint(tmp_path: Path):
    (tmp_path / "a.pt").write_text("hello")
    with pytest.raises(CheckpointError):
        write_draft(tmp_path / "a.pt", tmp_path / "x.toml")
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.pt"]
