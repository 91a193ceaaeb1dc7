"""What is said of each encoder, from what was measured."""

from typing import Any

import pytest

from sharpscope.monitor.entries import add_shares


def shares(*traces: float | None) -> list[Any]:
    """Return share and error of encoders with these traces."""
    found: dict[str, dict[str, Any]] = {
        str(place): {"trace": trace, "standard_error": 0.0 if trace == 0 else 0.1}
        for place, trace in enumerate(traces)
    }
    add_shares(found)
    return [(one.get("share"), one.get("share_error")) for one in found.values()]


def test_an_encoder_without_curvature_has_no_share_and_the_rest_is_of_the_others():
    assert shares(0.0, 2.0) == [(0.0, 0.0), (1.0, 0.0)]
    assert shares(0.0, 1.0, 3.0) == [
        (0.0, 0.0),
        pytest.approx((1 / 4, 0.1 * (10 / 16) ** 0.5 / 4)),
        pytest.approx((3 / 4, 0.1 * (10 / 16) ** 0.5 / 4)),
    ]


@pytest.mark.parametrize("traces", [(0.0, 0.0), (-1.0, 2.0), (None, 2.0)])
def test_there_are_no_shares_of_a_sum_that_is_none(traces: Any):
    assert shares(*traces) == [(None, None), (None, None)]
