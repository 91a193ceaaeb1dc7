"""Measure what was trained: readout, probe, trace, λ_max; traces of epochs that match late fusion.

Every run is one line of a file under benchmarks/results, so that it begins again where it stopped.
"""

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

import sharpscope as ss
from benchmarks.methods.rows import DATASETS, PAPER_SEEDS, ROWS, SEEDS, Row
from benchmarks.methods.training import chosen
from sharpscope.recipes import build_dataset, build_model
from sharpscope.training.run import Run, cuts
from sharpscope.training.stepping import Tally

RESULTS = Path(__file__).parents[1] / "results"
AGAINST = "late"
TRACE_RTOL, EIGEN_RTOL = 0.05, 0.05
BUDGET = 128  # products: a trace near 0 has no small relative error
# Curvature is that of the first so many train items: avdigits has 2,160, and its passes are dear.
SAMPLES: dict[str, int | None] = {"emoji": None, "avdigits": 1024}
# Of an epoch on the way, whose error over probes is small beside that over seeds.
EPOCH_RTOL, EPOCH_SAMPLES = 0.1, 512
# Between two steps in which played passes are compared with plain ones, twice every=10.
COUNTED = range(33, 53)


class Lines:
    """Measurements by their key, one JSON line each."""

    def __init__(self, path: Path):
        self.path = path
        lines = path.read_text().splitlines() if path.is_file() else []
        self.found = {tuple(json.loads(line)["key"]): json.loads(line) for line in lines}

    def add(self, key: Iterable[Any], content: Mapping[str, Any]) -> dict[str, Any]:
        """Keep a measurement."""
        entry = {"key": list(key), **content}
        self.found[tuple(entry["key"])] = entry
        with self.path.open("a") as file:
            file.write(json.dumps(entry) + "\n")
        print(*entry["key"], flush=True)
        return entry


def epochs(path: Path) -> list[Path]:
    """Return the kept checkpoints of a run in their order."""
    return sorted(path.parent.glob(f"{path.stem}.epoch*.pt"))


def curvature(path: Path, samples: int | None, *, rtol: float, eigen: bool) -> dict[str, Any]:
    """Return traces with their errors, and λ_max where asked, of the fusion loss on train."""
    subject = ss.load_subject(path, samples=samples)
    found: dict[str, Any] = {
        "trace": {
            n: (r.value, r.standard_error)
            for n, r in ss.traces(subject, rtol=rtol, budget=BUDGET).items()
        }
    }
    if eigen:
        names = subject.owners.modalities
        found["lambda_max"] = {
            n: ss.eigenvalues(subject, n, rtol=EIGEN_RTOL, budget=BUDGET).largest for n in names
        }
    return found


def losses(path: Path) -> list[float]:
    """Return the train loss (eval mode) of the kept checkpoints."""
    values: list[float] = []
    for kept in epochs(path):
        subject = ss.load_subject(kept)
        with subject.still(), torch.no_grad():
            pairs = [(v.total.item(), v.weight) for _, _, v in subject.visits("fusion")]
        values.append(sum(t for t, _ in pairs) / sum(w for _, w in pairs))
    return values


def measured(row: Row, dataset: str, seed: int, rho: float | None) -> dict[str, Any]:
    """Return all numbers of one run."""
    path = row.path(dataset, seed, rho)
    metrics = torch.load(path, weights_only=True)["metrics"]
    on = {split: ss.load_subject(path, split=split) for split in ("train", "val", "test")}
    told = ss.contribution(on["test"], train=on["train"], val=on["val"])
    return {
        "rho": rho,
        **{
            split: {key: metrics[split]["fusion"][key] for key in ("loss", "accuracy")}
            for split in ("train", "val", "test")
        },
        "readout": dict(told.readout),
        "probe": dict(told.probe),
        "curve": losses(path),
        **curvature(path, SAMPLES[dataset], rtol=TRACE_RTOL, eigen=True),
    }


def crossing(curve: Sequence[float], target: float) -> list[int]:
    """Return the epochs between which the train loss first falls to a target, or the one at it."""
    after = next(place for place, loss in enumerate(curve) if loss <= target)
    return [after] if after == 0 or curve[after] == target else [after - 1, after]


def target(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the least train loss that two runs both reach."""
    return max(min(one), min(other))


def flops(row: Row, dataset: str, rho: float | None) -> float:
    """Return the operations of a training step, mean over some steps."""
    recipe = row.recipe(dataset, PAPER_SEEDS[0], rho)
    data = build_dataset(recipe)
    run = Run(recipe, build_model(recipe, data), data, torch.device("cpu"))
    run.model.train()
    split = data.splits["train"]
    items = {**split.inputs, "target": split.target}
    places = cuts(len(split), int(recipe.settings["batch_size"]))
    full = [pair for pair in places if pair[1] - pair[0] == int(recipe.settings["batch_size"])]
    total = 0
    for number in range(COUNTED.stop):
        start, stop = full[number % len(full)]
        batch = {name: values[start:stop] for name, values in items.items()}
        with FlopCounterMode(display=False) as counter:
            run.stepper.step(batch, Tally())
        if number in COUNTED:
            total += counter.get_total_flops()
    return total / len(COUNTED)


def main() -> None:
    """Measure what is missing of one data set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", choices=list(DATASETS))
    parser.add_argument("--backward", action="store_true", help="last seeds first, beside another")
    options = parser.parse_args()
    dataset = options.dataset
    torch.set_num_threads(1)
    radii = {row.name: chosen(row, dataset) for row in ROWS}
    lines = Lines(RESULTS / f"methods-{dataset}.jsonl")
    for row in ROWS:
        key = (row.name, "flops")
        if key not in lines.found:
            lines.add(key, {"flops": flops(row, dataset, radii[row.name]), "rho": radii[row.name]})
    for seed in reversed(SEEDS) if options.backward else SEEDS:
        for row in ROWS:
            if (row.name, seed) not in lines.found:
                lines.add((row.name, seed), measured(row, dataset, seed, radii[row.name]))
        curves = {row.name: lines.found[row.name, seed]["curve"] for row in ROWS}
        wanted: set[tuple[str, int]] = set()
        for row in ROWS:
            met = target(curves[row.name], curves[AGAINST])
            for name in (row.name, AGAINST):
                wanted |= {(name, place) for place in crossing(curves[name], met)}
        for row in ROWS:
            kept = epochs(row.path(dataset, seed, radii[row.name]))
            for name, place in sorted(wanted):
                key = (row.name, seed, place)
                if name == row.name and key not in lines.found:
                    lines.add(
                        key, curvature(kept[place], EPOCH_SAMPLES, rtol=EPOCH_RTOL, eigen=False)
                    )


if __name__ == "__main__":
    main()
