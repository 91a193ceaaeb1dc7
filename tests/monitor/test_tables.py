"""Tables of a monitored run: a row for each encoder under the header that is there."""

import csv
from pathlib import Path

import pytest

from sharpscope.errors import MisuseError
from sharpscope.monitor import CSV, FlatnessMonitor
from tests.monitor.nets import net, subject
from tests.monitor.test_sinks import QUICK, written


def test_a_table_has_a_row_for_each_encoder(tmp_path: Path):
    path = tmp_path / "run.csv"
    written(CSV(path))
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 8
    assert (rows[0]["modality"], float(rows[0]["trace"])) == ("ehr", 8.0)
    assert rows[0]["threshold"] == "2.0"
    written(CSV(path))  # rows are added, and one head is enough
    assert path.read_text().count("step,epoch") == 1


def test_rows_go_under_the_header_that_is_there(tmp_path: Path):
    path = tmp_path / "run.csv"
    own = ["note", *reversed(CSV.COLUMNS)]
    path.write_text(",".join(own) + '\r\n"a, b",1.5,to')  # torn
    written(CSV(path))
    with path.open(encoding="utf-8", newline="") as file:
        head, torn, *rows = csv.reader(file)
    assert (head, torn) == (own, ["a, b", "1.5", "to"])
    assert len(rows) == 8
    assert {len(row) for row in rows} == {len(own)}
    first = dict(zip(own, rows[0], strict=True))
    assert (first["note"], first["modality"], float(first["trace"])) == ("", "ehr", 8.0)


def test_a_table_that_lacks_columns_is_refused_and_left_as_it_is(tmp_path: Path):
    path = tmp_path / "run.csv"
    old = [name for name in CSV.COLUMNS if name not in ("trained_lambda_max", "residual")]
    before = ",".join(old) + "\n"
    path.write_text(before)
    told = r"run\.csv lacks the columns residual, trained_lambda_max, whose numbers would be lost"
    with pytest.raises(MisuseError, match=told):
        FlatnessMonitor(subject(net()), sinks=path)
    path.write_text("")
    monitor = FlatnessMonitor(subject(net()), ["lambda_max"], when=1, sinks=path, **QUICK)
    path.write_text(before)  # meanwhile: training goes on
    with pytest.warns(UserWarning, match="writes no more to .*csv: MisuseError: .*lacks the colu"):
        monitor.begin()
    assert path.read_text() == before
    assert monitor.record.steps == [0]
