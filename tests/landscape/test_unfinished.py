"""Landscapes that end before they are whole, and go on."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sharpscope.errors import MisuseError
from sharpscope.landscape import Landscape, filling
from sharpscope.results import Outcome
from sharpscope.subject import Subject
from tests import problems
from tests.landscape.known import known


def test_an_interrupted_landscape_goes_on_bit_for_bit(tmp_path: Path):
    model = problems.build("layer_norm")
    settings = Landscape(shape=(5, 5), seed=3)
    whole = settings(problems.subject_of(model), "ehr")
    out = tmp_path / "ehr.json"

    class Killed(BaseException):
        pass

    def kill(what: str) -> None:
        if what.startswith("11 of"):
            raise Killed

    interrupted = Landscape(shape=(5, 5), seed=3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(filling, "_KEEP_SECONDS", 0.0)
        with pytest.raises(Killed):
            interrupted(problems.subject_of(model), "ehr", out=out, watcher=kill)
    assert (tmp_path / "ehr.json.points").is_file()
    found = settings(problems.subject_of(model), "ehr", out=out)
    assert np.array_equal(found.values, whole.values)
    # All passes behind the grid, and one more to see again how the points are measured.
    assert found.evaluations == whole.evaluations + 1
    assert (tmp_path / "ehr.json.points").is_file()  # nothing is lost before the result is there
    found.save(out)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["ehr.json", "ehr.npz"]


def test_time_that_runs_out_is_gone_on_from(tmp_path: Path):
    subject = known(lambda a, b: a**2 + b)
    out = tmp_path / "a.json"
    for made in range(1, 9):  # one point at a time, however little time there is
        found = Landscape(shape=(9,), max_seconds=1e-9)(subject, "a", out=out)
        assert found.outcome is Outcome.BUDGET_SPENT
        assert int(np.isfinite(found.values).sum()) == made
        assert "repeat the command to go on" in found.advice
    done = Landscape(shape=(9,), max_seconds=1e-9)(subject, "a", out=out)
    assert done.outcome is Outcome.COMPLETED
    assert done.values.tolist() == Landscape(shape=(9,))(subject, "a").values.tolist()


def test_points_of_another_landscape_are_refused(tmp_path: Path):
    out = tmp_path / "a.json"
    subject = known(lambda a, b: a + b)
    Landscape(shape=(9,), max_seconds=1e-9)(subject, "a", out=out)
    others: list[tuple[Subject, dict[str, Any]]] = [
        (known(lambda a, b: a + b, a=2.0), {}),
        (subject, {"seed": 1}),
        (subject, {"span": 0.5}),
    ]
    for other, settings in others:
        with pytest.raises(MisuseError, match=r"holds points of another landscape .*: remove it"):
            Landscape(shape=(9,), **settings)(other, "a", out=out)
    (tmp_path / "a.json.points").write_bytes(b"no")
    with pytest.raises(MisuseError, match="cannot be read as the points of a landscape: remove it"):
        Landscape(shape=(9,))(subject, "a", out=out)
