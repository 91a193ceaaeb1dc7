"""The scripts of the gallery run, and their own asserts hold."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RUN = "-m torch.distributed.run --standalone --nproc-per-node 2"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("gallery/plain_loop.py", "epoch 5"),
        ("gallery/lightning_loop.py", "60 steps, the same weights as a plain loop bit for bit"),
        (f"{RUN} gallery/two_processes.py", "2 processes agree"),
    ],
)
def test_it_runs(command: str, said: str):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *command.split()],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert said in done.stdout
