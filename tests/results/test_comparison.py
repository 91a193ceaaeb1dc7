"""The record of a comparison: read back equal, sentences for what is wrong with a file."""

from dataclasses import replace

import pytest

from sharpscope.errors import MisuseError
from sharpscope.results.comparison import Comparison, Verdict, ratio_text, signed
from tests.results.comparisons import a_comparison


def test_its_sentence_is_that_of_the_issue():
    (one,) = a_comparison().sentences
    assert one == "cxr: trace of masam is 0.71 of late's, difference -266 ± 35"


def test_parts_come_back_as_what_they_are():
    found = Comparison.from_dict(a_comparison().to_dict())
    assert found == a_comparison()
    assert found.differences[0].verdict is Verdict.DIFFERENT
    assert found.entry("trace", "cxr", "masam") == found.entries[1]
    assert found.entry("trace", "ehr", "masam") is None
    assert found.difference("trace", "cxr", "masam") == found.differences[0]


def test_parts_that_cannot_be_read_are_told():
    content = a_comparison().to_dict()
    (entry, _) = content["entries"]
    more = content | {"entries": [entry | {"color": 1}]}
    with pytest.raises(MisuseError, match=r"an? Entry of a sharpscope/compare .* no field 'color'"):
        Comparison.from_dict(more)
    less = {key: value for key, value in entry.items() if key != "value"}
    with pytest.raises(MisuseError, match=r"a sharpscope/compare result cannot be read: .*'value'"):
        Comparison.from_dict(content | {"entries": [less]})
    (difference,) = content["differences"]
    odd = content | {"differences": [difference | {"verdict": "better"}]}
    with pytest.raises(MisuseError, match=r"verdict must be 'different', .*; got 'better'"):
        Comparison.from_dict(odd)


def test_differences_have_signs():
    assert signed(14.52, 2.1) == "+14.5 ± 2.1"
    assert signed(-14.52, 2.1) == "-14.5 ± 2.1"
    assert signed(0.0, None) == "0"
    assert signed(2.5e8, 1e7) == "(+2.50 ± 0.10)e8"
    assert signed(3.0, None) == "+3"


def test_ratios_are_rounded_to_their_intervals():
    (one,) = a_comparison().differences
    assert ratio_text(one) == "0.71"
    exact = replace(one, ratio_interval=(0.713, 0.713))
    assert ratio_text(exact) == "0.713"
    assert ratio_text(replace(one, ratio_interval=None)) is None  # it may be anything
    assert ratio_text(replace(one, ratio_interval=None, error=None)) == "0.71"
    assert ratio_text(replace(one, ratio=None)) is None
