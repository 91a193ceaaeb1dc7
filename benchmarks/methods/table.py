"""The table of methods, from what was measured: means over seeds, paired gains, matched loss."""

import json
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.methods.measuring import AGAINST, RESULTS, crossing, target
from benchmarks.methods.rows import DATASETS, PAPER_SEEDS, ROWS, SEEDS

Entries = Mapping[tuple[Any, ...], Mapping[str, Any]]
Number = Callable[[Mapping[str, Any]], float]


def read(dataset: str) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Return what was measured, by key."""
    path = RESULTS / f"methods-{dataset}.jsonl"
    lines = path.read_text().splitlines() if path.is_file() else []
    entries = [json.loads(line) for line in lines]
    return {tuple(entry["key"]): entry for entry in entries}


def columns(modalities: Sequence[str]) -> dict[str, tuple[Number, str]]:
    """Return the columns: how each is taken from a run, and how it is printed."""
    found: dict[str, tuple[Number, str]] = {
        "train loss": (lambda e: e["train"]["loss"], ".4f"),
        "train acc %": (lambda e: 100 * e["train"]["accuracy"], ".2f"),
        "test acc %": (lambda e: 100 * e["test"]["accuracy"], ".2f"),
        "gap τ %": (
            lambda e: (
                100 * (e["train"]["accuracy"] - e["test"]["accuracy"]) / e["train"]["accuracy"]
            ),
            ".2f",
        ),
    }
    for kind in ("readout", "probe"):
        for m in modalities:
            found[f"{kind} {m} %"] = (lambda e, k=kind, m=m: 100 * e[k][m], ".1f")
    for m in modalities:
        found[f"trace {m}"] = (lambda e, m=m: e["trace"][m][0], ".3g")
    for m in modalities:
        found[f"λ_max {m}"] = (lambda e, m=m: e["lambda_max"][m], ".3g")
    return found


def mean_error(values: Sequence[float]) -> tuple[float, float]:
    """Return a mean and its standard error."""
    middle = statistics.fmean(values)
    spread = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return middle, spread


def shown(values: Sequence[float], form: str) -> str:
    """Return ``mean ± error``."""
    middle, error = mean_error(values)
    return f"{middle:{form}} ± {error:{'.2g' if form.endswith('g') else form}}"


def means(entries: Entries, seeds: Sequence[int], modalities: Sequence[str]) -> list[str]:
    """Return the table of means over seeds."""
    heads = columns(modalities)
    lines = [
        "| method | ρ | operations x late | " + " | ".join(heads) + " |",
        "|---|---|---|" + "---|" * len(heads),
    ]
    plain = entries[AGAINST, "flops"]["flops"]
    for row in ROWS:
        runs = [entries[row.name, seed] for seed in seeds if (row.name, seed) in entries]
        if not runs:
            continue
        rho = entries[row.name, "flops"]["rho"]
        work = entries[row.name, "flops"]["flops"] / plain
        cells = [shown([take(run) for run in runs], form) for take, form in heads.values()]
        radius = "" if rho is None else f"{rho:g}"
        lines.append(f"| {row.name} | {radius} | {work:.2f} | {' | '.join(cells)} |")
    return lines


def gains(entries: Entries, seeds: Sequence[int], modalities: Sequence[str]) -> list[str]:
    """Return differences to late fusion, paired by seed; of traces and λ_max their ratios."""
    heads = columns(modalities)
    ratio = [name for name in heads if name.startswith(("trace", "λ_max"))]
    names = [name for name in heads if name not in ratio]
    lines = [
        "| method | " + " | ".join([*names, *(f"{name} x late" for name in ratio)]) + " |",
        "|---|" + "---|" * len(heads),
    ]
    for row in ROWS:
        both = [s for s in seeds if {(row.name, s), (AGAINST, s)} <= set(entries)]
        if row.name == AGAINST or not both:
            continue
        cells: list[str] = []
        for name in names:
            take, form = heads[name]
            differences = [take(entries[row.name, s]) - take(entries[AGAINST, s]) for s in both]
            cells.append(shown(differences, f"+{form}").replace("± +", "± "))
        for name in ratio:
            take, _ = heads[name]
            cells.append(
                logs([take(entries[row.name, s]) / take(entries[AGAINST, s]) for s in both])
            )
        lines.append(f"| {row.name} | {' | '.join(cells)} |")
    return lines


def logs(ratios: Sequence[float]) -> str:
    """Return the geometric mean of ratios, its error as a factor, and how many are below 1."""
    if any(ratio <= 0 for ratio in ratios):
        return "negative trace"
    middle, error = mean_error([math.log(ratio) for ratio in ratios])
    below = sum(ratio < 1 for ratio in ratios)
    return f"{math.exp(middle):.2f} ×/÷ {math.exp(error):.2f} ({below} of {len(ratios)} below 1)"


def at_target(entries: Entries, name: str, seed: int, met: float, m: str) -> float | None:
    """Return a trace at a train loss, its logarithm interpolated in that of the loss."""
    curve = entries[name, seed]["curve"]
    places = crossing(curve, met)
    if any((name, seed, place) not in entries for place in places):
        return None
    traces = [entries[name, seed, place]["trace"][m][0] for place in places]
    if len(places) == 1:
        return traces[0]
    if min(traces) <= 0:
        return None
    share = math.log(curve[places[0]] / met) / math.log(curve[places[0]] / curve[places[1]])
    return math.exp((1 - share) * math.log(traces[0]) + share * math.log(traces[1]))


def matched(entries: Entries, seeds: Sequence[int], modalities: Sequence[str]) -> list[str]:
    """Return traces against late fusion at the same train loss."""
    lines = [
        "| method | train loss | epochs | " + " | ".join(f"trace {m} x late" for m in modalities)
        + " |",
        "|---|---|---|" + "---|" * len(modalities),
    ]  # fmt: skip
    for row in ROWS:
        if row.name == AGAINST:
            continue
        losses: list[float] = []
        epochs: list[tuple[float, float]] = []
        ratios: dict[str, list[float]] = {m: [] for m in modalities}
        for seed in seeds:
            if not {(row.name, seed), (AGAINST, seed)} <= set(entries):
                continue
            curves = [entries[name, seed]["curve"] for name in (row.name, AGAINST)]
            met = target(*curves)
            pairs = {
                m: [at_target(entries, name, seed, met, m) for name in (row.name, AGAINST)]
                for m in modalities
            }
            if any(value is None for pair in pairs.values() for value in pair):
                continue
            losses.append(met)
            epochs.append(tuple(1 + crossing(curve, met)[-1] for curve in curves))  # pyright: ignore[reportArgumentType]
            for m, (ours, theirs) in pairs.items():
                ratios[m].append((ours or 0.0) / (theirs or 1.0))
        if not losses:
            continue
        when = " and ".join(f"{statistics.fmean(e):.1f}" for e in zip(*epochs, strict=True))
        cells = " | ".join(logs(ratios[m]) for m in modalities)
        lines.append(f"| {row.name} | {statistics.fmean(losses):.3f} | {when} | {cells} |")
    return lines


def main() -> None:
    """Write benchmarks/results/methods.md."""
    base = ROWS[0].recipe("emoji", 0, None)
    parts = [
        "# Methods over seeds",
        "",
        f"Every method trains the same recipe: {base.epochs} epochs, {base.settings['optimizer']}, "
        f"lr {base.settings['lr']:g} with a cosine to 0, batches of {base.settings['batch_size']}, "
        "the last weights kept. ρ alone was chosen, at seed "
        f"{PAPER_SEEDS[0]}, by accuracy on validation (ties: its loss), from seven values for "
        "each method that has one. ± is the standard error over seeds. Operations: floating-point "
        "operations of a training step, counted. readout: the joint model's logits split by "
        "Shapley values; probe: a fresh logistic regression on frozen features; both on test. "
        "trace and λ_max: Hessian of the fusion loss on train, at 5 %.",
    ]
    for dataset, recipe in DATASETS.items():
        entries = read(dataset)
        done = [s for s in SEEDS if all((row.name, s) in entries for row in ROWS)]
        if not done:
            continue
        modalities = list(entries[AGAINST, done[0]]["trace"])
        few = [s for s in PAPER_SEEDS if s in done]
        for title, lines in {
            f"{recipe}, {len(done)} seeds": means(entries, done, modalities),
            "Against late fusion, paired by seed": gains(entries, done, modalities),
            "At the same train loss as late fusion": matched(entries, done, modalities),
            f"The seeds {', '.join(map(str, few))} alone": means(entries, few, modalities),
            "The same against late fusion": gains(entries, few, modalities),
        }.items():
            level = "##" if title.startswith(recipe) else "###"
            parts += ["", f"{level} {title}", "", *lines]
            if "same train loss" in title:
                parts += ["", MATCHED]
    reading = Path(__file__).with_name("reading.md")
    if reading.is_file():
        parts += ["", "## What it shows and what it does not", "", reading.read_text().strip()]
    (RESULTS / "methods.md").write_text(text := "\n".join(parts) + "\n")
    print(text)


MATCHED = (
    "Trace of both on the first 512 train items where their train loss (eval mode) first falls to "
    "the least loss that both reach, between the checkpoints of two epochs; geometric mean of the "
    "ratios and its error as a factor. Epochs: of the method and of late fusion. The learning rate "
    "differs there as well, since both follow one schedule."
)

if __name__ == "__main__":
    main()
