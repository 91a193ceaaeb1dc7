"""Results as records: JSON that is valid, files that come back equal, sentences for the rest."""

import dataclasses
import datetime
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sharpscope.errors import MisuseError
from sharpscope.results import Outcome, Result, TraceResult, load, save_all
from tests.results.makers import a_trace, an_eigen


def test_reprs_say_the_value_the_method_and_the_cost():
    assert repr(a_trace()) == "TraceResult(925.6 ± 8.7, hutch++, 48 products, 12.3 s)"
    assert repr(a_trace(value=None)) == "TraceResult(not finite, hutch++, 48 products, 12.3 s)"
    assert (
        repr(an_eigen()) == "EigenResult(λ_max 3.0000, λ_min -1.000, lanczos, 48 products, 12.3 s)"
    )
    one_end = an_eigen(largest=None, smallest=None, largest_magnitude=-3.0)
    assert repr(one_end).startswith("EigenResult(largest |λ| -3, lanczos")
    none = an_eigen(largest=None, smallest=None, largest_magnitude=None)
    assert repr(none).startswith("EigenResult(not finite, lanczos")


@pytest.mark.parametrize(
    ("changes", "needed", "told"),
    [
        # 24 probes and 24 products before them; the error must fall from 20 to 10: four times 24.
        ({"standard_error": 20.0, "value": 1000.0}, 120, "about 120 products (31 s at this pace)"),
        (
            {"standard_error": 30.0, "value": -100.0},
            24 + 24 * 900,
            "about 22,000 products (5,600 s",
        ),
        ({"standard_error": 1.0, "value": 1e-6}, 24 + 24e16, "about 2e+17 products (6e+16 s at"),
        ({"standard_error": 0.1, "value": 1e3, "probes": 4}, 54, "about 54 products"),
        ({"settings": {"rtol": 0.01, "probes": 500}}, 524, "about 520 products"),
        ({"value": 0.0}, None, "was reached: raise --budget"),
        ({"value": None}, None, "was reached: raise --budget"),
        ({"settings": {}}, None, "was reached: raise --budget"),
    ],
)
def test_a_spent_budget_tells_how_many_products_the_target_needs(
    changes: dict[str, Any], needed: float | None, told: str
):
    found = a_trace(outcome=Outcome.BUDGET_SPENT, **changes)
    assert found.needed == (None if needed is None else pytest.approx(needed))
    assert told in found.advice
    assert "--budget or --max-seconds, or accept the error with a larger --rtol." in found.advice
    assert found.to_dict()["advice"] == found.advice
    assert "needed" not in found.to_dict()


@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_outcome_has_advice(outcome: Outcome):
    found = a_trace(outcome=outcome, standard_error=None)
    assert found.advice == outcome.advice == found.to_dict()["advice"]
    assert found.advice.endswith(".")


def test_the_dictionary_is_valid_json_and_null_where_not_finite():
    odd = a_trace(
        value=float("nan"),
        terms=(1.0, float("inf"), -float("inf")),
        settings={"np": np.float32(0.5), "count": np.int64(3), "array": np.array([1.0, np.nan])},
        provenance={"path": Path("a/b"), "when": datetime.date(2026, 1, 2), 3: True, "none": None},
        outcome=Outcome.NOT_FINITE,
    )
    found = json.loads(json.dumps(odd.to_dict(), allow_nan=False))
    assert (found["value"], found["terms"]) == (None, [1.0, None, None])
    assert found["settings"] == {"np": 0.5, "count": 3, "array": [1.0, None]}
    assert found["provenance"] == {"path": "a/b", "when": "2026-01-02", "3": True, "none": None}
    assert found["outcome"] == "not_finite"
    assert found["schema"] == "sharpscope/trace"
    assert found["version"]


def test_the_dictionary_has_what_the_design_promises():
    promised = (
        "schema version modality parameters samples loss loss_value value standard_error interval "
        "data_error outcome advice method matvecs seconds seed settings provenance notes tag"
    )
    assert set(promised.split()) <= set(a_trace().to_dict())
    assert an_eigen().to_dict()["vectors"] == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]


def test_a_trace_comes_back_equal(tmp_path: Path):
    result = a_trace(interval=None, tag="final")
    path = result.save(tmp_path / "deep" / "x.json")
    assert load(path) == result
    assert [p.name for p in path.parent.iterdir()] == ["x.json"]
    assert "λ two" in path.read_text(encoding="utf-8")
    assert "arrays" in json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(("name", "beside"), [("x.json", "x.npz"), ("x.run1", "x.run1.npz")])
