"""How many products each method needs for the same error, on each encoder; no clock is needed."""

import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.workload import ENCODERS, subject_of
from sharpscope.estimators import Hutchinson, HutchPlusPlus, XTrace
from sharpscope.operators import HessianOperator

RTOL, SEEDS, PROBES = 0.01, 3, 64
RANKS = (7, 20, 40)


def count(folder: Path, *, quick: bool, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Return the products of each method at the error that the adaptive one achieved."""
    rows: list[dict[str, Any]] = []
    for workload, modality in ENCODERS:
        say(f"count products: {workload}, {modality}")
        operator = HessianOperator(subject_of(workload, folder, quick=quick), modality)
        with operator.session():
            ours = [HutchPlusPlus(rtol=RTOL, seed=seed)(operator) for seed in range(SEEDS)]
            error = _mean([_relative(run) for run in ours])
            plain = Hutchinson(probes=PROBES, seed=100)(operator)
            # By its own sample variance, which 64 probes know to about 18 %.
            probes = PROBES * (_relative(plain) / error) ** 2
            thirds = {
                3 * rank: _relative(HutchPlusPlus(rank=rank, probes=rank, seed=0)(operator))
                for rank in RANKS
            }
            crossed = XTrace(rtol=RTOL, seed=0)(operator)
        rows.append(
            {
                "workload": workload,
                "modality": modality,
                "parameters": operator.dim,
                "trace": _mean([run.value or 0.0 for run in ours]),
                "relative_error": error,
                "adaptive": _mean([run.matvecs for run in ours]),
                "deflated": _mean([float(run.deflated) for run in ours]),
                "hutchinson": max(2.0, probes),
                "hutch++ thirds": _reaching(error, thirds),
                "xtrace": crossed.matvecs,
                "xtrace_relative_error": _relative(crossed),
            }
        )
    return rows


def _relative(run: Any) -> float:
    return run.standard_error / abs(run.value)


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)


def _reaching(error: float, found: dict[int, float]) -> float:
    """Return the products at which an error is reached, by powers between the counts tried."""
    pairs = sorted(found.items())
    for (few, larger), (many, smaller) in itertools.pairwise(pairs):
        if smaller <= error:
            if larger <= error:
                return float(few)
            slope = math.log(many / few) / math.log(smaller / larger)
            return few * (error / larger) ** slope
    few, many = pairs[-1]
    # Beyond the last: probes alone, whose error falls with the root of their number.
    return few * (many / error) ** 2
