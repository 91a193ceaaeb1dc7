"""One difference from the reference: what pairs it, its errors and its verdict."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from sharpscope.comparing import errors
from sharpscope.comparing.errors import Side, Spread
from sharpscope.comparing.measurement import SIGNED
from sharpscope.comparing.once import tells_seeds
from sharpscope.comparing.runs import Key, Run
from sharpscope.results.comparison import Difference, Interval, Verdict


def difference(
    key: Key, name: str, reference: str, runs: Mapping[str, Sequence[Run]]
) -> Difference | None:
    """Return how far a group's number is from the reference's; None where one has no number."""
    ours, theirs = runs[name], runs[reference]
    if not ours or not theirs:
        return None
    ours, theirs, paired = by_seed(ours, theirs)
    # The mean of several runs and one run: another seed of the one could be anywhere.
    lone = min(len(ours), len(theirs)) == 1 < max(len(ours), len(theirs))
    one, other = mean_side(key, ours), mean_side(key, theirs)
    named: dict[str, Any] = {
        "quantity": key[0],
        "modality": key[1],
        "name": name,
        "reference": reference,
        "runs": min(len(ours), len(theirs)),
    }
    first, second = errors.value_of(one), errors.value_of(other)
    if first is None or second is None:
        nothing = dict.fromkeys(
            ("difference", "probe_error", "data_error", "error", "interval", "ratio")
        )
        return Difference(
            **nothing, ratio_interval=None, paired=(), verdict=Verdict.NOT_FINITE, **named
        )
    probe, data = errors.probe_spread(one, other), errors.data_spread(one, other)
    values = [[errors.value_of(run.found[key]) or 0.0 for run in group] for group in (ours, theirs)]
    seed = errors.seed_spread(*values, paired=paired)
    bound = errors.bound_of(one) + errors.bound_of(other)
    silent = data is None and not any(found.probes for _, found in (*one, *other))
    told = errors.enough(one) and errors.enough(other) and not silent and not lone
    known = probe is not None and told
    spreads = [spread for spread in (probe, data) if spread is not None] if known else []
    measured = _around(first - second, spreads, bound)
    over_seeds = None if seed is None else _around(first - second, [seed], bound)
    interval = measured if seed is None else over_seeds
    # What the seeds' own spread does not hold is noise as well: the probes that all runs share.
    bands = [measured] if seed is None else [over_seeds, measured] if spreads else [over_seeds]
    comparable = key[0] not in SIGNED and first > 0 and second > 0
    ratio = first / second if comparable else None
    decisive = spreads if seed is None else [seed]
    return Difference(
        difference=first - second,
        probe_error=_error(probe),
        data_error=_error(data) or None,
        seed_error=_error(seed),
        bound=bound,
        error=_error(seed) if seed else None if silent or lone else _error(probe, data),
        interval=interval,
        measured=None if seed is None else measured,
        ratio=ratio,
        ratio_interval=None
        if ratio is None
        else _around_ratio(first, second, decisive, (one, other)),
        paired=_paired(probe, data, seed),
        verdict=_verdict(bands, whole=data is None or data.whole),
        **named,
    )


def by_seed(ours: Sequence[Run], theirs: Sequence[Run]) -> tuple[list[Run], list[Run], bool]:
    """Return the runs of two groups in the order of their seeds, and whether these are the same."""
    seeds = [{run.seed for run in group} for group in (ours, theirs)]
    paired = len(ours) > 1 and seeds[0] == seeds[1] and tells_seeds(ours) and tells_seeds(theirs)
    if not paired:
        return list(ours), list(theirs), False
    one, other = (sorted(group, key=lambda run: run.seed or 0) for group in (ours, theirs))
    return one, other, True


def mean_side(key: Key, runs: Sequence[Run]) -> Side:
    """Return the mean over runs as a combination of measurements."""
    return [(weight / len(runs), found) for run in runs for weight, found in run.found[key]]


def _around(center: float, spreads: Sequence[Spread], bound: float) -> Interval | None:
    if not spreads:
        return None
    half = errors.half_width(spreads) + bound
    return center - half, center + half


def _around_ratio(
    one: float, other: float, spreads: Sequence[Spread], sides: tuple[Side, Side]
) -> Interval | None:
    found = errors.ratio_interval(one, other, spreads) if spreads else None
    if found is None:
        return None
    more = (errors.bound_of(sides[0]) + one / other * errors.bound_of(sides[1])) / other
    return found[0] - more, found[1] + more


def _error(*spreads: Spread | None) -> float | None:
    known = [spread.variance() for spread in spreads if spread is not None]
    return math.sqrt(math.fsum(known)) if known else None


def _paired(probe: Spread | None, data: Spread | None, seed: Spread | None) -> tuple[str, ...]:
    named = {"probes": probe, "batches": data, "seeds": seed}
    return tuple(name for name, spread in named.items() if spread is not None and spread.paired)


def _verdict(bands: Sequence[Interval | None], *, whole: bool) -> Verdict:
    if None in bands or not bands or not whole:
        return Verdict.UNDECIDED
    beyond = all(not band[0] <= 0 <= band[1] for band in bands if band is not None)
    return Verdict.DIFFERENT if beyond else Verdict.WITHIN_NOISE
