"""Reports: what of the results they hold, what they leave out, what they refuse."""

import json
import re
from pathlib import Path

import pytest
from markupsafe import escape

from sharpscope.errors import MisuseError
from sharpscope.report import gather, write_report
from sharpscope.report.facts import about
from sharpscope.report.writing import render
from sharpscope.results import Outcome, save_all
from tests.report.pages import EVERY, Page, report_of
from tests.results.comparisons import a_comparison
from tests.results.makers import (
    a_density,
    a_landscape,
    a_trace,
    an_eigen,
)


def test_what_comes_from_files_is_escaped(tmp_path: Path):
    evil = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
    (tmp_path / "<b>bad.json").write_text("{}")
    html = report_of(
        tmp_path,
        a_trace(tag=evil, notes=(evil,), method=evil, settings={evil: evil}),
        a_landscape(tag=evil, modality=evil, labels=(evil, evil), loss=evil),
    )
    assert "<script>alert" not in html
    assert "<img src=x" not in html
    assert "<b>bad" not in html
    assert "&lt;b&gt;bad.json" in html
    tags = Page(html).tags
    scripts = [given for tag, given in tags if tag == "script"]
    # One for each panel, one with plotly.js, one that draws.
    assert len(scripts) == sum(tag == "img" for tag, _ in tags) + 2


def test_plotly_is_there_once_and_nothing_comes_from_elsewhere(tmp_path: Path):
    html = report_of(tmp_path, a_landscape(), a_density())
    assert html.count("plotly.js v") == 1
    tags = Page(html).tags
    assert [given for tag, given in tags if tag in ("link", "iframe", "object")] == []
    assert [given for _, given in tags if given.get("src") or "@import" in str(given)] == []
    (policy,) = [given for _, given in tags if given.get("http-equiv")]
    assert str(policy["content"]).startswith("default-src 'none'")
    assert "http" not in str(policy["content"])


def test_the_same_results_give_the_same_file(tmp_path: Path):
    save_all([make() for make in EVERY], tmp_path, "r")
    assert render(gather(tmp_path)) == render(gather(tmp_path))


def test_a_folder_inside_counts_and_what_is_no_result_is_told(tmp_path: Path):
    a_trace().save(tmp_path / "deep" / "down" / "trace.json")
    (tmp_path / "other.json").write_text('{"schema": "theirs"}')
    (tmp_path / "broken.json").write_text("{")
    damaged = json.loads((tmp_path / "deep/down/trace.json").read_text()) | {"seconds": "long"}
    (tmp_path / "damaged.json").write_text(json.dumps(damaged))
    a_landscape().save(tmp_path / "alone.json")
    (tmp_path / "alone.npz").unlink()
    found = gather(tmp_path)
    assert list(found.records) == ["deep/down/trace.json"]
    assert found.left_out["broken.json"] == "is not a sharpscope result: it is not JSON"
    assert "its schema must be" in found.left_out["other.json"]
    assert found.left_out["damaged.json"].startswith("is damaged: ")
    assert "holds the arrays" in found.left_out["alone.json"]
    for name in found.left_out:
        assert f"<code>{name}</code>" in render(found)


def test_it_is_named_after_its_checkpoints_or_its_folder(tmp_path: Path):
    assert "<h1>Flatness report: late</h1>" in report_of(tmp_path, a_trace(tag="late"))
    many = [a_trace(tag=name) for name in "abcd"]
    assert "<h1>Flatness report: many</h1>" in report_of(tmp_path / "many", *many)


def test_a_comparison_is_told_in_its_sentences(tmp_path: Path):
    found = a_comparison()
    html = report_of(tmp_path, a_trace())
    assert "<h2>Differences</h2>" not in html
    found.save(tmp_path / "compare.json")
    html = render(gather(tmp_path))
    assert found.sentences
    for sentence in found.sentences:
        assert f"<li>{escape(sentence)}</li>" in html
    for note in found.notes:
        assert f"<li>{escape(note)}</li>" in html
    assert "masam compared with late: the fusion loss over 12 train items" in html
    assert "train losses 0.5 of late, 0.5 of masam." in html


def test_a_comparison_tells_its_train_loss_and_its_runs():
    matched = about(a_comparison(train_loss=0.25))
    assert matched.endswith("; at the train loss 0.25 (masam: masam at epoch 2).")
    grouped = about(a_comparison(grouped=True))
    assert grouped.endswith("; runs: 1 of late, 1 of masam.")


def test_columns_are_explained_with_their_formula(tmp_path: Path):
    html = report_of(tmp_path, a_trace(), an_eigen())
    meaning = html[html.index("What the columns mean</h2>") :]
    assert "<code>tr H = Σ λ_i</code>" in meaning
    assert "<code>max λ, H x = λ x</code>" in meaning
    assert "Keskar" not in meaning  # no column, no meaning


def test_what_is_not_finite_is_said_without_a_figure(tmp_path: Path):
    lost = a_trace(value=None, standard_error=None, outcome=Outcome.NOT_FINITE)
    html = report_of(tmp_path, lost)
    assert "not finite" in html
    assert "<h2>Figures</h2>" not in html
    assert "plotly.js v" not in html


def test_provenance_is_whole(tmp_path: Path):
    html = report_of(tmp_path, a_trace(replayed=("image",), peak_bytes=2**20))
    details = re.sub(r"\s+", " ", html[html.index("<details>") : html.index("</details>")])
    for told in (
        "<dt>file</dt><dd>r-cxr.json</dd>",
        "<dt>seed</dt><dd>0</dd>",
        "<dt>products</dt><dd>48</dd>",
        "<dt>peak memory</dt><dd>1 MiB</dd>",
        "<dt>played back</dt><dd>image</dd>",
        "<dt>checkpoint_sha256</dt><dd>abc</dd>",
        "<dt>deep.list</dt><dd>1, 2</dd>",
        "<dd>λ two</dd>",
    ):
        assert told in details


def test_what_cannot_be_reported(tmp_path: Path):
    with pytest.raises(
        MisuseError, match=r"a report is of the results in a folder; .*is not there"
    ):
        write_report(tmp_path / "absent")
    assert not (tmp_path / "absent").exists()
    with pytest.raises(MisuseError, match="holds no sharpscope result: save some with --out"):
        write_report(tmp_path)
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(MisuseError, match="result; none of its 1 JSON files is one: save some"):
        write_report(tmp_path)
    with pytest.raises(MisuseError, match=r"a report is of the results in a folder; .*is a file"):
        write_report(tmp_path / "other.json")
    a_trace().save(tmp_path / "trace.json")
    with pytest.raises(MisuseError, match=r"a report's file must end in .html; got .*report.pdf"):
        write_report(tmp_path, tmp_path / "report.pdf")
    with pytest.raises(MisuseError, match="cannot write"):
        write_report(tmp_path, tmp_path / "other.json" / "report.html")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other.json", "trace.json"]
