"""Checks at the door."""

from typing import Any

import numpy as np
import pytest

from sharpscope.checks import at_least, listed, nearest, one_of, positive
from sharpscope.errors import MisuseError


@pytest.mark.parametrize(
    ("names", "text"),
    [([], "nothing"), (["a"], "'a'"), (["a", "b"], "'a' or 'b'"), ("abc", "'a', 'b' or 'c'")],
)
def test_listed(names: Any, text: str):
    assert listed(names) == text


def test_one_of_lists_every_option_and_the_nearest():
    options = ["rademacher", "gaussian", "sphere", "cube"]
    assert one_of("distribution", "cube", iter(options)) == "cube"
    with pytest.raises(MisuseError) as caught:
        one_of("distribution", "gausian", iter(options))
    assert str(caught.value) == (
        "distribution must be 'rademacher', 'gaussian', 'sphere' or 'cube'; got 'gausian'; did "
        "you mean 'gaussian'?"
    )


def test_nearest_is_silent_when_nothing_is_near_or_no_name_came():
    assert nearest("xyz", ["ehr", "cxr"]) == ""
    assert nearest("ctr", ["ehr", "cxr"]) == "; did you mean 'cxr'?"
    with pytest.raises(MisuseError, match=r"loss must be 'a'; got 5$"):
        one_of("loss", 5, ["a"])  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("value", [2, 3, np.int64(2), 10**20])
def test_at_least_takes_whole_numbers(value: Any):
    assert at_least("probes", value, 2) == value
    assert type(at_least("probes", value, 2)) is int


@pytest.mark.parametrize("value", [1, -3, 2.0, True, "2", None, float("nan"), np.True_])
def test_at_least_refuses(value: Any):
    with pytest.raises(MisuseError, match="probes must be a whole number of at least 2; got "):
        at_least("probes", value, 2)


def test_at_least_says_why():
    with pytest.raises(MisuseError, match=r"at least 2 \(for a standard error\); got 1$"):
        at_least("probes", 1, 2, "for a standard error")


@pytest.mark.parametrize("value", [1, 0.5, 1e-300, np.float32(2), np.int64(1)])
def test_positive_takes_numbers_above_zero(value: Any):
    assert positive("rtol", value) == value


@pytest.mark.parametrize("value", [0, -1.0, float("inf"), float("nan"), True, "1", None, 1j])
def test_positive_refuses(value: Any):
    with pytest.raises(MisuseError, match="rtol must be a finite number above 0; got "):
        positive("rtol", value)
