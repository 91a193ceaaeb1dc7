"""Shapley values of modalities and what is made of them; no torch."""

import itertools
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sharpscope.checks import one_of

Performance = Callable[[frozenset[str]], float]

# Beyond, 2^M subsets are too many and orders are drawn.
EXACT = 8
NORMALIZE = ("clip", "raw", "softmax")
_NOTHING = 1e-8


@dataclass(frozen=True, kw_only=True)
class Shapley:
    """Shapley values of the performance.

    Args:
        values: ``Φ_m``, in the unit of the performance.
        standard_error: Of each value where orders were drawn; 0 where it is exact.
        interactions: Of each pair, by both names; empty where orders were drawn.
        evaluations: How many subsets were evaluated.
    """

    values: Mapping[str, float]
    standard_error: Mapping[str, float]
    interactions: Mapping[tuple[str, str], float]
    evaluations: int


def shapley(
    performance: Performance, names: Sequence[str], *, orders: int = 64, seed: int = 0
) -> Shapley:
    """Return how much each modality adds to the performance, on average over orders of arrival.

    ``Φ_m = Σ_{S ⊆ M∖{m}} |S|! (M-|S|-1)! / M! [Φ(S ∪ {m}) - Φ(S)]``; the values add up to
    ``Φ(all) - Φ(∅)``. Exact for up to 8 modalities; beyond, the mean over drawn orders, each with
    its reverse, and its standard error.

    Args:
        performance: ``Φ(S)``, the performance with only these modalities present; called once
            for each subset.
        names: The modalities.
        orders: How many pairs of orders are drawn beyond 8 modalities.
        seed: Of the orders.

    Source: Shapley (1953); for mini-batches Nowdeh et al., 2025, arXiv 2510.24919.

    Example:
        >>> table = {"": 0.1, "a": 0.6, "b": 0.3, "ab": 0.7}
        >>> found = shapley(lambda present: table["".join(sorted(present))], ("a", "b"))
        >>> {name: round(value, 9) for name, value in found.values.items()}
        {'a': 0.45, 'b': 0.15}
    """
    known: dict[frozenset[str], float] = {}

    def of(present: frozenset[str]) -> float:
        if present not in known:
            known[present] = performance(present)
        return known[present]

    if len(names) <= EXACT:
        values = {name: math.fsum(_gains(of, names, name)) for name in names}
        pairs = interactions(of, names)
        return Shapley(
            values=values,
            standard_error=dict.fromkeys(names, 0.0),
            interactions=pairs,
            evaluations=len(known),
        )
    drawn = _drawn(of, names, orders, random.Random(seed))
    means = {name: math.fsum(found) / orders for name, found in drawn.items()}
    errors = {
        name: math.sqrt(math.fsum((x - means[name]) ** 2 for x in found) / (orders - 1) / orders)
        for name, found in drawn.items()
    }
    return Shapley(values=means, standard_error=errors, interactions={}, evaluations=len(known))


def interactions(performance: Performance, names: Sequence[str]) -> dict[tuple[str, str], float]:
    """Return the Shapley interaction index of each pair.

    ``I_ij = Σ_{S ⊆ M∖{i,j}} |S|! (M-|S|-2)! / (M-1)! [Φ(Sij) - Φ(Si) - Φ(Sj) + Φ(S)]``: above 0
    where two modalities do more together than apart.

    Source: Grabisch and Roubens (1999).
    """
    found: dict[tuple[str, str], float] = {}
    for one, other in itertools.combinations(names, 2):
        rest = [name for name in names if name not in (one, other)]
        terms: list[float] = []
        for subset in subsets(rest):
            weight = 1 / ((len(names) - 1) * math.comb(len(rest), len(subset)))
            with_both = performance(subset | {one, other}) + performance(subset)
            with_one = performance(subset | {one}) + performance(subset | {other})
            terms.append(weight * (with_both - with_one))
        found[one, other] = math.fsum(terms)
    return found


def shares(values: Mapping[str, float], normalize: str = "clip") -> dict[str, float]:
    """Return the share ``v_m`` of each modality; they add up to 1.

    Args:
        values: ``Φ_m``.
        normalize: ``clip``: ``max(Φ_m, 0) / Σ max(Φ_i, 0)``; ``raw``: ``Φ_m / Σ Φ_i``, where
            negative values turn the order around; ``softmax``. Where there is nothing to divide
            by, all are equal.
    """
    one_of("normalize", normalize, NORMALIZE)
    if normalize == "softmax":
        most = max(values.values())
        parts = {name: math.exp(value - most) for name, value in values.items()}
    elif normalize == "clip":
        parts = {name: max(value, 0.0) for name, value in values.items()}
    else:
        parts = dict(values)
    total = math.fsum(parts.values())
    if abs(total) <= _NOTHING:
        return dict.fromkeys(values, 1 / len(values))
    return {name: part / total for name, part in parts.items()}


def _gains(performance: Performance, names: Sequence[str], name: str) -> list[float]:
    rest = [other for other in names if other != name]
    return [
        (performance(subset | {name}) - performance(subset))
        / (len(names) * math.comb(len(rest), len(subset)))
        for subset in subsets(rest)
    ]


def subsets(names: Sequence[str]) -> list[frozenset[str]]:
    """Return all subsets, the empty one first and the largest one last."""
    return [
        frozenset(chosen)
        for size in range(len(names) + 1)
        for chosen in itertools.combinations(names, size)
    ]


def _drawn(
    performance: Performance, names: Sequence[str], orders: int, generator: random.Random
) -> dict[str, list[float]]:
    """Return the gain of each modality in each pair of opposite orders."""
    found: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(orders):
        order = generator.sample(list(names), len(names))
        gains = dict.fromkeys(names, 0.0)
        for way in (order, order[::-1]):
            present: frozenset[str] = frozenset()
            before = performance(present)
            for name in way:
                present |= {name}
                after = performance(present)
                gains[name] += (after - before) / 2
                before = after
        for name, gain in gains.items():
            found[name].append(gain)
    return found
