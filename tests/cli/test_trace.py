"""``sharpscope trace`` on our checkpoints: text, JSON, files."""

import json
import re
import shutil
from pathlib import Path

import pytest

import sharpscope as ss
from sharpscope.results import TraceResult
from sharpscope.subject.rebuild import load_subject
from tests.cli.support import done, failed, read_json

FIELDS = {
    "schema",
    "version",
    "modality",
    "parameters",
    "samples",
    "loss",
    "value",
    "standard_error",
    "interval",
    "data_error",
    "outcome",
    "method",
    "matvecs",
    "seconds",
    "seed",
    "settings",
    "provenance",
}
FEW = ("--samples", "32", "--probes", "4", "--rank", "0")


def test_text_of_one_encoder(ours: Path) -> None:
    text = done("trace", ours, "--modality", "mor", "--samples", "40", "--batch-size", "16")
    assert text.startswith(f"Hessian trace of mor in {ours}\n")
    assert re.search(r"^  trace          -?[\d.]+ ± [\d.]+", text, re.MULTILINE)
    assert re.search(r"^  95 % interval  -?[\d.]+ to -?[\d.]+$", text, re.MULTILINE)
    assert re.search(r"^  data error     [\d.e-]+$", text, re.MULTILINE)
    assert re.search(r"^  per parameter  -?[\d.e-]+ \(\d[\d,]* parameters\)$", text, re.MULTILINE)
    assert re.search(r"^  cost           \d+ products in [\d.]+ s$", text, re.MULTILINE)
    assert "  outcome        converged\n" in text
    assert "± is one standard error of the random probes" in text
    assert "\x1b" not in text
    # The first line names the file, whose path is as long as it is.
    assert all(len(line) <= 80 for line in text.splitlines()[1:])


def test_text_of_several_encoders_is_one_table(ours: Path) -> None:
    lines = done("trace", ours, *FEW).splitlines()
    header = next(i for i, line in enumerate(lines) if line.startswith("modality"))
    assert [line.split()[0] for line in lines[header + 1 : header + 3]] == ["fou", "mor"]
    assert "trace ± error" in lines[header]
    assert "32 train samples" in lines[0]
    assert "– for a data error means fewer than two batches" in " ".join(lines)


def test_quiet_text_is_the_results_alone(ours: Path) -> None:
    text = done("trace", ours, *FEW, "--modality", "mor", "--quiet")
    assert "outcome" in text
    assert "±" in text
    assert "standard error of the random probes" not in text


def test_json_of_one_modality_is_the_result(ours: Path) -> None:
    found = read_json("trace", ours, *FEW, "--modality", "mor")
    assert set(found) >= FIELDS
    assert found["schema"] == "sharpscope/trace"
    assert found["tag"] == "tiny"
    assert len(found["provenance"]["checkpoint_sha256"]) == 64
    assert set(found["provenance"]) >= {"versions", "device", "dtype"}
    subject = load_subject(ours, samples=32)
    direct = ss.trace(subject, "mor", probes=4, rank=0)
    assert found["value"] == direct.value
    assert found["terms"] == list(direct.terms)


def test_json_is_an_array_unless_one_modality_and_one_checkpoint(ours: Path) -> None:
    every = read_json("trace", ours, *FEW)
    assert [entry["modality"] for entry in every] == ["fou", "mor"]
    again = shutil.copy(ours, "again.pt")
    two = read_json("trace", ours, again, *FEW, "--modality", "mor")
    assert [entry["tag"] for entry in two] == ["tiny", "again"]


def test_same_stems_get_different_tags_and_files(ours: Path) -> None:
    for folder in ("a", "b"):
        Path(folder).mkdir()
        shutil.copy(ours, f"{folder}/last.pt")
    text = done(
        "trace", "a/last.pt", "b/last.pt", "b/last.pt", *FEW, "--modality", "mor", "--out", "found"
    )
    assert "a-last" in text
    assert "Saved found" in text
    names = sorted(path.name for path in Path("found").iterdir())
    assert names == ["trace-a-last-mor.json", "trace-b-last-2-mor.json", "trace-b-last-mor.json"]


