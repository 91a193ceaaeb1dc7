"""``sharpscope contribution``: a table, one JSON value, a figure."""

import json
import re
from pathlib import Path

from sharpscope.results import ContributionResult, load
from tests.cli.support import done, failed, foreign, read_json

FAST = ("--bootstrap", "100")


def test_text_names_what_each_number_is(ours: Path) -> None:
    text = done("contribution", ours, *FAST, "--split", "test")
    assert re.search(r"^modality +share +without +readout +probe +γ$", text, re.MULTILINE)
    number = r" +-?[\d.]+ ± [\d.]+"
    assert re.search(rf"^fou{number * 5}$", text, re.MULTILINE), text
    flat = " ".join(text.split())
    assert "± is one standard error over the data. share: of the Shapley values of the acc" in flat
    assert "without: accuracy with the modality masked (zero input)." in flat
    assert "The method does not train the unimodal heads" in flat  # it is a joint recipe
    assert "--split test tells" not in flat
    seen = " ".join(done("contribution", ours, *FAST).split())
    assert "--split test tells how it does on others." in seen
    assert "share: of" not in done("contribution", ours, *FAST, "--quiet")


def test_three_modalities_have_a_column_for_each_alone(tmp_path: Path) -> None:
    path = tmp_path / "three.pt"
    done("train", "mfeat:fou+zer+mor", "--epochs", "1", "--out", path, "--quiet")
    text = done("contribution", path, *FAST, "--kind", "neg_loss", "--no-probe")
    assert re.search(r"^modality +share +without +alone +readout +probe +γ$", text, re.MULTILINE)
    assert "No probes" not in text
    assert re.search(r"^fou .* –  +-?[\d.]+ ± [\d.]+$", text, re.MULTILINE), text
    assert "of the Shapley values of the neg loss" in " ".join(text.split())


def test_json_is_one_result_or_an_array_of_them(ours: Path, tmp_path: Path) -> None:
    found = read_json("contribution", ours, *FAST, "--split", "val", "--out", "c.json")
    assert found["schema"] == "sharpscope/contribution"
    assert found["modality"] == "fou+mor"
    assert found["provenance"]["split"] == "val"
    assert set(found["probe"]) == {"fou", "mor"}
    saved = load(tmp_path / "c.json")
    assert isinstance(saved, ContributionResult)
    assert json.loads(json.dumps(saved.to_dict()))["shares"] == found["shares"]
    both = read_json("contribution", ours, ours, *FAST, "--no-probe", "--out", "both")
    assert [result["tag"][-6:] for result in both] == ["0-tiny", "tiny-2"]
    assert len(list((tmp_path / "both").iterdir())) == 2


def test_the_figure_is_drawn_and_a_wrong_name_is_refused_before_any_work(
    ours: Path, tmp_path: Path
) -> None:
    text = done("contribution", ours, *FAST, "--no-probe", "--figure", "bars.png")
    assert text.endswith("Drew bars.png\n")
    assert (tmp_path / "bars.png").read_bytes().startswith(b"\x89PNG")
    line = failed("contribution", ours, "--figure", "bars.gif", code=2)
    assert line.startswith("Error: a figure's file must end in '.pdf', '.svg', '.png' or '.html'; ")
    assert line.endswith("got bars.gif\n")
    line = failed("contribution", ours, "--figure", ours / "x.png", code=2)
    assert "cannot write" in line


def test_a_foreign_checkpoint_with_one_split_has_no_probes(tmp_path: Path) -> None:
    theirs = foreign(tmp_path / "theirs")
    text = done("contribution", theirs.checkpoint, "--spec", theirs.spec, *FAST)
    flat = " ".join(text.split())
    assert "No probes: they need the splits train and val." in flat
    assert "which has no loss of its own: add [loss.unimodal] to" in flat
    assert re.search(r"^ehr .* –$", text, re.MULTILINE)


def test_a_foreign_loss_is_helped_by_predict(tmp_path: Path) -> None:
    theirs = foreign(tmp_path / "theirs")
    code = theirs.spec.parent / f"{theirs.module}.py"
    code.write_text(
        code.read_text()
        + "\n\ndef loss():\n"
        + "    return lambda model, b: F.cross_entropy(model(*b[:-1]), b[-1])\n"
        + "\n\ndef predict(model, b):\n    return model(*b[:-1]), b[-1]\n"
    )
    spec = theirs.spec.read_text()
    own = spec.replace('name = "cross_entropy"', f'factory = "{theirs.module}:loss"')
    theirs.spec.write_text(own)
    line = failed("contribution", theirs.checkpoint, "--spec", theirs.spec, code=1)
    assert 'add predict = "module:function" to [metric] of' in line
    theirs.spec.write_text(f'{own}[metric]\npredict = "{theirs.module}:predict"\n')
    found = read_json("contribution", theirs.checkpoint, "--spec", theirs.spec, *FAST)
    theirs.spec.write_text(spec)
    plain = read_json("contribution", theirs.checkpoint, "--spec", theirs.spec, *FAST)
    assert found["performance"] == plain["performance"]
