"""No method needs fewer products: counted on six trained encoders, so that no clock is needed."""

from pathlib import Path

import pytest

from benchmarks import counts, workload


@pytest.mark.slow
def test_no_method_needs_fewer_products_for_the_same_error(tmp_path: Path):
    """The encoders of the benchmark, images of ehr-cxr at 16 x 16."""
    workload.prepare(tmp_path, quick=True)
    rows = counts.count(tmp_path, quick=True, say=lambda _: None)
    assert [(row["workload"], row["modality"]) for row in rows] == list(workload.ENCODERS)
    for row in rows:
        assert row["relative_error"] <= counts.RTOL
        others = {name: row[name] for name in ("hutchinson", "hutch++ thirds", "xtrace")}
        assert row["adaptive"] <= 1.1 * min(others.values()), (row, others)
