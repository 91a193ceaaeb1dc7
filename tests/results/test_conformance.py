"""What every kind of result keeps to; a new one joins with one line."""

import json
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from sharpscope.errors import MisuseError
from sharpscope.results import Record, Result, load
from tests.results.comparisons import a_comparison
from tests.results.makers import (
    a_contribution,
    a_coupling,
    a_density,
    a_gap,
    a_landscape,
    a_monitor,
    a_run,
    a_sharpness,
    a_trace,
    an_eigen,
)

MEASURED: tuple[Callable[..., Result], ...] = (
    a_trace,
    an_eigen,
    a_contribution,
    a_density,
    a_sharpness,
    a_coupling,
    a_gap,
    a_landscape,
)
MEMBERS: tuple[Callable[..., Record], ...] = (*MEASURED, a_run, a_comparison, a_monitor)
PROMISED = (
    "schema version modality parameters samples loss loss_value outcome advice method matvecs "
    "seconds seed settings provenance notes tag"
)


@pytest.fixture(params=MEMBERS, ids=lambda make: make.__name__)
def make(request: pytest.FixtureRequest) -> Callable[..., Record]:
    return request.param


def test_it_comes_back_equal(make: Callable[..., Record], tmp_path: Path):
    result = make().tagged("late")
    assert result.tag == "late"
    for back in (
        load(result.save(tmp_path / "x.json")),
        type(result).from_dict(json.loads(json.dumps(result.to_dict()))),
    ):
        assert back == result
        assert back.array_fields().keys() == result.array_fields().keys()
        for name, values in result.array_fields().items():
            np.testing.assert_array_equal(back.array_fields()[name], values)


@pytest.mark.parametrize("make", MEASURED)
def test_its_json_has_what_the_design_promises(make: Callable[..., Result]):
    found = json.loads(json.dumps(make().to_dict(), allow_nan=False))
    assert set(PROMISED.split()) <= set(found)
    assert found["schema"].startswith("sharpscope/")
    assert found["advice"].endswith(".")


def test_unknown_and_missing_fields_are_told(make: Callable[..., Record]):
    content = make().to_dict()
    with pytest.raises(MisuseError, match="result has no field 'more': it was written by version"):
        type(make()).from_dict(content | {"more": 1})
    with pytest.raises(MisuseError, match="result needs the field 'seconds'"):
        type(make()).from_dict({key: v for key, v in content.items() if key != "seconds"})


def test_every_field_is_documented(make: Callable[..., Record]):
    kind = type(make())
    text = f"{Record.__doc__}{Result.__doc__}{kind.__doc__}"
    assert [f.name for f in fields(kind) if f"        {f.name}: " not in text] == []


def test_its_repr_is_one_line_with_the_cost(make: Callable[..., Record]):
    text = repr(make())
    assert "\n" not in text
    assert text.startswith(f"{type(make()).__name__}(")
    assert text.endswith("12.3 s)")
