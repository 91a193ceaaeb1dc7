"""Shapley values against hand-checked ones and against the definition by orders."""

import itertools
import math
import random
from collections.abc import Mapping

import pytest

from sharpscope.errors import MisuseError
from sharpscope.shapley import EXACT, interactions, shapley, shares, subsets


def of(table: Mapping[str, float]) -> dict[str, float]:
    names = sorted(set("".join(table)))
    return dict(shapley(lambda present: table["".join(sorted(present))], names).values)


def test_two_modalities():
    table = {"": 0.1, "1": 0.6, "2": 0.3, "12": 0.7}
    assert of(table) == pytest.approx({"1": 0.45, "2": 0.15})
    assert shares(of(table)) == pytest.approx({"1": 0.75, "2": 0.25})
    assert of(table | {"": 0.0}) == pytest.approx({"1": 0.5, "2": 0.2})  # AGM's convention


def test_three_modalities():
    table = {"": 0, "1": 0.5, "2": 0.3, "3": 0.2, "12": 0.6, "13": 0.6, "23": 0.4, "123": 0.7}
    wanted = {"1": 0.383333, "2": 0.183333, "3": 0.133333}
    assert of(table) == pytest.approx(wanted, abs=1e-6)
    assert sum(of(table).values()) == pytest.approx(0.7)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_they_are_mean_gains_over_all_orders(count: int):
    names, generator = "abcde"[:count], random.Random(count)
    table = {s: generator.random() for s in subsets(names)}
    found = shapley(table.__getitem__, names)
    gains = dict.fromkeys(names, 0.0)
    for order in itertools.permutations(names):
        for place, name in enumerate(order):
            gains[name] += table[frozenset(order[: place + 1])] - table[frozenset(order[:place])]
    wanted = {name: gain / math.factorial(count) for name, gain in gains.items()}
    assert found.values == pytest.approx(wanted)
    assert sum(found.values.values()) == pytest.approx(table[frozenset(names)] - table[frozenset()])
    assert found.evaluations == 2**count


def test_interactions_of_two_that_need_each_other_and_of_two_that_say_the_same():
    both = interactions(lambda present: float(len(present) == 2), "ab")
    same = interactions(lambda present: float(len(present) > 0), "ab")
    assert (both["a", "b"], same["a", "b"]) == (1, -1)
    added = interactions(lambda present: sum(map("abc".index, present)), "abc")
    assert added == pytest.approx(dict.fromkeys(itertools.combinations("abc", 2), 0.0))


@pytest.mark.parametrize(
    ("values", "normalize", "wanted"),
    [
        ((0.4, -0.1), "raw", (4 / 3, -1 / 3)),
        ((0.4, -0.1), "clip", (1, 0)),
        ((-0.1, -0.3), "clip", (0.5, 0.5)),
        ((-0.1, -0.3), "raw", (0.25, 0.75)),
        ((0, 0), "clip", (0.5, 0.5)),
        ((0, 0), "raw", (0.5, 0.5)),
        ((0, 0), "softmax", (0.5, 0.5)),
        ((1000, 0), "softmax", (1, 0)),
    ],
)
def test_shares(values: tuple[float, float], normalize: str, wanted: tuple[float, float]):
    found = shares(dict(zip("ab", values, strict=True)), normalize)
    assert tuple(found.values()) == pytest.approx(wanted)


def test_an_unknown_way_of_normalizing_is_refused():
    with pytest.raises(MisuseError, match="normalize must be 'clip', 'raw' or 'softmax'; got 'x'"):
        shares({"a": 1.0}, "x")


def test_beyond_eight_modalities_orders_are_drawn_and_the_error_bar_holds():
    names = [f"m{i}" for i in range(EXACT + 2)]
    worth = {name: place / 10 for place, name in enumerate(names)}

    def performance(present: frozenset[str]) -> float:
        return math.sqrt(sum(worth[name] for name in present))

    def exact(name: str) -> float:
        rest = [n for n in names if n != name]
        return math.fsum(
            (performance(s | {name}) - performance(s)) / (len(names) * math.comb(9, len(s)))
            for s in subsets(rest)
        )

    covered = 0
    for seed in range(20):
        found = shapley(performance, names, orders=32, seed=seed)
        assert found.evaluations < 2 ** len(names)
        assert sum(found.values.values()) == pytest.approx(performance(frozenset(names)))
        for name in names[1:]:
            covered += abs(found.values[name] - exact(name)) <= 2.04 * found.standard_error[name]
        if seed == 0:
            assert found.values == shapley(performance, names, orders=32, seed=0).values
    assert 0.88 <= covered / (20 * 9) <= 1
