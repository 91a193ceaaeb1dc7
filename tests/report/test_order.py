"""Checkpoints of a report are named by their folder where they share a name, in their order."""

from sharpscope.report.table import tabulate
from tests.results.makers import COMMON, a_trace


def measured(path: str, sha: str, tag: str) -> object:
    provenance = COMMON["provenance"] | {"checkpoint": path, "checkpoint_sha256": sha}
    return a_trace(tag=tag, provenance=provenance)


def test_checkpoints_stand_run_by_run_in_the_order_of_training():
    results = [
        measured(f"runs/{run}/ep{epoch}.pt", f"{run}{epoch}", f"ep{epoch}")
        for run in ("late", "masam")
        for epoch in (12, 3, 1)
    ]
    table = tabulate(results)  # pyright: ignore[reportArgumentType]
    assert list(table.rows) == [f"{run}/ep{n}" for run in ("late", "masam") for n in (1, 3, 12)]


def test_hashes_tell_apart_what_folders_do_not():
    results = [measured("runs/late.pt", sha * 8, "late") for sha in ("1", "2")]
    assert list(tabulate(results).rows) == ["late (11111111)", "late (22222222)"]  # pyright: ignore[reportArgumentType]
