"""How flat each encoder is over training: late fusion against MASAM, four seeds, as it comes out.

    .venv/bin/python -m benchmarks.story     # 20 minutes of one core

The event that the MASAM paper draws in its first figure, an encoder that sharpens after it had
flattened, is looked for on ``emoji``: the trace of each encoder's Hessian after every epoch,
by the monitor, with MASAM at the radius that validation chose in ``benchmarks/methods``. Runs that
are on the disk already are not trained again.
"""

import json
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.methods.rows import DATASETS, PAPER_SEEDS
from sharpscope.figures import caption_of, draw, save_figure
from sharpscope.monitor import monitor_of
from sharpscope.recipes import Recipe, parse_recipe
from sharpscope.results import MonitorRecord
from sharpscope.results.monitor import read_monitor
from sharpscope.training import train

HERE = Path(__file__).parent
KEPT = HERE.parent / ".benchmarks" / "story"
RESULTS = HERE / "results"
METHODS = ("late", "masam")


def main() -> None:
    """Train and measure what is missing, and draw all of it."""
    KEPT.mkdir(parents=True, exist_ok=True)
    every = [(method, seed) for seed in PAPER_SEEDS for method in METHODS]
    with ProcessPoolExecutor(2) as pool:
        for name, seconds in pool.map(trained, every):
            print(name, f"{seconds:.0f} s", file=sys.stderr, flush=True)
    records = [read_monitor(path(*one)) for one in every]
    figure = draw(records, "flatness", width="page", quantity="trace")
    save_figure(figure, RESULTS / "story.png")
    text = "\n".join([*_head(records), *_table(records)]) + "\n"
    (RESULTS / "story.md").write_text(text)
    print(text)


def trained(one: tuple[str, int]) -> tuple[str, float]:
    """Train one run under watch, where its file is not whole yet."""
    torch.set_num_threads(1)
    method, seed = one
    out = path(method, seed)
    if not out.is_file() or not read_monitor(out).ended:
        out.unlink(missing_ok=True)
        chosen = recipe(method, seed)
        measure = ["trace", "lambda_max"]
        train(chosen, watch=monitor_of(chosen, measure=measure, when="epoch", out=out))
    return out.name, read_monitor(out).seconds


def recipe(method: str, seed: int) -> Recipe:
    """Return what is trained."""
    settings = {"rho": f"{radius():g}"} if method == "masam" else {}
    return parse_recipe(DATASETS["emoji"], method=method, seed=seed, settings=settings)


def radius() -> float:
    """Return MASAM's radius as ``benchmarks/methods`` chose it on validation."""
    lines = (RESULTS / "methods-emoji.jsonl").read_text().splitlines()
    rows: list[dict[str, Any]] = [json.loads(line) for line in lines]
    return next(float(row["rho"]) for row in rows if row["key"][0] == "MASAM" and "rho" in row)


def path(method: str, seed: int) -> Path:
    """Return the file of a run."""
    return KEPT / f"{method}-s{seed}.monitor.jsonl"


def _head(records: list[MonitorRecord]) -> list[str]:
    return [
        "# The trace of each encoder over training: late fusion and MASAM",
        "",
        "![Trace of each encoder over epochs](story.png)",
        "",
        caption_of(records, "flatness", quantity="trace"),
        "",
    ]


def _table(records: list[MonitorRecord]) -> list[str]:
    """Return where each run was flattest and how sharp it ended, as means over seeds."""
    lines = [
        "| method | encoder | largest trace | at epoch | last trace | last / largest | sharpened "
        "again |",
        "|---|---|---|---|---|---|---|",
    ]
    for method in METHODS:
        own = [r for r in records if r.provenance["recipe"]["method"] == method]
        for name in own[0].modalities:
            courses = [np.array(r.course(name, "trace"), dtype=float) for r in own]
            peaks = [course.max() for course in courses]
            epochs = [
                (r.epochs or [0.0])[int(c.argmax())] for r, c in zip(own, courses, strict=True)
            ]
            last = [course[-1] for course in courses]
            rang = sum(
                any(e["signal"] == "sharpening" and e["modality"] == name for e in r.events)
                for r in own
            )
            lines.append(
                f"| {method} | {name} | {_mean(peaks)} | {np.mean(epochs):.1f} | {_mean(last)} | "
                f"{np.mean(np.array(last) / np.array(peaks)):.2f} | {rang} of {len(own)} |"
            )
    return [*lines, "", "± is the standard error over the four seeds."]


def _mean(values: list[float]) -> str:
    error = np.std(values, ddof=1) / len(values) ** 0.5
    return f"{np.mean(values):.0f} ± {error:.0f}"


if __name__ == "__main__":
    main()
