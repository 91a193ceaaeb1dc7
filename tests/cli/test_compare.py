"""``sharpscope compare``: checkpoints, methods over seeds, saved results."""

import csv
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sharpscope.recipes import parse_recipe
from sharpscope.results import Comparison, load
from sharpscope.training import save_checkpoint, train
from tests.cli.support import done, failed, foreign, read_json, run

FEW = ("--samples", "96", "--batch-size", "16", "--rtol", "0.2")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seeds of two methods, each epoch kept."""
    folder = tmp_path_factory.mktemp("runs")
    for method, seed in (("late", 1), ("late", 2), ("sam", 1), ("sam", 2)):
        recipe = parse_recipe(
            "mfeat:fou+mor", method=method, seed=seed, epochs=3, settings={"width": "4"}
        )
        path = folder / f"{method}-s{seed}.pt"
        save_checkpoint(path, train(recipe, out=path, keep_every=1))
    return folder


def flat(text: str) -> str:
    return " ".join(text.split())


def test_planes_of_all_on_one_scale(runs: Path, tmp_path: Path) -> None:
    pair = (runs / "late-s1.pt", runs / "sam-s1.pt")
    text = done("compare", *pair, *FEW, "--measure", "trace", "--planes", "p.png", "--keep", "k")
    assert "Drew p.png" in text
    assert Path("p.png").read_bytes().startswith(b"\x89PNG")
    kept = [load(path) for path in sorted(Path("k").glob("landscape-*.json"))]
    assert {one.tag for one in kept} == {"late-s1", "sam-s1"}
    assert len(kept) == 4
    # From what was saved, without a model; and not where a range or a seed is another.
    assert "Drew q.pdf" in done("compare", "k", "--planes", "q.pdf")
    assert "Drew q.pdf" in done("compare", "k", "--planes", "q.pdf", "--colors", "encoder")
    told = flat(failed("compare", "k", "--colors", "encoder", code=2))
    assert "--colors is of --planes, which was not asked for" in told
    few = ("--samples", "96", "--batch-size", "16", "--modality", "fou")
    for options, what in (
        (("--shape", "5x5"), "the grid is 5x5 and 21x21"),
        (("--shape", "21x21", "--span", "2"), "the reach is -2 to 2 and -1 to 1"),
        (("--seed", "3"), "the seed of the directions is 3 and 0"),
        (("--normalize", "layer"), "the setting normalize is layer and filter"),
        (("--axes", "eigen"), "the kind of directions is eigen and random"),
    ):
        shutil.rmtree("odd", ignore_errors=True)
        shutil.copytree("k", "odd")
        shape = () if "--shape" in options else ("--shape", "3x3")
        done("landscape", pair[1], *few, *options, *shape, "--out", "odd/x.json")
        told = flat(failed("compare", "odd", "--planes", "q.pdf", code=2))
        assert "cannot stand beside that of" in told
        assert what in told
    done("trace", *pair, *FEW, "--out", "traces")
    told = flat(failed("compare", "traces", "--planes", "q.pdf", code=2))
    assert "--planes draws landscapes, and the saved results hold none" in told


def test_two_checkpoints_side_by_side(runs: Path, tmp_path: Path) -> None:
    one, other = runs / "late-s1.pt", runs / "sam-s1.pt"
    out = [part for name in ("t.csv", "t.tex", "t.md", "t.json") for part in ("--out", name)]
    text = done("compare", one, other, *FEW, *out, "--keep", "kept", "--figure", "f.png")
    assert text.startswith("fusion loss on 96 train samples, against late-s1\n")
    assert "\nTrace (loss / parameter²)\n" in text
    assert "\nλ_max (loss / parameter²)\n" in text
    assert re.search(r"^  late-s1 +[\d.]+ +\S.* ± ", text, re.MULTILINE), text
    for modality in ("fou", "mor"):
        for label in ("trace", "λ_max"):
            told = rf"{modality}: {label} of sam-s1 .*late-s1's.* ± "
            assert re.search(told, flat(text)), (told, text)
    assert "what both models share taken out" in flat(text)
    assert "Each of the 4 intervals holds 95 % for itself" in flat(text)
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "Kept the single results in kept" in text
    for name in ("t.csv", "t.tex", "t.md", "t.json"):
        assert f"Saved {name}" in text
        assert Path(name).stat().st_size
    assert "Drew f.png" in text
    assert Path("f.png").read_bytes().startswith(b"\x89PNG")
    found = load(tmp_path / "t.json")
    assert isinstance(found, Comparison)
    assert len(found.differences) == 4
    assert all("batches" in one.paired for one in found.differences)
    traces = [one for one in found.differences if one.quantity == "trace"]
    assert len(traces) == 2
    assert all("probes" in one.paired for one in traces)
    with Path("t.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [line["name"] for line in lines] == ["late-s1", "sam-s1"] * 4
    assert len(list(Path("kept").iterdir())) == 8


def test_saved_results_give_the_same_numbers_without_torch(runs: Path) -> None:
    one, other = runs / "late-s1.pt", runs / "sam-s1.pt"
    measured = read_json("compare", one, other, *FEW, "--measure", "trace", "--keep", "kept")
    code = (
        "import sys\nfrom sharpscope_cli.main import cli\n"
        "try:\n    cli(['compare', 'kept', '--json', '--figure', 'f.pdf'])\n"
        "except SystemExit as exit:\n    assert exit.code == 0, exit.code\n"
        "assert 'torch' not in sys.modules"
    )
    again = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert again.returncode == 0, again.stderr
    saved = json.loads(again.stdout)
    assert {d["modality"]: d["interval"] for d in saved["differences"]} == {
        d["modality"]: pytest.approx(d["interval"]) for d in measured["differences"]
    }
    assert Path("f.pdf").read_bytes().startswith(b"%PDF")
    files = sorted(Path("kept").iterdir())
    assert read_json("compare", *files)["names"] == saved["names"]
    assert read_json("compare", "kept/*.json", "--reference", "sam-s1")["reference"] == "sam-s1"


def test_methods_over_seeds(runs: Path) -> None:
    groups = [f"{method}={runs}/{method}-s*.pt" for method in ("late", "sam")]
    asked = [part for group in groups for part in ("--group", group)]
    text = done("compare", *asked, *FEW, "--measure", "trace", "--keep", "kept")
    assert "Runs: late 2, sam 2" in text
    assert len(list(Path("kept").iterdir())) == 8  # and no kept epoch among them
    assert "± is one standard error over runs" in flat(text)
    assert re.search(r"fou: mean trace of sam .* over 2 seeds", flat(text)), text
    for name in ("late", "sam"):
        Path(name).mkdir()
        for path in Path("kept").glob(f"trace-{name}*"):
            shutil.copy(path, name)
    found = read_json("compare", "--group", "late=late", "--group", "sam=sam")
    assert found["grouped"]
    assert [entry["runs"] for entry in found["entries"]] == [2] * 4
    assert all("seeds" in one["paired"] for one in found["differences"])
    assert {s["training_seed"] for s in found["provenance"]["sources"]} == {1, 2}
    single = done("compare", "--group", "late=late", "--group", "sam=kept/trace-sam-s1*")
    assert "Note: sam is one run: it has no seed error" in flat(single)


def test_equal_train_loss(runs: Path) -> None:
    one, other = runs / "late-s1.pt", runs / "sam-s1.pt"
    asked = ("--match", "train-loss", *FEW, "--measure", "trace")
    found = read_json("compare", one, other, *asked, "--keep", "kept")
    assert found["names"] == ["late-s1", "sam-s1"]
    assert {entry["train_loss"] for entry in found["entries"]} == {found["train_loss"]}
    assert [match["run"] for match in found["matches"]] == ["late-s1", "sam-s1"]
    for match in found["matches"]:
        assert min(match["losses"]) <= found["train_loss"] <= max(match["losses"])
        assert sum(match["weights"]) == pytest.approx(1)
    assert "lowest that all runs pass" in found["notes"][0]
    again = read_json("compare", "kept", "--match", "train-loss")
    for one_, other_ in zip(again["differences"], found["differences"], strict=True):
        assert one_["difference"] == pytest.approx(other_["difference"])
    line = failed("compare", one, other, *asked, "--split", "test", code=2)
    assert "--match train-loss needs --split train; got --split test" in line
    shutil.copy(one, "alone.pt")
    line = failed("compare", one, "alone.pt", *asked, code=2)
    assert "no checkpoint was kept on the way to alone.pt: train with --keep-every 1" in line
    shutil.copy(one, "mixed.pt")
    shutil.copy(runs / "sam-s1.epoch0002.pt", "mixed.epoch0002.pt")
    line = failed("compare", "mixed.pt", other, *asked, code=2)
    assert "mixed.epoch0002.pt was kept of another recipe than mixed.pt has: move it" in line


def test_equal_train_loss_of_checkpoints_with_other_names(runs: Path, tmp_path: Path) -> None:
    for run_, name in (("late-s1", "a"), ("sam-s1", "b")):
        (tmp_path / name).mkdir()
        for epoch in (1, 2, 3):
            kept = runs / f"{run_}.epoch{epoch:04d}.pt"
            shutil.copy(kept, tmp_path / name / f"ep{epoch}.pt")
    asked = ("--match", "train-loss", *FEW, "--measure", "trace", "--modality", "mor")
    found = read_json("compare", "a/ep3.pt", "b/ep3.pt", *asked)
    ours = read_json("compare", runs / "late-s1.pt", runs / "sam-s1.pt", *asked)
    assert found["train_loss"] == pytest.approx(ours["train_loss"])
    assert [m["epochs"] for m in found["matches"]] == [m["epochs"] for m in ours["matches"]]
    assert [e["value"] for e in found["entries"]] == pytest.approx(
        [e["value"] for e in ours["entries"]]
    )


def test_models_of_other_data_are_refused_at_once(runs: Path, tmp_path: Path) -> None:
    recipe = parse_recipe("mfeat:fou+kar", method="late", epochs=1, settings={"width": "4"})
    other = save_checkpoint(tmp_path / "other.pt", train(recipe))
    line = failed("compare", runs / "late-s1.pt", other, *FEW, code=2)
    assert "was trained on mfeat:fou+mor and " in line
    assert "on mfeat:fou+kar: models of other data have nothing to compare" in line


def test_gap_and_sharpness(runs: Path) -> None:
    one, other = runs / "late-s1.pt", runs / "sam-s1.pt"
    few = ("--samples", "32", "--modality", "mor")
    found = read_json("compare", one, other, *few, "--measure", "gap,sharpness")
    shown = [(entry["quantity"], entry["modality"]) for entry in found["entries"]]
    assert shown == [("sharpness", "mor")] * 2 + [("gap", "all")] * 2
    assert found["differences"][0]["verdict"] == "undecided"  # a search has no error bar
    assert found["differences"][1]["interval"] is not None
    assert found["samples"] == 32


def test_other_architectures_are_unpaired(runs: Path, tmp_path: Path) -> None:
    recipe = parse_recipe("mfeat:fou+mor", method="late", epochs=1, settings={"width": "6"})
    wide = save_checkpoint(tmp_path / "wide.pt", train(recipe))
    text = done("compare", runs / "late-s1.pt", wide, *FEW, "--measure", "trace")
    told = "trace of wide (fou), wide (mor): probe errors are unpaired and add in quadrature"
    assert told in flat(text)


def test_what_cannot_be_compared(runs: Path, tmp_path: Path) -> None:
    one, other = runs / "late-s1.pt", runs / "sam-s1.pt"
    for line, told in (
        (failed("compare", code=2), "name at least two checkpoints, folders of results, or --grou"),
        (
            failed("compare", one, code=2),
            f"compare needs at least two checkpoints; got {one} alone",
        ),
        (
            failed("compare", one, "--group", f"late={other}", code=2),
            f"name checkpoints or groups, not both; got {one} and --group late",
        ),
        (
            failed("compare", one, "x.json", code=2),
            "compare takes checkpoints or saved results, not",
        ),
        (failed("compare", one, "gone.pt", code=2), "no such file: gone.pt"),
        (failed("compare", "--group", "a=no*", code=2), "no file matches no*"),
        (failed("compare", "--group", "late", code=2), "--group must be NAME=VALUE, such as"),
        (
            failed("compare", one, other, "--measure", "trace,edge", code=2),
            "--measure must be 'trace', 'eigen', 'sharpness' or 'gap'; got 'edge'",
        ),
        (
            failed("compare", one, other, "--match", "loss", code=2),
            "--match must be 'train-loss'; got 'loss'",
        ),
        (
            failed("compare", one, other, "--out", "t.xlsx", code=2),
            "a table's file must end in '.csv', '.tex', '.md' or '.json'; got t.xlsx",
        ),
        (
            failed("compare", one, other, "--keep", "x.json", code=2),
            "--keep x.json names a file and several results come: name a folder, such as x/",
        ),
        (
            failed("compare", one, f"{one.parent}/./{one.name}", code=2),
            "is named twice: a comparison needs different checkpoints",
        ),
    ):
        assert told in line
    assert list(tmp_path.iterdir()) == []


def test_results_of_other_measures_data_and_loss(runs: Path) -> None:
    one, other = runs / "late-s1.pt", runs / "sam-s1.pt"
    mor = ("--modality", "mor", "--rtol", "0.3")
    done("trace", one, *mor, "--samples", "32", "--out", "a.json")
    done("trace", other, *mor, "--samples", "48", "--out", "b.json")
    line = failed("compare", "a.json", "b.json", code=2)
    told = "trace of sam-s1 (mor) cannot"
    assert f"{told} stand beside trace of late-s1 (mor): the number of samples is 48 and 32" in line
    line = failed("compare", "a.json", "b.json", "--measure", "eigen", code=2)
    assert "a.json holds no result of --measure eigen" in line
    line = failed("compare", "a.json", "a.json", "--keep", "kept", code=2)
    assert "--keep keeps what is measured, and saved results are not measured" in line
    line = failed("compare", "a.json", code=2)
    assert "compare needs at least two checkpoints or groups; got late-s1" in line


def test_foreign_checkpoints_are_compared(tmp_path: Path) -> None:
    theirs = foreign(tmp_path / "theirs")
    again = tmp_path / "theirs" / "again.pt"
    shutil.copy(theirs.checkpoint, again)
    text = done("compare", theirs.checkpoint, again, "--spec", theirs.spec, "--measure", "trace")
    assert "within noise" in text
    assert re.search(r"^  theirs +– +", text, re.MULTILINE), text
    told = failed(
        "compare", theirs.checkpoint, again, "--spec", theirs.spec, "--match", "train-loss", code=2
    )
    assert "no checkpoint was kept" in told


def test_quiet_leaves_the_table_and_the_sentences(runs: Path) -> None:
    one, other = runs / "late-s1.pt", runs / "sam-s1.pt"
    text = done("compare", one, other, *FEW, "--measure", "trace", "--quiet", "--out", "t.md")
    assert "Note" not in text
    assert "Saved" not in text
    assert "mor: trace of sam-s1" in text
    result = run("compare", one, other, *FEW, "--measure", "trace", "--json", "--out", "t.csv")
    assert json.loads(result.stdout)["schema"] == "sharpscope/compare"
    assert Path("t.csv").is_file()
