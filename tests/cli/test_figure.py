"""``sharpscope figure``: results, folders and checkpoints into figures and captions."""

import subprocess
import sys
from pathlib import Path

import pytest

from sharpscope.figures.interactive import look
from sharpscope.recipes import parse_recipe
from sharpscope.results import save_all
from sharpscope.results.monitor import as_line
from sharpscope.training import save_checkpoint, train
from tests.cli.support import done, failed
from tests.figures import toy


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    results = [
        toy.trace(method, encoder, epoch=epoch)
        for method in ("late", "masam")
        for encoder in ("ehr", "cxr")
        for epoch in (1, 2)
    ]
    save_all(results, tmp_path / "traces", "trace")
    return tmp_path / "traces"


@pytest.fixture(scope="session")
def masam(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("masam") / "masam.pt"
    recipe = parse_recipe("mfeat:fou+mor", method="masam", epochs=2, settings={"width": "4"})
    return save_checkpoint(path, train(recipe, out=path, keep_every=1))


def test_a_folder_of_results(traces: Path) -> None:
    assert done("figure", traces, "--out", "trace.pdf") == "Drew trace.pdf\n"
    assert Path("trace.pdf").read_bytes().startswith(b"%PDF")
    assert done("figure", traces, "--out", "trace.svg", "--quiet", "--width", "column") == ""
    assert 'width="234pt"' in Path("trace.svg").read_text()  # 3.25 inches


def test_the_caption_alone_and_beside_the_file(traces: Path) -> None:
    text = done("figure", traces, "--caption")
    assert text.startswith("Hessian trace of each encoder over training, as trace / parameter")
    assert "95 % intervals over random probes" in " ".join(text.split())
    assert not list(Path().glob("*.p*"))
    both = done("figure", traces, "--caption", "--out", "x.png", "--quantity", "trace")
    assert both.startswith("Hessian trace of each encoder over training, as trace (loss")
    assert both.endswith("Drew x.png\n")


def test_colors_for_each_encoder(tmp_path: Path) -> None:
    found = [toy.plane(method, name) for method in ("late", "masam") for name in ("ehr", "cxr")]
    save_all(found, tmp_path / "planes", "landscape")
    for kind in ("contours", "surfaces"):
        how = ("figure", tmp_path / "planes", "--kind", kind, "--colors", "encoder")
        text = " ".join(done(*how, "--out", f"{kind}.png", "--caption").split())
        assert "Panels of one encoder share" in text
        assert text.endswith(f"Drew {kind}.png")


def test_files_of_several_kinds_of_result(tmp_path: Path) -> None:
    paths = [
        result.save(tmp_path / f"{number}.json")
        for number, result in enumerate([toy.trace("late", "ehr"), toy.gap("late")])
    ]
    assert done("figure", *paths, "--out", "bars.png") == "Drew bars.png\n"


def test_a_checkpoint_draws_its_training(masam: Path) -> None:
    assert done("figure", masam, "--kind", "dominance", "--out", "m.png") == "Drew m.png\n"
    text = done("figure", masam, "--kind", "alignment", "--caption")
    assert "mfeat:fou+mor, 2 epochs; MASAM" in " ".join(text.split())
    line = failed("figure", masam.with_name("masam.epoch0001.pt"), "--caption", code=2)
    assert "was kept on the way and holds no record of its run" in line


def test_a_page_needs_no_kind_and_has_no_choices(tmp_path: Path) -> None:
    path = toy.plane("late", "ehr").save(tmp_path / "plane.json")
    assert done("figure", path, "--out", "plane.html") == "Drew plane.html\n"
    text = " ".join(done("figure", path, "--out", "plane.html", "--caption").split())
    (group,) = look([toy.plane("late", "ehr")])
    assert text == f"{group.title}. {group.caption} Drew plane.html"
    line = failed("figure", path, "--out", "plane.html", "--ceiling", "2", code=2)
    assert "--ceiling is of figures for print" in line


def test_what_monitors_wrote(tmp_path: Path) -> None:
    first = toy.monitor("late", 1)
    begin = {"kind": "begin", "step": 0, "schema": first.schema, "modalities": first.modalities}
    for seed in (1, 2):
        made = {"provenance": {"recipe": toy.monitor("late", seed).provenance["recipe"]}}
        rows = [begin | made, *({"kind": "measurement", **one} for one in first.measurements)]
        content = b"".join(map(as_line, rows))
        (tmp_path / f"runs-{seed}.monitor.jsonl").write_bytes(content)
    told = " ".join(done("figure", tmp_path, "--caption", "--out", "f.svg").split())
    assert "Lines are means over seeds (2 seeds each)" in told
    assert done("figure", "runs-1.pt", "--kind", "watch", "--out", "w.pdf") == "Drew w.pdf\n"
    assert done("figure", "runs-1.monitor.jsonl", "--out", "w.html") == "Drew w.html\n"
    assert done("figure", ".", "--kind", "flatness", "--out", "w.html") == "Drew w.html\n"
    # Beside results, which a folder is asked for first, a kind says that monitors are meant.
    toy.gap("late").save(tmp_path / "gap.json")
    assert "gap" in done("figure", ".", "--caption")
    more = ("--kind", "flatness", "--quantity", "lambda_max", "--caption")
    assert done("figure", ".", *more).startswith("λ_max of each encoder over training.")


def test_results_need_no_torch(traces: Path) -> None:
    code = (
        "import sys\nfrom sharpscope_cli.main import cli\n"
        f"try:\n    cli(['figure', {str(traces)!r}, '--out', 'x.svg'])\n"
        "except SystemExit as exit:\n    assert exit.code == 0, exit.code\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_misuse_is_one_sentence(traces: Path, tmp_path: Path) -> None:
    plane = toy.plane("late", "ehr").save(tmp_path / "plane.json")
    Path("empty").mkdir()
    Path("text.json").write_text("text")
    for arguments, sentence in {
        (): "Missing argument 'RESULT...'",
        (traces,): "nothing was asked for: --out FILE draws, --caption prints the text",
        ("empty", "--caption"): "empty is a folder without .json results or .monitor",
        ("plan.json", "--caption"): "no such file: plan.json; did you mean 'plane.json'?",
        ("text.json", "--caption"): "text.json is not a sharpscope result: it is not JSON",
        (plane, "--out", "x.pdf"): "choose kind 'contours' or 'surfaces'",
        (plane, "--out", "x.gif"): "a figure's file must end in '.pdf', '.svg', '.png'",
        (plane, "--kind", "bar", "--caption"): "--kind must be",
        (plane, "--kind", "bars", "--caption"): "is drawn from traces, eigenvalues",
        (plane, traces, "--caption"): "no figure shows sharpscope/landscape, sharpscope/trace",
        (plane, "--width", "wide", "--caption"): "--width must be 'text', 'column' or 'page'",
        (plane, "--kind", "surfaces", "--ceiling", "-1", "--caption"): "--ceiling must be a",
        (plane, "--kind", "contours", "--colors", "x", "--caption"): "--colors must be 'shared' or",
        (traces, "--colors", "encoder", "--caption"): "--colors means nothing to kind 'course'",
        (plane, "--kind", "contours", "--setting", "rho", "--caption"): "--setting means nothing",
        (plane, "--kind", "contours", "--quantity", "x", "--caption"): "--quantity must be 'loss'",
        (plane, "--kind", "contours", "--out", "text.json/x.pdf"): "cannot write text.json/x.pdf",
        (plane, "--kind", "contours", "--out", "empty"): "must end in",
    }.items():
        assert sentence in failed("figure", *arguments, code=2), arguments
    assert not list(Path().glob("x.*"))
