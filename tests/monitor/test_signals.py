"""Signals ring once, and not for noise."""

from typing import Any

import numpy as np
import pytest

from sharpscope.errors import MisuseError
from sharpscope.monitor.signals import (
    Event,
    Imbalance,
    Sharpening,
    Signal,
    Stability,
    usual_signals,
)


def rung(signal: Signal, courses: dict[str, list[dict[str, Any]]]) -> list[Event]:
    """Return the events of encoders' entries over measurements."""
    count = len(next(iter(courses.values())))
    found: list[Event] = []
    for place in range(count):
        entries = {name: course[place] for name, course in courses.items()}
        found += signal.look(entries, 10 * place, place / 2)
    return found


def traces(values: list[float], error: float) -> list[dict[str, Any]]:
    return [{"trace": v, "standard_error": error, "per_parameter": v / 10} for v in values]


def test_imbalance_rings_once_above_its_factor_and_again_after_it_was_below():
    sharp = traces([10, 60, 70, 65, 20, 20, 90], 1.0)
    flat = traces([10.0] * 7, 0.1)
    (one, two) = rung(Imbalance(factor=5), {"cxr": sharp, "ehr": flat})
    assert (one.step, two.step) == (10, 60)
    assert (one.modality, one.limit, one.epoch) == ("cxr", 5, 0.5)
    assert one.value == pytest.approx(6.0)
    assert one.text == ("cxr is 6 times as sharp as ehr (trace per parameter), more than 5 times")


def test_imbalance_of_other_numbers():
    tops = [{"lambda_max": v, "residual": 0.01} for v in (1.0, 30.0)]
    low = [{"lambda_max": 1.0, "residual": 0.01}] * 2
    (event,) = rung(Imbalance(of="lambda_max"), {"a": tops, "b": low})
    assert "(λ_max)" in event.text
    assert rung(Imbalance(), {"a": tops, "b": low}) == []  # has no trace
    negative = traces([-3.0, -3.0], 0.1)
    assert rung(Imbalance(), {"a": traces([50.0, 50.0], 1), "b": negative}) == []


def test_sharpening_after_flattening_is_the_event():
    course = traces([2, 8, 9, 7, 4, 3, 3.1, 5, 6, 6], 0.1)
    (event,) = rung(Sharpening(), {"image": course})
    assert event.step == 70
    assert event.limit == pytest.approx(3 * 1.25)
    assert event.text == ("image sharpens after it had flattened: its trace rose from 3 to 5")
    twice = traces([8, 4, 6, 3, 5], 0.1)
    assert [one.step for one in rung(Sharpening(), {"image": twice})] == [20, 40]
    assert rung(Sharpening(), {"image": traces([1, 2, 4, 8, 16], 0.1)}) == []  # never flattened


@pytest.mark.parametrize("seed", range(20))
def test_noise_does_not_ring(seed: int):
    draws = np.random.default_rng(seed)
    error = 0.15

    def noisy(level: float) -> list[dict[str, Any]]:
        return traces((level * (1 + error * draws.standard_normal(60))).tolist(), error * level)

    assert rung(Sharpening(), {"image": noisy(10.0)}) == []
    # Right at its factor it may ring, and then keeps still.
    near = rung(Imbalance(factor=10), {"a": noisy(100.0), "b": noisy(10.0)})
    assert len(near) <= 3
    assert rung(Imbalance(factor=20), {"a": noisy(100.0), "b": noisy(10.0)}) == []


def test_stability_rings_at_the_threshold_beyond_its_residual():
    values = [10, 39.9, 40.1, 42, 41, 38, 35, 43]
    course = [{"lambda_max": v, "residual": 0.01, "threshold": 40.0} for v in values]
    events = rung(Stability(), {"image": course})
    assert [one.step for one in events] == [30, 70]
    told = "λ_max of image for the fusion loss, 42, is above the threshold of stability, 40"
    assert events[0].text == told
    without = [{"lambda_max": 99.0, "residual": 0.0, "threshold": None}]
    assert rung(Stability(), {"image": without}) == []


def test_stability_is_of_the_loss_that_is_trained():
    entry: dict[str, Any] = {"lambda_max": 30.0, "bound": 0.1, "threshold": 40.0}
    whole = entry | {"trained_loss": "total", "trained_lambda_max": 50.0, "trained_bound": 0.1}
    (event,) = rung(Stability(), {"image": [whole]})
    assert (event.value, event.limit) == (50.0, 40.0)
    assert event.text == (
        "λ_max of image for the total loss, 50, is above the threshold of stability, 40"
    )
    below = whole | {"lambda_max": 60.0, "trained_lambda_max": 39.0}
    assert rung(Stability(), {"image": [below]}) == []
    assert rung(Stability(), {"image": [below | {"trained_lambda_max": None}]}) == []
    wide = whole | {"trained_bound": 11.0}
    assert rung(Stability(), {"image": [wide]}) == []
    (event,) = rung(Stability(), {"image": [entry | {"lambda_max": 50.0, "trained_loss": None}]})
    assert event.text == (
        "λ_max of image for the fusion loss, 50, is above the threshold of stability, 40, which is "
        "of the loss that is trained, perhaps another one"
    )


def test_what_was_not_measured_rings_nothing():
    for signal in usual_signals():
        assert signal.look({"a": {}, "b": {"trace": None, "standard_error": None}}, 0, None) == []


def test_limits_that_cannot_be_meant():
    with pytest.raises(MisuseError, match="factor must be above 1; got 1"):
        Imbalance(factor=1)
    with pytest.raises(MisuseError, match="rise must be"):
        Sharpening(rise=0)
    with pytest.raises(MisuseError, match="fall must be"):
        Sharpening(fall=-1)
