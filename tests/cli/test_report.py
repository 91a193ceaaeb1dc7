"""``sharpscope report``: one HTML file from a folder, and what it says about it."""

import json
from pathlib import Path

from tests.cli.support import done, failed, read_json
from tests.results.makers import a_landscape, a_trace


def a_folder() -> Path:
    a_trace(tag="late").save("found/trace.json")
    a_landscape(tag="late").save("found/deep/plane.json")
    Path("found/theirs.json").write_text(json.dumps({"schema": "theirs"}))
    return Path("found")


def test_it_writes_the_report_and_tells_what_it_left_out() -> None:
    text = done("report", a_folder())
    assert text.splitlines()[0].startswith("Left out theirs.json: is not a sharpscope result")
    assert text.splitlines()[-1] == "Wrote found/report.html with 2 results"
    assert "925.6 ± 8.7" in Path("found/report.html").read_text()
    assert done("report", "found", "--quiet", "--out", "other/x.html") == ""
    assert Path("other/x.html").read_text() == Path("found/report.html").read_text()


def test_json() -> None:
    found = read_json("report", a_folder())
    assert found["schema"] == "sharpscope/report"
    assert found["path"] == "found/report.html"
    assert found["results"] == ["deep/plane.json", "trace.json"]
    assert list(found["left_out"]) == ["theirs.json"]


def test_what_cannot_be_reported() -> None:
    assert "absent is not there" in failed("report", "absent", code=2)
    Path("empty").mkdir()
    assert "empty holds no sharpscope result" in failed("report", "empty", code=2)
    a_folder()
    assert "must end in .html" in failed("report", "found", "--out", "x.pdf", code=2)
    assert "cannot write" in failed("report", "found", "--out", "found/trace.json/x.html", code=2)
    assert list(Path("empty").iterdir()) == []


def test_a_volume_turns_in_a_page_and_its_grid_is_exported(ours: Path) -> None:
    arguments = ("--modality", "mor", "--samples", "8", "--shape", "3x3x3", "--out", "v.json")
    text = done("landscape", ours, *arguments, "--figure", "v.html")
    assert text.endswith("Saved v.json\nDrew v.html\n")
    assert '"mesh3d"' in Path("v.html").read_text()
    assert done("figure", "v.json", "--out", "v.vtr") == "Drew v.vtr\n"
    assert 'WholeExtent="0 2 0 2 0 2"' in Path("v.vtr").read_text()
    told = failed("landscape", ours, *arguments[:-2], "--figure", "v.vtr", code=2)
    assert ".vtr holds the grid of one landscape: save the result with --out" in told
