"""What a monitor costs beside the training it watches, and what a warm start saves.

    .venv/bin/python -m benchmarks.monitor --quick     # two minutes
    .venv/bin/python -m benchmarks.monitor             # what benchmarks/results holds, 20 minutes

Three processes of one thread. Two train the same recipe for as many steps, one of them watched at
``budget=0.05``; they run side by side, so that what else the machine does slows both. Quoted are
CPU seconds of the process and wall-clock seconds, watched over plain. The weights at the end are
compared bit for bit. The third measures at fixed steps of a shorter run of the same recipe with and
without what the measurement before has left, at the same errors, and counts products.
"""

import argparse
import hashlib
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch

from sharpscope.monitor import FlatnessMonitor, monitor_of
from sharpscope.recipes import Recipe, build_dataset, build_model, parse_recipe
from sharpscope.training.run import Run
from sharpscope.training.trainer import _own_randomness

HERE = Path(__file__).parent
MEASURE = ("trace", "lambda_max", "alignment")
BUDGET, RTOL, EIGEN_RTOL, SAMPLES = 0.05, 0.048, 0.02, 128
# What products are counted at: steps between measurements, error of the trace, residual of λ_max,
# seeds of batches and probes.
COUNTED = (
    (80, 0.05, 0.02, 3),
    (20, 0.05, 0.02, 1),
    (80, 0.03, 0.001, 2),
    (80, None, 0.001, 2),
    (80, None, 0.02, 2),
)


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the steps")
    parser.add_argument("--side", choices=["plain", "watched", "counts"])
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.side == "counts":
        print(json.dumps(counts(options.quick)))
        return
    if options.side:
        print(json.dumps(side(options.side == "watched", options.quick)))
        return
    sides = ["plain", "watched"]
    running = {name: _started(name, options.quick) for name in sides}
    found: dict[str, Any] = {name: json.loads(running[name].communicate()[0]) for name in sides}
    found["counts"] = json.loads(_started("counts", options.quick).communicate()[0])
    found["machine"] = f"{platform.machine()}, {os.cpu_count()} cores, one thread a process"
    found["torch"] = torch.__version__
    name = "monitor-quick" if options.quick else "monitor"
    (HERE / "results" / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n")
    text = table(found)
    (HERE / "results" / f"{name}.md").write_text(text)
    print(text)


def recipe(epochs: int) -> Recipe:
    """Return what is trained: labels are noisy, so that the loss does not fall to nothing."""
    settings = {"dropout": "0.2", "label_noise": "0.2", "lr": "0.001"}
    return parse_recipe("emoji", method="late", seed=1, epochs=epochs, settings=settings)


def side(watched: bool, quick: bool) -> dict[str, Any]:
    """Train, watched or not, and return what it cost."""
    chosen = recipe(160 if quick else 1600)
    monitor = None
    if watched:
        monitor = monitor_of(
            chosen,
            measure=MEASURE,
            budget=BUDGET,
            samples=SAMPLES,
            rtol=RTOL,
            eigen_rtol=EIGEN_RTOL,
            products=150,
        )
    run = _run(chosen, monitor)
    began, worked = time.perf_counter(), time.process_time()
    with _own_randomness(chosen, torch.device("cpu")):
        run.begin()
        while not run.done:
            run.epoch()
    if monitor is not None:
        monitor.close()
    digest = hashlib.sha256()
    for value in run.model.state_dict().values():
        digest.update(value.numpy().tobytes())
    return {
        "wall": time.perf_counter() - began,
        "cpu": time.process_time() - worked,
        "weights": digest.hexdigest(),
        "measurements": [] if monitor is None else _told(monitor),
        "spent": 0.0 if monitor is None else monitor.spent,
    }


def counts(quick: bool) -> list[dict[str, Any]]:
    """Return the products of measurements with and without a warm start, at the same errors."""
    chosen = recipe(40)
    pairs: list[tuple[tuple[Any, ...], FlatnessMonitor, FlatnessMonitor]] = []
    for every, rtol, residual, seeds in COUNTED:
        for seed in range(1 if quick else seeds):
            how: dict[str, Any] = {"when": 5 * every if quick else every, "seed": seed}
            how |= {"samples": SAMPLES, "products": 150}
            how |= {"measure": ["lambda_max"] if rtol is None else ["trace", "lambda_max"]}
            how |= {"rtol": rtol or RTOL, "eigen_rtol": residual, "signals": ()}
            both = monitor_of(chosen, **how), monitor_of(chosen, warm=False, **how)
            pairs.append(((every, rtol, residual), *both))
    run = _run(chosen, _Several([monitor for _, *pair in pairs for monitor in pair]))
    with _own_randomness(chosen, torch.device("cpu")):
        run.begin()
        while not run.done:
            run.epoch()
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for at, warm, cold in pairs:
        for name in chosen.modalities:
            every, rtol, residual = at
            facts = {"every": every, "rtol": rtol, "residual": residual, "modality": name}
            row = found.setdefault((*at, name), {**facts, "warm": [], "cold": []})
            row["warm"] += _products(warm, name)
            row["cold"] += _products(cold, name)
    return list(found.values())


class _Several:
    """Several monitors of one run."""

    def __init__(self, monitors: list[FlatnessMonitor]):
        self.monitors = monitors

    def begin(self, *what: Any, **how: Any) -> None:
        for monitor in self.monitors:
            monitor.begin(*what, **how)

    def __call__(self, *what: Any, **how: Any) -> None:
        for monitor in self.monitors:
            monitor(*what, **how)

    def epoch(self, number: int) -> None:
        for monitor in self.monitors:
            monitor.epoch(number)

    def close(self) -> None:
        for monitor in self.monitors:
            monitor.close()


def _run(chosen: Recipe, watch: Any) -> Run:
    dataset = build_dataset(chosen)
    return Run(chosen, build_model(chosen, dataset), dataset, torch.device("cpu"), watch)


def _products(monitor: FlatnessMonitor, name: str) -> list[int]:
    # The first one has no measurement before it.
    return [int(count or 0) for count in monitor.record.course(name, "products")][1:]


def _told(monitor: FlatnessMonitor) -> list[dict[str, Any]]:
    return [
        {
            "step": entry["step"],
            "seconds": entry["measuring_seconds"],
            "errors": {
                name: one["standard_error"] / abs(one["trace"])
                for name, one in entry["encoders"].items()
            },
            "products": entry["products"],
        }
        for entry in monitor.record.measurements
    ]


def _started(name: str, quick: bool) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.monitor", "--side", name]
    return subprocess.Popen([*command, *(["--quick"] if quick else [])], stdout=subprocess.PIPE)


def _ratio(warm: list[int], cold: list[int]) -> tuple[float, float]:
    """Return the ratio of two sums of pairs, and its standard error."""
    ratio = sum(warm) / sum(cold)
    squares = sum((w - ratio * c) ** 2 for w, c in zip(warm, cold, strict=True))
    return ratio, (squares * len(warm) / max(1, len(warm) - 1)) ** 0.5 / sum(cold)


def table(found: dict[str, Any]) -> str:
    """Return what was found, in words."""
    plain, watched = found["plain"], found["watched"]
    told = watched["measurements"]
    errors = [error for one in told for error in one["errors"].values()]
    small = sum(max(one["errors"].values()) < 0.05 for one in told)
    same = "the same bit for bit" if plain["weights"] == watched["weights"] else "DIFFERENT"
    lines = [
        "# What a monitor costs",
        "",
        f"{found['machine']}, torch {found['torch']}; emoji, late fusion, {SAMPLES} measuring "
        f"items, {', '.join(MEASURE)}, budget {BUDGET:g}. Watched and plain training side by side:",
        "",
        "| | plain | watched | watched / plain |",
        "|---|---|---|---|",
    ]
    for what, word in (("cpu", "CPU seconds"), ("wall", "wall-clock seconds")):
        ratio = watched[what] / plain[what]
        lines.append(f"| {word} | {plain[what]:.1f} | {watched[what]:.1f} | {ratio:.4f} |")
    lines += [
        "",
        f"{len(told)} measurements in {watched['spent']:.1f} s, {small} of them with standard "
        f"errors of all traces under 5 % (the largest of all {100 * max(errors, default=0):.2g} "
        f"%); weights at the end {same}.",
        "",
        "Products of a measurement that goes on from the one before (warm) and of one that begins "
        "anew (cold), at the same errors, in a run of 40 epochs of 20 steps, the first measurement "
        "left out. Counts are random, as probes are: single measurements may cost more than the "
        "cold one beside them.",
        "",
        "| steps between | trace to | λ_max to | encoder | measurements | warm | cold | "
        "warm / cold | ± | cost more |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in found["counts"]:
        warm, cold = row["warm"], row["cold"]
        target = "not measured" if row["rtol"] is None else f"{100 * row['rtol']:g} %"
        ratio, error = _ratio(warm, cold)
        more = sum(w > c for w, c in zip(warm, cold, strict=True)) / len(warm)
        lines.append(
            f"| {row['every']} | {target} | {row['residual']:g} | {row['modality']} | {len(warm)} "
            f"| {sum(warm) / len(warm):.1f} | {sum(cold) / len(cold):.1f} | {ratio:.2f} | "
            f"{error:.2f} | {100 * more:.0f} % |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