def test_out_of_one_result_is_a_file(ours: Path) -> None:
    done("trace", ours, *FEW, "--modality", "mor", "--out", "deep/mor.json")
    found = ss.load("deep/mor.json")
    assert isinstance(found, TraceResult)
    assert found.modality == "mor"


def test_seed_and_method_and_distribution_are_passed_on(ours: Path) -> None:
    one = ("trace", ours, "--modality", "mor", "--samples", "32", "--method", "hutchinson")
    options = ("--probes", "3", "--distribution", "gaussian")
    first = read_json(*one, *options, "--seed", "1")
    assert first["method"] == "hutchinson"
    assert first["settings"]["distribution"] == "gaussian"
    assert first["terms"] == read_json(*one, *options, "--seed", "1")["terms"]
    assert first["terms"] != read_json(*one, *options, "--seed", "2")["terms"]


def test_split_loss_and_dtype_are_passed_on(ours: Path) -> None:
    found = read_json(
        "trace",
        ours,
        *FEW,
        "--modality",
        "mor",
        "--split",
        "test",
        "--loss",
        "mor",
        "--dtype",
        "float64",
        "--batch-size",
        "8",
        "--device",
        "cpu",
    )
    assert found["provenance"]["split"] == "test"
    assert found["provenance"]["dtype"] == "float64"
    assert found["provenance"]["batches"] == 4
    assert found["loss"] == "mor"


def test_the_batch_size_changes_the_data_error_and_no_other_number(ours: Path) -> None:
    one = ("trace", ours, "--modality", "mor", "--samples", "32", "--probes", "30", "--rank", "0")
    first, second = (read_json(*one, "--batch-size", size) for size in ("4", "16"))
    for name in ("value", "standard_error", "loss_value"):
        assert first[name] == pytest.approx(second[name], rel=1e-4)
    assert first["data_error"] != pytest.approx(second["data_error"], rel=1e-2)
    told = " ".join(done("trace", "--help").split())
    assert "Changes time, memory and the data error, which is over batches; no other" in told


def test_budget_spent_is_no_failure_and_says_what_to_change(ours: Path) -> None:
    one = ("trace", ours, "--samples", "32", "--rtol", "1e-9")
    text = done(*one, "--modality", "mor", "--budget", "4", "--rank", "0")
    assert "outcome        budget spent" in text
    assert re.search(r"which needs about [\d,.e+]+ products \(", " ".join(text.split()))
    assert "raise --budget" in " ".join(text.split())
    table = done(*one, "--budget", "4", "--rank", "0", "--quiet")
    assert table.count("budget spent") == 2
    assert "raise --budget" in table.replace("\n", " ")
    found = read_json(*one, "--modality", "mor", "--max-seconds", "0.01")
    assert found["outcome"] == "budget_spent"


def test_more_samples_than_there_are_is_noted(ours: Path) -> None:
    one = ("trace", ours, "--modality", "mor", "--probes", "2", "--rank", "0", "--split", "val")
    there = read_json(*one)["samples"]
    found = read_json(*one, "--samples", "1000000")
    assert found["samples"] == there
    note = f"1,000,000 samples were asked for and there are only {there:,}: all of them were"
    assert found["notes"][0].startswith(note)
    assert f"Note: {note}" in " ".join(done(*one, "--samples", "1000000").split())
    exactly = read_json(*one, "--samples", str(there))
    assert not any("asked for" in text for text in exactly["notes"])


def test_pyhessian_engine_agrees_and_names_its_faults(ours: Path) -> None:
    pytest.importorskip("pyhessian")
    one = ("trace", ours, "--modality", "mor", "--samples", "64", "--probes", "60")
    theirs = read_json(*one, "--engine", "pyhessian")
    native = read_json(*one, "--method", "hutchinson")
    assert "pyhessian" in theirs["method"]
    assert any("stopping rule" in note for note in theirs["notes"])
    error = (theirs["standard_error"] ** 2 + native["standard_error"] ** 2) ** 0.5
    assert abs(theirs["value"] - native["value"]) < 4 * error
    text = done(*one, "--engine", "pyhessian")
    assert "Note: PyHessian's stopping rule is switched off" in text


