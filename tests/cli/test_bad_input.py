"""Bad input: one sentence and exit code 1 or 2 each, no traceback."""

import pickle
from pathlib import Path

import pytest
import torch

from tests.cli.support import Foreign, ForeignModel, failed, foreign

MEASURE = ("trace", "eigen")


def trace_of(other: Foreign, *options: str, code: int = 1) -> str:
    return failed("trace", other.checkpoint, "--spec", other.spec, *options, code=code)


@pytest.mark.parametrize("command", [*MEASURE, "show", "init"])
def test_no_such_file(own_folder: Path, command: str) -> None:
    (own_folder / "model.pt").touch()
    line = failed(command, "modle.pt", code=2)
    assert line == "Error: no such file: modle.pt; did you mean 'model.pt'?\n"


@pytest.mark.parametrize("command", [*MEASURE, "show", "init"])
def test_not_a_checkpoint(command: str) -> None:
    Path("notes.txt").write_text("dear diary")
    assert "notes.txt is not a checkpoint: it begins like text" in failed(
        command, "notes.txt", code=1
    )


@pytest.mark.parametrize("command", [*MEASURE, "show", "init"])
def test_pickle_with_code_is_refused(command: str) -> None:
    torch.save(ForeignModel(), "whole.pt")
    line = failed(command, "whole.pt", code=1)
    assert "needs its pickle to be run" in line
    assert "--trust" in line


def test_pickle_runs_nothing_without_trust(own_folder: Path) -> None:
    class Evil:
        def __reduce__(self):
            return Path.touch, (own_folder / "was_run",)

    Path("evil.pt").write_bytes(pickle.dumps(Evil()))
    failed("show", "evil.pt", code=1)
    assert not (own_folder / "was_run").exists()
    failed("show", "evil.pt", "--trust", code=1)
    assert (own_folder / "was_run").exists()


