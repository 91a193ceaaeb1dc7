"""``sharpscope init``: the draft, and what to type next; filled in, it measures."""

from pathlib import Path

from tests.cli.support import done, failed, foreign, read_json


def test_draft_filled_in_as_told_measures(own_folder: Path) -> None:
    other = foreign(own_folder)
    text = done("init", "theirs.pt")
    assert text.startswith("Wrote sharpscope.toml\n")
    assert "  ehr = ehr_model\n  cxr = cxr_model\n" in text
    assert text.endswith("Then:  sharpscope show theirs.pt\n")
    draft = Path("sharpscope.toml").read_text()
    # Every line that the text names is in the file, at that number.
    told = [line.split(maxsplit=2)[1:] for line in text.splitlines() if line.startswith("  line ")]
    assert len(told) == 3
    for number, line in told:
        assert draft.splitlines()[int(number) - 1].startswith(line)
    filled = draft.replace(told[0][1], f'factory = "{other.module}:build"')
    filled = filled.replace(told[1][1], f'test = "{other.module}:data"')
    filled = filled.replace(told[2][1], 'name = "cross_entropy"')
    Path("sharpscope.toml").write_text(filled)
    assert "cxr_model" in done("show", "theirs.pt")
    few = ("--modality", "cxr", "--probes", "4", "--rank", "0")
    value = read_json("trace", "theirs.pt", *few)["value"]
    assert value == read_json("trace", "theirs.pt", *few, "--spec", other.spec)["value"]


def test_draft_left_as_it_is_names_the_places(own_folder: Path) -> None:
    foreign(own_folder)
    done("init", "theirs.pt")
    assert "fill" in failed("trace", "theirs.pt", code=2)


def test_out_json_and_quiet(own_folder: Path) -> None:
    foreign(own_folder)
    found = read_json("init", "theirs.pt", "--out", "mine.toml")
    assert found["spec"] == "mine.toml"
    assert found["encoders"] == {"ehr": "ehr_model", "cxr": "cxr_model"}
    assert len(found["fill_in"]) == 3
    assert done("init", "theirs.pt", "--out", "a.toml", "--quiet") == "Wrote a.toml\n"
    assert "show theirs.pt --spec b.toml" in done("init", "theirs.pt", "--out", "b.toml")


def test_never_overwrites(own_folder: Path) -> None:
    foreign(own_folder)
    done("init", "theirs.pt")
    assert "sharpscope.toml exists and is not overwritten" in failed("init", "theirs.pt", code=2)


def test_our_checkpoint_needs_none(ours: Path) -> None:
    assert "carries its recipe" in failed("init", ours, code=2)