def test_out_that_is_a_file_is_refused_where_several_come(ours: Path) -> None:
    Path("taken.txt").write_text("")
    for name in ("taken.txt", "x.json"):
        line = failed("trace", ours, "--out", name, code=2)
        assert (
            f"--out {name} names a file and several results can come: name a folder, such as"
            in line
        )
        assert f" {Path(name).stem}/, or ask for one result with one --modality" in line
    assert not Path("x.json").exists()
    line = failed("trace", ours, ours, "--modality", "mor", "--out", "x.json", code=2)
    assert "--out x.json names a file and several results can come" in line
    assert "x/, or ask for one result with one checkpoint and one --modality" in line
    line = failed("trace", ours, ours, "--out", "x.json", code=2)
    assert "one checkpoint and one --modality" in line


def test_out_that_is_a_folder_is_one_where_one_result_comes(ours: Path) -> None:
    Path("folder").mkdir()
    done("trace", ours, "--modality", "mor", "--samples", "32", "--probes", "4", "--out", "folder")
    assert [path.name for path in Path("folder").iterdir()] == ["trace-tiny-mor.json"]


def test_replay_is_told_and_can_be_switched_off(ours: Path) -> None:
    few = ("--modality", "mor", "--samples", "32", "--probes", "4")
    played = read_json("trace", ours, *few)
    plain = read_json("trace", ours, *few, "--no-replay")
    tight = read_json("trace", ours, *few, "--memory", "1B")
    assert played["replayed"]
    assert plain["replayed"] == []
    assert any("for want of memory" in note for note in tight["notes"])
    for other in (plain, tight):
        assert other["value"] == pytest.approx(played["value"], rel=1e-6)


def test_memory_that_is_none_is_refused(ours: Path) -> None:
    told = failed("trace", ours, "--memory", "much", code=2)
    assert "--memory must be an amount of memory, such as 500MB or 2GiB; got 'much'" in told
    assert "got '2 XB'" in failed("trace", ours, "--memory", "2 XB", code=2)


@pytest.mark.parametrize(
    ("operator", "name"), [("ggn", "Gauss-Newton"), ("fd", "Finite-difference Hessian")]
)
def test_other_operators_are_named(ours: Path, operator: str, name: str) -> None:
    few = ("--modality", "mor", "--samples", "32", "--probes", "4", "--operator", operator)
    assert done("trace", ours, *few).startswith(f"{name} trace of mor in {ours}\n")
    few = ("--samples", "32", "--operator", operator, "--rtol", "0.05")
    assert done("eigen", ours, *few).startswith(f"{name} eigenvalues")


def test_engines_have_their_own_operator(ours: Path) -> None:
    told = failed("trace", ours, "--engine", "pyhessian", "--operator", "ggn", code=2)
    assert "--operator must be 'hessian' (with --engine 'pyhessian'); got 'ggn'" in told


def test_without_a_modality_the_cheaper_way_is_taken_and_told(ours: Path, tmp_path: Path) -> None:
    few = ("--samples", "64", "--batch-size", "16", "--rtol", "0.2")
    for options, ways in (((), {"by itself"}), (("--no-replay", "--memory", "0"), {"one sweep"})):
        out = tmp_path / f"{len(options)}"
        text = done("trace", ours, *few, *options, "--out", f"{out}/")
        found = [json.loads(path.read_text()) for path in sorted(out.iterdir())]
        assert [result["modality"] for result in found] == ["fou", "mor"]
        assert {result["settings"]["way"] for result in found} == ways
        assert ("One sweep gave fou, mor" in " ".join(text.split())) == (ways == {"one sweep"})
