"""The table of a report: which numbers stand in which row, told apart how."""

from pathlib import Path

from sharpscope.report.table import tabulate
from sharpscope.results import Outcome, Result
from tests.report.pages import EVERY, Page, report_of
from tests.results.makers import (
    a_gap,
    a_landscape,
    a_run,
    a_sharpness,
    a_trace,
    an_eigen,
)


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
