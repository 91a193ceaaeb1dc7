"""Tables: rounded to their errors for people, whole for programs."""

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

import sharpscope as ss
from sharpscope.comparing import check_table, write_table
from sharpscope.comparing.latex import escaped, latex
from sharpscope.comparing.rows import blocks, heads
from sharpscope.comparing.tables import comma_separated, markdown
from sharpscope.errors import MisuseError
from sharpscope.results import Comparison, load
from sharpscope.results.comparison import Difference
from tests.comparing.makers import largest, traced
from tests.results.comparisons import a_comparison


@pytest.fixture
def found() -> Comparison:
    return ss.compare(
        [
            make(run, value, modality=modality)
            for run, factor in (("late_s1", 1.0), ("masam & co", 0.71))
            for make, value in ((traced, 925.6 * factor), (largest, 9.0 * factor))
            for modality in ("ehr", "cxr")
        ]
    )


def test_csv_is_whole(found: Comparison):
    lines = list(csv.DictReader(io.StringIO(comma_separated(found))))
    assert len(lines) == len(found.entries) == 8
    for line, entry in zip(lines, found.entries, strict=True):
        assert (line["quantity"], line["modality"]) == (entry.quantity, entry.modality)
        assert float(line["value"]) == entry.value
        assert float(line["train_loss"]) == 0.5
        other = found.difference(entry.quantity, entry.modality, entry.name)
        if other is None:
            assert line["difference"] == line["verdict"] == ""
            continue
        assert other.interval is not None
        assert float(line["difference"]) == other.difference
        assert float(line["difference_probe_error"]) == other.probe_error
        assert float(line["difference_data_error"]) == other.data_error
        assert float(line["difference_interval_low"]) == other.interval[0]
        assert float(line["difference_interval_high"]) == other.interval[1]
        assert other.ratio_interval is not None
        assert float(line["ratio_interval_low"]) == other.ratio_interval[0]
        assert line["verdict"] == other.verdict
    fields = {name.removeprefix("difference_") for name in lines[0]}
    left = set(Difference.__dataclass_fields__) - fields
    assert left == {"interval", "measured", "ratio_interval"}  # each as low and high


def test_markdown_has_a_table_for_each_quantity_and_the_sentences(found: Comparison):
    text = markdown(found)
    assert re.findall(r"^### (.*)$", text, re.MULTILINE) == [
        "Trace (loss / parameter²)",
        "λ\\_max (loss / parameter²)",
    ]
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.replace("\\|", "").count("|") for line in tables}) == 1
    assert len(tables) == 2 * (2 + 4)
    assert "| ehr | late\\_s1 | 0.5 | " in text
    for sentence in found.sentences:
        assert f"- {sentence}".replace("_", "\\_") in text


def test_latex_has_the_structure_of_booktabs(found: Comparison):
    text = latex(found)
    body = [line for line in text.splitlines() if not line.startswith("%")]
    assert body[0] == f"\\begin{{tabular}}{{ll{'r' * (len(heads(found)) - 3)}l}}"
    assert body[-1] == "\\end{tabular}"
    assert [text.count(rule) for rule in ("\\toprule", "\\midrule", "\\bottomrule")] == [1, 2, 1]
    rows = [line for line in body if line.endswith("\\\\") and "multicolumn" not in line]
    assert len(rows) == 1 + 8
    for row in rows:
        assert len(re.findall(r"(?<!\\)&", row)) == len(heads(found)) - 1
        assert row.count("$") % 2 == 0
        assert row.count("{") == row.count("}")
    assert "late\\_s1" in text
    assert "masam \\& co" in text
    assert "$\\lambda_{\\max}$" in text
    assert "$926 \\pm" in text
    assert text.isascii()


def test_latex_prints_numbers_as_numbers():
    entry = a_comparison().entries[1]
    tiny = replace(entry, value=9.12e-5, probe_error=1.3e-6, data_error=2e-12)
    (one,) = a_comparison().differences
    odd = replace(one, difference=-2.5e8, error=1.2e7, interval=(-2.8e8, -2.2e8))
    text = latex(a_comparison(entries=(a_comparison().entries[0], tiny), differences=(odd,)))
    assert r"$(9.12 \pm 0.13) \times 10^{-5}$" in text
    assert r"$2.0 \times 10^{-12}$" in text
    assert r"$(-2.50 \pm 0.12) \times 10^{8}$" in text
    assert r"$-2.8 \times 10^{8}$ to $-2.2 \times 10^{8}$" in text


