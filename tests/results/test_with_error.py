"""A value and its error in the digits that they deserve."""

import pytest

from sharpscope.results.record import significant, within
from sharpscope.results.trace import with_error


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (925.62, 8.71, "925.6 ± 8.7"),
        (-3.2041, 0.1234, "-3.20 ± 0.12"),
        (0.0, 1.0, "0.0 ± 1.0"),
        (12345.6, 123.4, "12350 ± 120"),
        (1234567.0, 98765.0, "1235000 ± 99000"),
        (0.5, 0.00123, "0.5000 ± 0.0012"),
        (0.5, 0.000123, "(5.0000 ± 0.0012)e-1"),
        (5e9, 3e7, "(5.000 ± 0.030)e9"),
        (-5e9, 3e7, "(-5.000 ± 0.030)e9"),
        (1e-10, 1e-11, "(1.00 ± 0.10)e-10"),
        (0.0, 2e-9, "(0.0 ± 2.0)e-9"),
        (1e-12, 3e7, "(0.0 ± 3.0)e7"),
        (925.6213, 0.0, "925.621 ± 0"),
        (0.0, 0.0, "0 ± 0"),
        (1.0, 5e-324, "1 ± 0"),
        (1.729918850591375, 1.1e-17, "1.72991885059 ± 1.1e-17"),
        (-1.73e-5, 1e-20, "-1.73e-05 ± 1.0e-20"),
        (925.62, None, "925.6"),
        (925.62, float("inf"), "925.6"),
        (925.62, float("nan"), "925.6"),
        (None, 1.0, "not finite"),
        (float("nan"), 1.0, "not finite"),
        (float("-inf"), None, "not finite"),
    ],
)
def test_with_error(value: float | None, error: float | None, text: str):
    assert with_error(value, error) == text


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [(925.62, 4, "925.6"), (-1e-7, 4, "-1e-07"), (1234567.0, 4, "1.235e+06"), (2.0, 6, "2")],
)
def test_significant(value: float, digits: int, text: str):
    assert significant(value, digits) == text


@pytest.mark.parametrize(
    ("value", "bound", "text"),
    [
        (20.5437, 0.0183, "20.54"),
        (20.5, 0.0183, "20.50"),
        (-0.3318, 0.0183, "-0.33"),
        (0.0004, 0.0183, "0.00"),
        (-0.0004, 0.0183, "0.00"),
        (0.0, 0.0183, "0.00"),
        (9.996, 0.01, "10.00"),
        (123.4, 20.0, "120"),
        (20543.0, 300.0, "20500"),
        (7.0, 20.0, "10"),
        (1.0, 20.0, "0"),
        (1234567.0, 1234.0, "1235000"),
        (12345678.0, 1.0, "1.23457e+07"),
        (1.234e-8, 1e-10, "1.23e-08"),
        (1e-12, 1e-10, "0"),
        (3.0, 0.0, "3.00000"),
        (0.0, 0.0, "0.00000"),
        (3.14159265, 1e-12, "3.14159"),
        (925.62, float("nan"), "925.6"),
        (None, 1.0, "not finite"),
        (float("nan"), 1.0, "not finite"),
    ],
)
def test_a_value_within_its_bound(value: float | None, bound: float, text: str):
    assert within(value, bound) == text


def test_fewer_digits_may_be_asked_for():
    assert [within(v, 1e-6, 3) for v in (20.5437, -0.33181, 1234.5)] == [
        "20.5",
        "-0.332",
        "1.23e+03",
    ]
