"""The figures of a run as a Markdown table, ratios first."""

import math
from typing import Any

PEERS = ("pyhessian", "pyhessian, single batch", "hessian-eigenthings", "curvlinops")


def table(found: dict[str, Any]) -> str:
    """Return what benchmarks/results shows."""
    sides = {(r["workload"], r["modality"], r["side"]): r for r in found["products"]}
    size = "16 x 16" if found["quick"] else "64 x 64"
    lines = [
        "# Trace: seconds a product, products and seconds to 1 %",
        "",
        f"{found['machine']}, torch {found['torch']}; images of ehr-cxr {size}; median of "
        f"{found['timed_products']} products, CPU seconds. First: what comes before the second "
        "product begins, where a library does not repeat it. Peak: resident memory above that of "
        "the process with model and data.",
        "",
        "## One product on ehr-cxr",
        "",
        "| encoder | side | seconds | x sharpscope | first | peak MB |",
        "|---|---|---|---|---|---|",
    ]
    for (workload, modality, side), row in sides.items():
        if workload != "ehr-cxr":
            continue
        if "failed" in row:
            lines.append(f"| {modality} | {side} | failed: {row['failed'][:80]} | | | |")
            continue
        ours = sides[workload, modality, "sharpscope"]["seconds_per_product"]
        lines.append(
            f"| {modality} | {side} | {row['seconds_per_product']:.3f} "
            f"| {row['seconds_per_product'] / ours:.2f} | {row['first_seconds']:.2f} "
            f"| {row['peak_bytes'] / 1e6:.0f} |"
        )
    if "counts" not in found:
        return "\n".join([*lines, "", "How many products an error takes was not counted.", ""])
    lines += [
        "",
        "## To the same error of the trace",
        "",
        "The error is the one that the adaptive Hutch++ achieved when asked for 1 %, mean of three "
        "seeds. Hutchinson: by its own sample variance, the way of PyHessian. Thirds: Hutch++ as "
        "published, the way of hessian-eigenthings. Seconds: first product, then count times the "
        "median.",
        "",
        "| encoder | error % | adaptive | Hutchinson | thirds | XTrace | seconds | PyHessian | x "
        "| hessian-eigenthings | x |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    ratios: list[tuple[float, float]] = []
    for row in found["counts"]:
        where = (row["workload"], row["modality"])
        ours = _seconds(sides[*where, "sharpscope"], row["adaptive"])
        plain = _seconds(sides[*where, "pyhessian"], row["hutchinson"])
        thirds = _seconds(sides[*where, "hessian-eigenthings"], row["hutch++ thirds"])
        ratios.append((plain / ours, thirds / ours))
        lines.append(
            f"| {' '.join(where)} | {100 * row['relative_error']:.2f} | {row['adaptive']:.0f} "
            f"| {row['hutchinson']:.0f} | {row['hutch++ thirds']:.0f} "
            f"| {row['xtrace']:.0f} | {ours:.1f} | {plain:.1f} "
            f"| {plain / ours:.1f} | {thirds:.1f} | {thirds / ours:.1f} |"
        )
    means = [math.exp(math.fsum(map(math.log, r)) / len(r)) for r in zip(*ratios, strict=True)]
    lines += ["", f"Geometric means: {means[0]:.1f} and {means[1]:.1f} times fewer seconds.", ""]
    return "\n".join(lines)


def _seconds(row: dict[str, Any], products: float) -> float:
    return row["first_seconds"] + max(0.0, products - 1) * row["seconds_per_product"]
