"""Two processes on halves of a batch against one process on the whole of it."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.optim.members import MEMBERS

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return what each process of both runs found."""
    folder = tmp_path_factory.mktemp("processes")
    places = os.pathsep.join([str(ROOT), str(ROOT / "cli")])
    environment = os.environ | {"PYTHONPATH": places, "OMP_NUM_THREADS": "1"}
    jobs = [(0, 1), (0, 2), (1, 2)]
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.optim.worker", str(rank), str(count), str(folder)],
            env=environment,
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank, count in jobs
    ]
    for process in started:
        _, error = process.communicate(timeout=240)
        assert process.returncode == 0, error
    return {
        f"{rank} of {count}": torch.load(folder / f"{count}-{rank}.pt", weights_only=True)
        for rank, count in jobs
    }


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("name", sorted(MEMBERS))
def test_two_processes_equal_one_on_the_joined_batch(
    runs: dict[str, Any], name: str, wrapped: bool
):
    whole, _ = runs["0 of 1"][name, False, False]
    first, one = runs["0 of 2"][name, wrapped, False]
    second, other = runs["1 of 2"][name, wrapped, False]
    for key, value in whole.items():
        torch.testing.assert_close(first[key], value, rtol=0, atol=1e-10)
        assert torch.equal(first[key], second[key])
    assert one == other  # losses, dominant modality and shares are those of all


@pytest.mark.parametrize("name", sorted(MEMBERS))
def test_local_perturbations_differ_and_the_parameters_do_not(runs: dict[str, Any], name: str):
    whole, _ = runs["0 of 1"][name, False, True]
    first, one = runs["0 of 2"][name, False, True]
    second, other = runs["1 of 2"][name, False, True]
    assert all(torch.equal(first[key], second[key]) for key in whole)
    apart = max((first[key] - whole[key]).abs().max().item() for key in whole)
    assert apart > 1e-6
    assert one.split("radius")[0] == other.split("radius")[0]
