"""What monitors wrote, in a report."""

from pathlib import Path

from sharpscope.report import gather
from sharpscope.report.writing import render
from sharpscope.results.monitor import as_line
from tests.results.makers import a_monitor, a_trace


def test_what_monitors_wrote_is_a_section_and_no_row(tmp_path: Path):
    rows = [
        {"kind": "begin", "step": 0, "schema": "sharpscope/monitor", "modalities": ["ehr", "cxr"]},
        *({"kind": "measurement", **entry} for entry in a_monitor().measurements),
        {"kind": "event", **a_monitor().events[0]},
        {"kind": "failure", **a_monitor().failures[0]},
    ]
    lines = b"".join(map(as_line, rows))
    (tmp_path / "late.monitor.jsonl").write_bytes(lines + b'{"kind": "mea')  # torn
    (tmp_path / "new.monitor.jsonl").write_bytes(as_line(rows[0]))
    (tmp_path / "bad.monitor.jsonl").write_bytes(b"[]\n")
    (tmp_path / "theirs.jsonl").write_text("{}\n")
    a_trace(tag="late").save(tmp_path / "trace.json")
    found = gather(tmp_path)
    assert list(found.records) == ["late.monitor.jsonl", "trace.json"]
    assert list(found.left_out) == ["bad.monitor.jsonl", "new.monitor.jsonl"]
    assert found.left_out["new.monitor.jsonl"] == "has no measurement yet"
    assert found.left_out["bad.monitor.jsonl"].startswith("cannot be shown:")
    html = render(found)
    assert html.count('"text":"share of the trace"') == 2  # a title, and the label of its axis
    assert "<dt>step 300</dt><dd>ehr sharpens after it had flattened</dd>" in html
    assert "<dt>step 150</dt><dd>SubjectError: the loss is not finite</dd>" in html
    assert "<dt>training</dt><dd>had not ended</dd>" in html
    assert "<dt>measurements</dt><dd>4 from step 0 to 300</dd>" in html
