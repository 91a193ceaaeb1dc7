"""Seconds a landscape point of one encoder, against the peers; all sides in one run.

    make peers                                       # once: an environment of their own
    .venv/bin/python -m benchmarks.landscape --quick     # 16 x 16 images, a minute
    .venv/bin/python -m benchmarks.landscape             # what benchmarks/results holds

A plane of 7 x 7 points around the CXR or the EHR encoder of the workload of benchmarks.trace, along
the same two directions. Every side runs in a process of its own with one thread, the sides in turn
and the rounds one after another. Times are CPU seconds of the process, all that a side does counted
but imports (with ours the proof that the model stands still, recording and comparing); what is to
be quoted are their ratios. In the first round every point is measured again where the side really
measured it: ours by plain passes, those of peers by ours.
"""

import argparse
import importlib
import itertools
import json
import os
import platform
import statistics
import sys
import time
from typing import Any

import torch

from benchmarks import planes, workload
from benchmarks.processes import answer
from benchmarks.trace import CACHE, HERE, PEERS
from sharpscope.subject.points import Points

# What peers take does not depend on the encoder: not every side is needed twice.
_KEPT = "loss-landscapes, freed memory kept"
SIDES = {
    "cxr": tuple(planes.SIDES),
    "ehr": ("sharpscope", "loss-landscapes", "loss-landscapes, single batch", "landscaper"),
}


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="16 x 16 images")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--side", nargs=2, metavar=("NAME", "MODALITY"))
    parser.add_argument("--compare", action="store_true", help="measure all points again")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.side:
        print(json.dumps(_one(options)))
        return
    workload.prepare(CACHE, quick=options.quick)
    found = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, one thread",
        "torch": torch.__version__,
        "quick": options.quick,
        "rounds": options.rounds,
        "points": planes.SIZE**2,
        "sides": _all_sides(options),
    }
    name = "landscape-quick" if options.quick else "landscape"
    (HERE / "results").mkdir(exist_ok=True)
    (HERE / "results" / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n")
    text = table(found)
    (HERE / "results" / f"{name}.md").write_text(text)
    print(text)


def _all_sides(options: argparse.Namespace) -> list[dict[str, Any]]:
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for number in range(options.rounds):
        for modality, sides in SIDES.items():
            for side in sides:
                _say(f"round {number + 1} of {options.rounds}: {modality}: {side}")
                compare = number == 0 and side not in ("sharpscope, plain", _KEPT)
                run = _subprocess(options, side, modality, compare=compare)
                row = rows.setdefault((modality, side), {"all": [], "later": []})
                row["all"] += run.pop("all", [])
                row["later"] += run.pop("later", [])
                row |= run
    return [
        {
            "modality": modality,
            "side": side,
            "seconds_per_point": _median(row.pop("later")),
            "seconds_of_all_per_point": _median(row.pop("all")),
            **row,
        }
        for (modality, side), row in rows.items()
    ]


def _subprocess(
    options: argparse.Namespace, side: str, modality: str, *, compare: bool
) -> dict[str, Any]:
    python = sys.executable if side in planes.OURS else str(PEERS)
    command = [python, "-W", "ignore", "-m", "benchmarks.landscape", "--side", side, modality]
    command += ["--quick"] * options.quick + ["--compare"] * compare
    return answer(command)


def _one(options: argparse.Namespace) -> dict[str, Any]:
    """Time one side in this process, and compare its values with plain passes."""
    side, modality = options.side
    subject = workload.subject_of("ehr-cxr", CACHE, quick=options.quick)
    for library in (planes.LIBRARIES[side], "torch._dynamo"):  # torch's modes import the latter
        importlib.import_module(library)
    times: list[float] = []
    began = time.process_time()
    plane = planes.SIDES[side](subject, modality, lambda: times.append(time.process_time()))
    seconds = time.process_time() - began
    later = [b - a for a, b in itertools.pairwise(times)]
    found: dict[str, Any] = {
        "all": [seconds / len(plane.values)],
        "later": later[len(later) // 4 :],  # ours compares at the first ones
        "values": [[plane.values[x, y] for x in range(planes.SIZE)] for y in range(planes.SIZE)],
    }
    if options.compare:
        found |= _compared(options, modality, plane)
    return found


def _compared(options: argparse.Namespace, modality: str, plane: planes.Plane) -> dict[str, Any]:
    """Return the largest relative difference of values at the points really measured."""
    replay = options.side[0] not in planes.OURS
    subject = workload.subject_of("ehr-cxr", CACHE, quick=options.quick, replay=replay)
    points = Points(subject, modality)
    places = [place for place in plane.values if place not in plane.altered]
    with points.session():
        again = {place: points.value(plane.displacements[place]) for place in places}
    gaps = [abs(plane.values[place] - again[place]) / abs(again[place]) for place in places]
    return {"compared": len(gaps), "largest_difference": max(gaps)}


def table(found: dict[str, Any]) -> str:
    """Return what benchmarks/results shows."""
    sides = {(row["modality"], row["side"]): row for row in found["sides"]}
    size = "16 x 16" if found["quick"] else "64 x 64"
    lines = [
        "# Seconds of a landscape point",
        "",
        f"{found['machine']}, torch {found['torch']}; ehr-cxr, images of {size}, 128 samples in "
        f"batches of 48; {found['points']} points, median of {found['rounds']} rounds, CPU "
        "seconds, all sides in turn. A point: the median of single points after the first quarter. "
        "Whole: the whole call divided by the points. Difference: the largest relative one at the "
        "points really measured, of ours from plain passes, of peers from ours.",
        "",
        "| encoder | side | a point | x sharpscope | whole | x sharpscope | difference | points |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for (modality, side), row in sides.items():
        if "failed" in row:
            lines.append(f"| {modality} | {side} | failed: {row['failed'][:80]} | | | | | |")
            continue
        ours = sides[modality, "sharpscope"]
        numbers = [
            f"{row[key]:.4f} | {row[key] / ours[key]:.2f}"
            for key in ("seconds_per_point", "seconds_of_all_per_point")
        ]
        told = (
            f"{row['largest_difference']:.1e} | {row['compared']}" if "compared" in row else " | "
        )
        lines.append(f"| {modality} | {side} | {' | '.join(numbers)} | {told} |")
    return "\n".join([*lines, "", NOTES])


NOTES = """\
What each side is: `sharpscope` is `Landscape(shape=(7, 7), span=0.5)` as it comes; `plain` the same
with `replay=False`, which neither plays back, folds nor fuses. `loss-landscapes` 3.0.6 is its
`planar_interpolation` between models displaced along our directions, with a metric over the same
batches; `single batch` has its own metric `Loss`, which takes all data at once; `freed memory kept`
sets the C library's allocator as sharpscope does (`keep_freed_memory`), so that the gain of that
alone can be told apart. `landscaper` 1.3.1 is its `compute_loss_landscape` over the same batches.
All peers move the whole model, with directions that are zero outside the encoder.

Values are compared where a side really measured: loss-landscapes measures even columns from 1 to n
and odd ones from 0 to n - 1, which its array does not tell; Landscaper scales each tensor of a
direction by itself, so that its plane is another one, and adds random noise to its highest point,
which is left out.
"""


def _median(values: list[float]) -> float | None:
    return statistics.median(values) if values else None


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
