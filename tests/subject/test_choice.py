"""What rebuilds a checkpoint: a named spec, its recipe, the working folder; never a download."""

from pathlib import Path
from typing import Any

import pytest
import torch

from sharpscope.errors import SpecError
from sharpscope.subject.checkpoints import read_checkpoint
from sharpscope.subject.choice import resolve_spec

LEAST = 'model.factory = "m:build"\n'


def checkpoint(path: Path, **recipe: Any):
    names = ["module.ehr_model.w", "module.cxr_model_spec.w", "module.cxr_proj.w", "module.head.w"]
    content: dict[str, Any] = {"state_dict": {name: torch.ones(2) for name in names}}
    if recipe:
        content |= {"format": "sharpscope/checkpoint", "format_version": 1, "recipe": recipe}
    torch.save(content, path)
    return read_checkpoint(path)


def test_a_named_spec_wins_over_a_recipe_which_wins_over_the_folder(tmp_path: Path):
    here = tmp_path / "sharpscope.toml"
    here.write_text(LEAST)
    named = tmp_path / "other.toml"
    named.write_text(LEAST)
    ours = checkpoint(tmp_path / "ours.pt", dataset="avdigits")
    theirs = checkpoint(tmp_path / "theirs.pt")
    chosen = resolve_spec(ours, named, folder=tmp_path)
    assert chosen is not None
    assert chosen.path == named
    assert resolve_spec(ours, chosen, folder=tmp_path) is chosen
    assert resolve_spec(ours, folder=tmp_path) is None
    found = resolve_spec(theirs, folder=tmp_path)
    assert found is not None
    assert found.path == here


def test_neither_recipe_nor_spec_shows_the_lines_to_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "theirs.pt"
    read = checkpoint(path)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    with pytest.raises(SpecError) as caught:
        resolve_spec(read)
    message = str(caught.value)
    assert message == (
        f"{path} does not say how to rebuild its model and data: write these lines into "
        f"sharpscope.toml, with your own names (sharpscope init {path} drafts it, with comments):"
        '\n\nmodel.factory = "my_project.models:build"\n'
        'data.test = "my_project.data:test_loader"\n'
        'loss.name = "cross_entropy"\n'
        "[encoders]\n"
        'ehr = "ehr_model"\n'
        'cxr = ["cxr_model_spec", "cxr_proj"]'
    )
    lines = message.partition("\n\n")[2]
    (tmp_path / "work" / "sharpscope.toml").write_text(lines)
    assert len(lines.splitlines()) == 6
    found = resolve_spec(read)
    assert found is not None
    assert (found.model.target, list(found.data)) == ("my_project.models:build", ["test"])
    assert found.loss is not None
    assert found.loss.name == "cross_entropy"
    assert found.encoders["cxr"] == ("cxr_model_spec", "cxr_proj")


def test_a_spec_beside_the_checkpoint_is_named_and_not_used(tmp_path: Path):
    (tmp_path / "download").mkdir()
    read = checkpoint(tmp_path / "download" / "theirs.pt")
    beside = tmp_path / "download" / "sharpscope.toml"
    beside.write_text("this would be an error if it were read")
    with pytest.raises(SpecError) as caught:
        resolve_spec(read, folder=tmp_path)
    assert str(caught.value).endswith(
        f"\n\n({beside} is not used, since a downloaded folder must not run code; if you trust it: "
        f"--spec {beside})"
    )
