"""Seconds a product and seconds to 1 % of the trace, against the peers; all sides in one run.

    make peers                               # once: an environment of their own
    .venv/bin/python -m benchmarks.trace --quick     # 16 x 16 images, minutes
    .venv/bin/python -m benchmarks.trace             # what benchmarks/results holds

Every side runs in a process of its own with one thread, the sides in turn and the rounds one after
another, so that a busy machine meets them all alike. Times are CPU seconds of the process; what is
to be quoted are their ratios.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks import sides, workload
from benchmarks.counts import count
from benchmarks.processes import ROOT, answer
from benchmarks.table import table

HERE = Path(__file__).parent
CACHE = ROOT / ".benchmarks"
PEERS = ROOT / ".venv-peers" / "bin" / "python"
RESOLVED = ("sharpscope", "pyhessian", "hessian-eigenthings")


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="16 x 16 images")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--products", type=int, default=5, help="timed in each round")
    parser.add_argument("--part", choices=("products", "counts"), help="only one of the two")
    parser.add_argument("--side", nargs=3, metavar=("NAME", "WORKLOAD", "MODALITY"))
    parser.add_argument("--memory", type=int, default=None)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.side:
        print(json.dumps(_one(options)))
        return
    workload.prepare(CACHE, quick=options.quick)
    name = "trace-quick" if options.quick else "trace"
    parts = {
        "products": lambda: _all_sides(options),
        "counts": lambda: count(CACHE, quick=options.quick, say=_say),
    }
    for part in [options.part] if options.part else parts:
        (CACHE / f"{name}-{part}.json").write_text(json.dumps(parts[part]()))
    made = {part: CACHE / f"{name}-{part}.json" for part in parts}
    if not made["products"].exists():
        return
    found = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, one thread",
        "torch": torch.__version__,
        "quick": options.quick,
        "timed_products": options.rounds * options.products,
        **{part: json.loads(path.read_text()) for part, path in made.items() if path.exists()},
    }
    (HERE / "results").mkdir(exist_ok=True)
    (HERE / "results" / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n")
    text = table(found)
    (HERE / "results" / f"{name}.md").write_text(text)
    print(text)


def _all_sides(options: argparse.Namespace) -> list[dict[str, Any]]:
    rows: dict[tuple[str, str, str], dict[str, Any]] = {}
    for number in range(options.rounds):
        for encoder in workload.ENCODERS:
            for side in sides.SIDES if encoder[0] == "ehr-cxr" else RESOLVED:
                _say(f"round {number + 1} of {options.rounds}: {', '.join(encoder)}: {side}")
                run = _subprocess(options, side, *encoder)
                row = rows.setdefault((*encoder, side), {"first": [], "later": [], "peak": []})
                row |= {key: run[key] for key in ("error", "failed", "dim") if key in run}
                for key in ("first", "later", "peak"):
                    row[key] += run.get(key, [])
    for modality in ("ehr", "cxr"):  # ours again, with no more memory than PyHessian takes
        peak = max(rows["ehr-cxr", modality, "pyhessian"]["peak"], default=0)
        _say(f"with {peak / 1e6:.0f} MB: ehr-cxr, {modality}")
        run = _subprocess(options, "sharpscope", "ehr-cxr", modality, memory=peak)
        rows["ehr-cxr", modality, f"sharpscope, {peak / 1e6:.0f} MB allowed"] = run
    return [
        {
            "workload": name,
            "modality": modality,
            "side": side,
            "first_seconds": _median(row["first"]),
            "seconds_per_product": _median(row["later"]),
            "peak_bytes": max(row["peak"], default=None),
            **{key: row[key] for key in ("failed", "dim") if key in row},
        }
        for (name, modality, side), row in rows.items()
    ]


def _subprocess(
    options: argparse.Namespace, side: str, *encoder: str, memory: int | None = None
) -> dict[str, Any]:
    python = sys.executable if side in sides.OURS else str(PEERS)
    command = [python, "-W", "ignore", "-m", "benchmarks.trace", "--side", side, *encoder]
    command += ["--products", str(options.products)] + ["--quick"] * options.quick
    command += [] if memory is None else ["--memory", str(memory)]
    return answer(command)


def _one(options: argparse.Namespace) -> dict[str, Any]:
    """Time one side in this process."""
    side, name, modality = options.side
    settings = {} if options.memory is None else {"memory": options.memory}
    subject = workload.subject_of(name, CACHE, quick=options.quick, **settings)
    dim = subject.select(modality).dim
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randint(0, 2, (options.products + 1, dim), generator=generator) * 2.0 - 1
    baseline = _peak()
    times: list[float] = []
    with sides.SIDES[side](subject, modality) as product:
        for vector in vectors:
            began = time.process_time()
            product(vector)
            times.append(time.process_time() - began)
    return {"first": times[:1], "later": times[1:], "peak": [_peak() - baseline], "dim": dim}


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _median(values: list[float]) -> float | None:
    return statistics.median(values) if values else None


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
