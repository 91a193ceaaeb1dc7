"""One of two processes that train together; started by test_framework_processes.py.

Argument: a folder. A Lightning trainer, a Trainer of transformers and a plain loop train without
the monitor and with it; weights and random streams of both runs go to a file of this process.
"""

import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from sharpscope.monitor import FlatnessMonitor
from tests.monitor import hugging, lit, towers

Run = Callable[[FlatnessMonitor | None, Path], Any]


def in_lightning(monitor: FlatnessMonitor | None, folder: Path) -> Any:
    """Return what Lightning leaves behind; it makes the group of processes."""
    monitors = [] if monitor is None else [monitor]
    settings: dict[str, Any] = {"strategy": "ddp", "devices": 2, "max_epochs": 1}
    trainer, module = lit.trained(*monitors, **settings)
    return lit.left_by(trainer, module)


def in_transformers(monitor: FlatnessMonitor | None, folder: Path) -> Any:
    """Return what the Trainer leaves behind."""
    monitors = [] if monitor is None else [monitor]
    return hugging.left_by(hugging.trained(folder, *monitors, ddp_backend="gloo"))


def in_a_loop(monitor: FlatnessMonitor | None, folder: Path) -> Any:
    """Return what a plain loop leaves behind."""
    towers.seed()
    net = towers.Net()
    model = DistributedDataParallel(net)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    for step, batch in enumerate(
        towers.Items().batches()[distributed.get_rank() :: 2] * 2, start=1
    ):
        if monitor is not None and step == 1:
            monitor.begin(net, optimizer=optimizer)
        optimizer.zero_grad()
        towers.logits_loss(model, batch | {"ehr": towers.noisy(batch["ehr"])}).backward()
        optimizer.step()
        if monitor is not None:
            monitor(step)
    if monitor is not None:
        monitor.close()
    return towers.plain(net.state_dict()), towers.plain(optimizer.state_dict()), towers.streams()


def main() -> None:
    """Run all three, twice each."""
    folder, rank = Path(sys.argv[1]), int(os.environ["RANK"])
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    runs: dict[str, tuple[Run, Any]] = {
        "lightning": (in_lightning, lit.watched),
        "transformers": (in_transformers, hugging.watched),
        "loop": (in_a_loop, towers.subject_of),
    }
    found: dict[str, Any] = {}
    for name, (run, subject) in runs.items():
        without = run(None, folder)
        settings: dict[str, Any] = {**towers.QUICK, "measure": ("trace",), "when": 5}
        monitor = FlatnessMonitor(subject, out=folder / f"{name}.jsonl", **settings)
        found[name] = without, run(monitor, folder), monitor.active, monitor.record.steps
    torch.save(found, folder / f"{rank}.pt")


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    # Threads of gloo abort some processes at the interpreter's end, after all is written.
    os._exit(0)