def test_vectors_come_back_from_the_npz_beside(tmp_path: Path, name: str, beside: str):
    result = an_eigen()
    found: Any = load(result.save(tmp_path / name))
    assert found == result
    assert found != an_eigen(largest=4.0)
    np.testing.assert_array_equal(found.vectors, result.vectors)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([name, beside])
    assert "vectors" not in json.loads((tmp_path / name).read_text(encoding="utf-8"))


def test_vectors_come_back_from_json_alone(tmp_path: Path):
    path = tmp_path / "x.json"
    path.write_text(json.dumps(an_eigen().to_dict()), encoding="utf-8")
    found: Any = load(path)
    np.testing.assert_array_equal(found.vectors, an_eigen().vectors)
    assert isinstance(found.vectors, np.ndarray)


@pytest.mark.parametrize("result", [a_trace(), an_eigen(vectors=None)])
def test_arrays_of_an_earlier_result_are_not_taken_for_this_one(tmp_path: Path, result: Result):
    path = an_eigen().save(tmp_path / "x.json")
    result.save(path)
    assert load(path) == result
    assert getattr(load(path), "vectors", None) is None


def test_arrays_that_are_missing_or_broken(tmp_path: Path):
    path = an_eigen().save(tmp_path / "x.json")
    (tmp_path / "x.npz").write_bytes(b"PK\x03\x04 no")
    with pytest.raises(MisuseError, match=r"cannot read .*x.npz, which holds the arrays vectors: "):
        load(path)
    np.savez(tmp_path / "x.npz", other=np.ones(1))
    with pytest.raises(MisuseError, match=r"x.npz, which holds the arrays vectors: .*vectors"):
        load(path)
    (tmp_path / "x.npz").unlink()
    with pytest.raises(MisuseError, match=r"the arrays vectors: No such file or directory$"):
        load(path)


def test_the_npz_is_no_place_for_the_json(tmp_path: Path):
    with pytest.raises(MisuseError, match=r"x.npz: the npz is for the arrays; name a .json file"):
        an_eigen().save(tmp_path / "x.npz")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "x.json is not a sharpscope result: it is not JSON"),
        ("\xff\xfe", "x.json is not a sharpscope result: it is not JSON"),
        ("[]", "'sharpscope/train' or 'sharpscope/monitor'; got None"),
        ('{"schema": "other/trace"}', "must be .*; got 'other/trace'"),
        ('{"schema": ["sharpscope/trace"]}', r"must be .*; got \['sharpscope/trace'\]"),
        (
            '{"schema": "sharpscope/trace"}',
            "a sharpscope/trace result needs the field 'data_error'",
        ),
    ],
)
def test_files_that_are_no_results(tmp_path: Path, content: str, sentence: str):
    path = tmp_path / "x.json"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(MisuseError, match=sentence):
        load(path)


def test_no_such_file(tmp_path: Path):
    with pytest.raises(MisuseError, match=r"cannot read .*gone.json: No such file or directory"):
        load(tmp_path / "gone.json")
    with pytest.raises(MisuseError, match=r"cannot read .*: Is a directory"):
        load(tmp_path)


def test_fields_and_outcomes_of_another_version():
    content = a_trace().to_dict()
    with pytest.raises(
        MisuseError, match="result has no field 'color': it was written by version 9"
    ):
        TraceResult.from_dict(content | {"color": 1, "version": "9"})
    with pytest.raises(MisuseError, match=r"outcome must be 'converged', .*; got 'done'"):
        TraceResult.from_dict(content | {"outcome": "done"})


def test_a_result_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        a_trace().value = 1.0  # pyright: ignore[reportAttributeAccessIssue]


def test_many_results_get_names_of_their_own(tmp_path: Path):
    names = [("cxr", None), ("ehr", "epoch 3"), ("cxr.layer4.*", None), ("cxr.layer4.?", None)]
    results = [a_trace(modality=modality, tag=tag) for modality, tag in names]
    paths = save_all([*results, results[0]], tmp_path / "out", "trace")
    assert [path.name for path in paths] == [
        "trace-cxr.json",
        "trace-epoch_3-ehr.json",
        "trace-cxr.layer4._.json",
        "trace-cxr.layer4._-2.json",
        "trace-cxr-2.json",
    ]
    assert [load(path) for path in paths] == [*results, results[0]]