def test_special_characters_are_escaped():
    assert escaped(r"50 % of {a_b} ~ \x^2 #1 $ a|b <c>") == (
        r"50 \% of \{a\_b\} \textasciitilde{} \textbackslash{}x\textasciicircum{}2 \#1 \$ "
        r"a\textbar{}b \textless{}c\textgreater{}"
    )
    assert escaped("λ_max ± ‖θ‖²") == r"$\lambda_{\max}$ $\pm$ $\Vert$$\theta$$\Vert$$^2$"


def test_letters_outside_ascii_are_mapped_or_refused():
    assert escaped("∞ ± ½") == r"$\infty$ $\pm$ $\frac{1}{2}$"
    assert escaped("méthode λ, Σ, Ω, α, ω, Τ") == (
        r"m\'{e}thode $\lambda$, $\Sigma$, $\Omega$, $\alpha$, $\omega$, $T$"
    )
    assert escaped("e\u0301 ü ç") == "\\'{e} \\\"{u} \\c{c}"
    told = r"a LaTeX table has no form for '法' \(U\+6CD5\): give the checkpoint or group a name in"
    with pytest.raises(MisuseError, match=told):
        escaped("法")
    with pytest.raises(MisuseError, match=told):  # before anything is measured
        check_table("t.tex", ["late", "法"])
    assert check_table("t.md", ["法"]) == Path("t.md")


def test_names_with_marks_leave_the_structure_of_tables():
    group = ss.compare({"a|b <i>": [traced("a")], "m*s_[`x`]": [traced("b", 50.0)]})
    lines = [line for line in markdown(group).splitlines() if line.startswith("|")]
    bars = {len(re.findall(r"(?<!\\)\|", line)) for line in lines}
    assert bars == {len(heads(group)) + 1}
    assert "x a\\|b &lt;i>" in lines[0]
    assert "m\\*s\\_\\[\\`x\\`\\]" in lines[-1]
    rows = [line for line in latex(group).splitlines() if line.endswith("\\\\")]
    assert r"x a\textbar{}b \textless{}i\textgreater{}" in rows[0]
    assert all(len(re.findall(r"(?<!\\)&", row)) == len(heads(group)) - 1 for row in rows[2:])


def test_numbers_are_rounded_to_their_errors(found: Comparison):
    trace, largest_ = blocks(found)
    assert trace.rows[0][:2] == ("ehr", "late_s1")
    assert re.fullmatch(r"\d{3} ± \d\d|\d{3}\.\d ± \d\.\d", trace.rows[0][3])
    assert trace.rows[0][5:] == ("", "", "", "reference")
    assert trace.rows[1][-1] == "different"
    assert largest_.rows[0][3] == "9.00"  # to the place of the data error
    bare = [replace(largest(run), data_errors=None, batch_parts=()) for run in ("a", "b")]
    rows = blocks(ss.compare(bare))[0].rows
    assert rows[0][3] == "9.000"  # to the residual's place, four digits at most
    assert rows[1][-3:] == ("0 ± –", "–", "undecided")
    group = ss.compare({"late": [traced("a", seed=1)], "masam": [traced("b", 50.0, seed=1)]})
    assert "runs" in heads(group)
    assert blocks(group)[0].rows[0][2] == "1"
    nothing = replace(group.differences[0], difference=None, verdict="not finite", ratio=None)
    told = blocks(replace(group, differences=(nothing,)))[0].rows[1]
    assert told[-4:] == ("–", "–", "–", "not finite")


@pytest.mark.parametrize("suffix", [".csv", ".tex", ".md", ".json", ".TEX"])
def test_the_format_is_that_of_the_name(found: Comparison, suffix: str, tmp_path: Path):
    path = write_table(found, tmp_path / f"table{suffix}")
    assert path.read_text(encoding="utf-8").strip()
    if suffix == ".json":
        assert load(path) == found
        assert json.loads(path.read_text(encoding="utf-8"))["sentences"] == list(found.sentences)


def test_other_formats_are_told():
    told = r"a table's file must end in '.csv', '.tex', '.md' or '.json'; got table.xlsx"
    with pytest.raises(MisuseError, match=told):
        check_table("table.xlsx")
