"""Two processes train together: one of them measures, and one file is written."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from sharpscope.results.monitor import read_monitor

ROOT = Path(__file__).parents[2]
NAMES = ("lightning", "transformers", "loop")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Any]]:
    """Return the folder, and what each process found."""
    folder = tmp_path_factory.mktemp("processes")
    command = "-m torch.distributed.run --standalone --nproc-per-node 2 -m tests.monitor.worker"
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'cli'}", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *command.split(), str(folder)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder, [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in (0, 1)]


@pytest.mark.parametrize("name", NAMES)
def test_training_is_the_same_bit_for_bit(runs: tuple[Path, list[Any]], name: str):
    for found in runs[1]:
        without, watched, _, _ = found[name]
        assert watched == without
    first, second = (found[name][1][0] for found in runs[1])
    # Of BatchNorm's statistics each process has its own.
    assert {k: v for k, v in first.items() if "running" not in k} == {
        k: v for k, v in second.items() if "running" not in k
    }


@pytest.mark.parametrize("name", NAMES)
def test_the_first_process_writes_one_file(runs: tuple[Path, list[Any]], name: str):
    folder, (first, second) = runs
    record = read_monitor(folder / f"{name}.jsonl")
    assert record.steps == first[name][3] == [0, 5, *([] if name == "lightning" else [10])]
    assert record.ended
    assert not record.failures
    assert (first[name][2], second[name][2]) == (True, False)
    assert second[name][3] == []
    lines = (folder / f"{name}.jsonl").read_text().splitlines()
    assert [json.loads(line)["kind"] for line in lines].count("begin") == 1
    assert sorted(path.name for path in folder.glob("*.jsonl")) == sorted(
        f"{one}.jsonl" for one in NAMES
    )
