"""Reports: what of the results they hold, what they leave out, what they refuse."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from markupsafe import escape

from sharpscope.errors import MisuseError
from sharpscope.report import gather, write_report
from sharpscope.report.facts import about
from sharpscope.report.table import tabulate
from sharpscope.report.writing import render
from sharpscope.results import Outcome, Result, save_all
from tests.results.makers import (
    a_comparison,
    a_contribution,
    a_coupling,
    a_density,
    a_gap,
    a_landscape,
    a_run,
    a_sharpness,
    a_trace,
    an_eigen,
)

EVERY = (a_trace, an_eigen, a_density, a_sharpness, a_gap, a_coupling, a_contribution, a_landscape)


class Page(HTMLParser):
    """The texts of a page, by the element that they stand in."""

    def __init__(self, html: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.cells: list[list[str]] = []
        self._text: list[str] | None = None
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.cells.append([])
        if tag in ("td", "th"):
            self._text = []
        elif tag in ("small", "span") and self._text is not None:
            self._text.append(" ")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th") and self._text is not None:
            self.cells[-1].append(" ".join("".join(self._text).split()))
            self._text = None

    def numbers(self, encoder: str) -> dict[str, str]:
        """Return what stands in the rows of an encoder, by the heads of the columns."""
        heads: list[str] = []
        found: dict[str, str] = {}
        above = False
        for cells in self.cells:
            if cells[0] == "encoder":  # the groups follow, whose columns the next row names
                heads, above = cells[: 2 if "parameters" in cells else 1], True
            elif above:
                heads, above = [*heads, *cells], False
            elif cells[0] == encoder:
                found |= dict(zip(heads[1:], cells[1:], strict=True))
        return found

    def handle_data(self, data: str) -> None:
        if self._text is not None:
            self._text.append(data)


def report_of(folder: Path, *results: Any) -> str:
    save_all(results, folder, "r")
    return write_report(folder).read_text()


def test_every_kind_of_result_has_its_numbers_with_their_errors(tmp_path: Path):
    a_run(tag="late").save(tmp_path / "run.json")
    of = {"checkpoint_sha256": "abc", "split": "test"}
    page = Page(report_of(tmp_path, *(make(tag="late", provenance=of) for make in EVERY)))
    assert ["late fusion loss 0.5 over 12 test items"] in page.cells
    found = page.numbers("cxr")
    assert found["parameters"] == "100"
    assert found["trace ± error loss / parameter²"] == "925.6 ± 8.7 data ± 31"
    assert found["λ_max loss / parameter²"] == "3.000 residual 1.0e-04"
    assert found["below 0, %"] == "5 to 80"
    assert found["Q, %"].startswith("2.5")
    assert found["share v_m"] == "0.300 ± 0.020 12 test items"
    assert page.numbers("ehr+cxr")["share of H_ab"] == "0.133 ± 0.010"
    assert sum(tag == "details" for tag, _ in page.tags) == len(EVERY) + 1


def test_what_did_not_converge_is_flagged_beside_its_number():
    early = a_trace(tag="late", outcome=Outcome.BUDGET_SPENT)
    table = tabulate([early, an_eigen(tag="late")])
    (row,) = table.rows["late"]
    assert row.flags["trace"] == 1
    assert "largest" not in row.flags
    assert table.remarks[0].startswith("budget spent: The budget was spent")


def test_a_row_holds_one_kind_of_data_and_one_number_of_a_kind():
    results: list[Result] = [
        a_trace(tag="a"),
        an_eigen(tag="a"),
        a_trace(tag="a", seed=1),
        an_eigen(tag="a", samples=99),
        a_gap(tag="a", samples=7),
        a_trace(tag="b"),
    ]
    table = tabulate(results)
    rows = table.rows["a"]
    assert [set(row.cells) & {"trace", "largest", "gap"} for row in rows] == [
        {"trace", "largest", "gap"},
        {"trace"},
        {"largest"},
    ]
    assert [row.data and row.data[2] for row in rows] == [12, 12, 99]
    assert len(table.rows["b"]) == 1


def test_a_landscape_has_a_row_only_where_nothing_else_has_one():
    planes = [a_landscape(tag="a", samples=3), a_landscape(tag="b", samples=3)]
    table = tabulate([*planes, a_trace(tag="a")])
    (row,) = table.rows["a"]
    assert (row.about, set(row.cells) & {"trace"}) == ("fusion loss 0.5 over 12 items", {"trace"})
    (alone,) = table.rows["b"]
    assert (alone.about, alone.cells) == ("fusion loss 0.5 over 3 items", {})


def test_checkpoints_of_one_name_are_told_apart_by_their_hash():
    names = ("1234567890", "abcdefghij")
    traces = [a_trace(tag="late", provenance={"checkpoint_sha256": name}) for name in names]
    assert list(tabulate(traces).rows) == ["late (12345678)", "late (abcdefgh)"]


def test_rows_of_two_matrices_are_told_apart(tmp_path: Path):
    ggn = {"operator": "gauss-newton"}
    results: list[Result] = [
        a_trace(tag="a", settings=ggn),
        a_trace(tag="a"),
        an_eigen(tag="a", settings=ggn),
        an_eigen(tag="a"),
        a_sharpness(tag="a"),
    ]
    table = tabulate(results)
    rows = table.rows["a"]
    assert [row.notes for row in rows] == [("Gauss-Newton matrix",), ("Hessian",)]
    assert all({"trace", "largest"} <= set(row.cells) for row in rows)
    assert table.matrices == ("Gauss-Newton matrix",)
    html = report_of(tmp_path / "two", *results)
    assert "<small>Gauss-Newton matrix</small>" in html
    assert "in a row that names another matrix, that one: Gauss-Newton matrix." in html
    assert "names another matrix" not in report_of(tmp_path / "one", a_trace(tag="a"))
    assert tabulate([a_trace(tag="a")]).rows["a"][0].notes == ()


def test_a_number_taken_twice_says_how_it_was_taken():
    rows = tabulate([a_trace(tag="a"), a_trace(tag="a", seed=1)]).rows["a"]
    assert [row.notes for row in rows] == [("hutch++, seed 0",), ("hutch++, seed 1",)]


def test_models_without_a_file_share_no_row():
    of = [{"split": "train", "model_fingerprint": name} for name in ("AAAA", "BBBB")]
    table = tabulate([a_trace(provenance=of[0]), an_eigen(provenance=of[1])])
    assert list(table.rows) == ["model (AAAA)", "model (BBBB)"]
    unknown = tabulate([a_trace(provenance={}), an_eigen(provenance={}, loss_value=2.5)])
    assert [row.loss for row in unknown.rows["model"]] == [0.5, 2.5]


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