@pytest.mark.parametrize("command", [*MEASURE, "show"])
def test_truncated(ours: Path, command: str) -> None:
    whole = ours.read_bytes()
    Path("half.pt").write_bytes(whole[: len(whole) // 2])
    assert "half.pt is truncated or damaged" in failed(command, "half.pt", code=1)


@pytest.mark.parametrize("command", [*MEASURE, "show"])
def test_wrong_architecture(own_folder: Path, command: str) -> None:
    other = foreign(own_folder)
    torch.save({"ehr_model.weight": torch.ones(9, 9)}, other.checkpoint)
    line = failed(command, other.checkpoint, "--spec", other.spec, code=1)
    assert "does not fit the model" in line


@pytest.mark.parametrize("command", [*MEASURE, "show"])
def test_nan_weights(own_folder: Path, command: str) -> None:
    other = foreign(own_folder)
    state = torch.load(other.checkpoint)
    state["cxr_model.weight"][1, 2] = float("nan")
    torch.save(state, other.checkpoint)
    line = failed(command, other.checkpoint, "--spec", other.spec, code=1)
    assert "1 NaN or infinite of 20 entries in 'cxr_model.weight'" in line


@pytest.mark.parametrize("command", MEASURE)
def test_unknown_modality_names_the_nearest(ours: Path, command: str) -> None:
    line = failed(command, ours, "--modality", "mor", "--modality", "fuo", code=2)
    assert "unknown modality 'fuo'; did you mean 'fou'?; there are fou, mor, shared, all" in line


def test_unknown_loss_and_split(ours: Path, own_folder: Path) -> None:
    line = failed("trace", ours, "--loss", "fusoin", code=2)
    assert line.startswith("Error: --loss must be 'fusion'")
    line = failed("trace", ours, "--split", "tset", code=2)
    assert "--split must be 'train', 'val' or 'test'; got 'tset'; did you mean 'test'?" in line
    other = foreign(own_folder)
    line = trace_of(other, "--loss", "total", code=2)
    assert line.startswith("Error: --loss 'total' needs a unimodal loss")
    assert "has no split 'train', only test" in trace_of(other, "--split", "train", code=2)
    assert "takes no batch_size" in trace_of(other, "--batch-size", "2", code=2)


def test_empty_data(own_folder: Path) -> None:
    assert "the data is empty" in trace_of(foreign(own_folder, data="batches = []"))


def test_batch_that_the_model_refuses(own_folder: Path) -> None:
    other = foreign(own_folder, data="batches[1] = (torch.ones(4, 9), *batches[1][1:])")
    line = trace_of(other)
    assert "batch 2: the model or its loss raised RuntimeError: " in line
    assert "9" in line


@pytest.mark.parametrize(
    ("change", "taken"),
    [
        ("(ehr, cxr)", "1 input (4×3 float32) and target (4×5 float32)"),
        ("(cxr, ehr, y)", "2 inputs (4×5 float32, 4×3 float32) and target (4 int64)"),
        ("(y, ehr, cxr)", "2 inputs (4 int64, 4×3 float32) and target (4×5 float32)"),
        (
            "{'ehr': cxr, 'cxr': ehr, 'y': y}",
            "2 inputs (ehr: 4×5 float32, cxr: 4×3 float32) and target (4 int64)",
        ),
    ],
)
def test_a_batch_in_another_form_shows_what_it_was_taken_as(
    own_folder: Path, change: str, taken: str
) -> None:
    other = foreign(own_folder, data=f"batches = [{change} for ehr, cxr, y in batches]")
    line = trace_of(other)
    assert "batch 1: the model or its loss raised " in line
    assert line.endswith(f" (taken as {taken})\n")


def test_shapes_that_a_loss_would_broadcast(own_folder: Path) -> None:
    data = "batches = [(ehr, cxr, y.float()[:, None]) for ehr, cxr, y in batches]"
    other = foreign(own_folder, data=data)
    other.spec.write_text(other.spec.read_text().replace("cross_entropy", "mse"))
    assert (
        "batch 1: mse_loss needs a prediction and a target of one shape; got [4, 3] and [4, 1]"
        in (trace_of(other))
    )


def test_model_that_does_not_stand_still(own_folder: Path) -> None:
    line = trace_of(foreign(own_folder, forward="ehr = F.dropout(ehr)"))
    assert "the model does not stand still: batch 1" in line
    assert "dropout" in line


def test_loader_that_does_not_stand_still(own_folder: Path) -> None:
    shuffling = "return torch.utils.data.DataLoader(batches, batch_size=None, shuffle=True)"
    line = trace_of(foreign(own_folder, data=shuffling))
    assert "the data does not stand still" in line
    assert "shuffle=False" in line


def test_operation_without_second_derivative_is_named(own_folder: Path) -> None:
    forward = "ehr = ehr + torch.cdist(self.cxr_model(cxr), torch.ones(2, 4)).sum(1)[:, None]"
    line = trace_of(foreign(own_folder, forward=forward), "--modality", "cxr")
    assert "_cdist_backward has no second derivative" in line


@pytest.mark.parametrize("command", MEASURE)
@pytest.mark.parametrize(
    ("option", "value", "sentence"),
    [
        ("--budget", "0", "--budget must be a whole number of at least 2 (products); got 0"),
        ("--budget", "ten", "--budget must be a whole number; got 'ten'"),
        ("--rtol", "0", "--rtol must be a finite number above 0; got 0.0"),
        ("--rtol", "-0.5", "--rtol must be a finite number above 0; got -0.5"),
        ("--rtol", "nan", "--rtol must be a finite number above 0; got nan"),
        ("--rtol", "tight", "--rtol must be a number; got 'tight'"),
        ("--max-seconds", "0", "--max-seconds must be a finite number above 0; got 0.0"),
        ("--samples", "0", "--samples must be a whole number of at least 1; got 0"),
        ("--batch-size", "0", "--batch-size must be a whole number of at least 1; got 0"),
        ("--seed", "-1", "--seed must be a whole number of at least 0; got -1"),
        ("--dtype", "float16", "--dtype must be 'float32' or 'float64'; got 'float16'"),
        ("--device", "gpu", "--device must be auto, cpu, cuda or cuda:N; got 'gpu'"),
        ("--device", "cuda:x", "--device must be auto, cpu, cuda or cuda:N; got 'cuda:x'"),
        ("--spec", "none.toml", "no such spec file: none.toml"),
    ],
)
def test_options_that_cannot_be_meant(
    ours: Path, command: str, option: str, value: str, sentence: str
) -> None:
    assert sentence in failed(command, ours, option, value, code=2)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--probes", "1"), "--probes must be a whole number of at least 2"),
        (("--rank", "-1"), "--rank must be a whole number of at least 0"),
        (
            ("--method", "hutch"),
            "--method must be 'hutch++', 'hutchinson' or 'xtrace'; got 'hutch'",
        ),
        (("--distribution", "normal"), "--distribution must be 'rademacher' or 'gaussian'"),
        (
            ("--engine", "pyhessian", "--method", "hutch++"),
            "--method must be 'hutchinson' (with --engine 'pyhessian'); got 'hutch++'",
        ),
        (
            ("--engine", "pyhessian", "--rank", "3"),
            "--rank is no setting (with --engine 'pyhessian'); there are --rtol, --probes, "
            "--budget, --max-seconds, --distribution, --seed",
        ),
        (
            ("--method", "hutchinson", "--rank", "3"),
            "--rank is no setting (with --method 'hutchinson'); there are --rtol, --probes",
        ),
        (("--modality", "mri"), "Error: unknown modality 'mri'"),
    ],
)
def test_options_of_trace_that_cannot_be_meant(
    ours: Path, options: tuple[str, ...], sentence: str
) -> None:
    assert sentence in failed("trace", ours, *options, code=2)


def test_cuda_that_is_not_there(ours: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    line = failed("trace", ours, "--device", "cuda", code=2)
    assert line == ("Error: --device cuda was asked for and CUDA is not there; use --device cpu\n")
    assert "--device cuda was" in failed("train", "mfeat", "--device", "cuda", code=2)
    assert "--device cuda was" in failed("demo", "--device", "cuda", code=2)


def test_cuda_index_that_is_not_there(ours: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    line = failed("trace", ours, "--device", "cuda:2", code=2)
    assert "--device cuda:2 was asked for and there are 2 CUDA devices here" in line


@pytest.mark.parametrize("modality", [(), ("--modality", "mor")])
def test_unwritable_out_is_refused_before_measuring(
    ours: Path, modality: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("loaded before --out was checked")

    monkeypatch.setattr("sharpscope.subject.rebuild.load_subject", never)
    Path("file").touch()
    out = "file/x/y.json" if modality else "file/x"
    line = failed("trace", ours, *modality, "--out", out, code=2)
    assert f"cannot write {out}" in line


def test_out_never_replaces_anything_but_a_result(own_folder: Path) -> None:
    keep = Path("model.pt")
    keep.write_bytes(b"weights")
    line = failed("trace", keep, "--modality", "mor", "--out", keep, code=2)
    assert "is there already and is no sharpscope result; it would be lost" in line
    assert keep.read_bytes() == b"weights"


def test_unwritable_out_of_train_and_demo() -> None:
    Path("file").touch()
    assert "cannot write file/x.pt" in failed("train", "mfeat", "--out", "file/x.pt", code=2)
    assert "cannot write file/avdigits-joint.pt" in failed("demo", "--out-dir", "file", code=2)
