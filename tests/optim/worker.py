"""One of several processes that train together; started by test_processes.py.

Arguments: rank, number of processes, folder. Every member takes three steps on this process's half
of each batch; parameters and records go to a file.
"""

import os
import sys
from pathlib import Path
from typing import Any

import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from tests.optim.members import MEMBERS
from tests.optim.nets import Kind, batches, build, losses_of

KIND = Kind(2)


class Trained(torch.nn.Module):
    """The forward pass with its losses, so that DistributedDataParallel can wrap it."""

    def __init__(self, net: Any):
        super().__init__()
        self.net = net

    def forward(self, batch: Any) -> Any:
        """Return the losses."""
        return losses_of(self.net, batch)


def run(name: str, rank: int, count: int, *, wrapped: bool, local: bool) -> Any:
    """Return the parameters after three steps, and the last record."""
    member, net = MEMBERS[name], build(KIND)
    model: Any = Trained(net)
    if wrapped:
        model = DistributedDataParallel(model)
    optimizer = member.on(net, local=local)
    step: Any = None
    for batch in batches(KIND, 3):
        size = 8 // count
        mine = {key: value[rank * size : (rank + 1) * size] for key, value in batch.items()}
        step = optimizer.step(lambda mine=mine: model(mine), **member.extra(net, mine))
    return {k: v.clone() for k, v in net.state_dict().items()}, repr(step)


def main() -> None:
    """Run every member, as it is and wrapped."""
    rank, count, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    torch.set_num_threads(1)
    if count > 1:
        distributed.init_process_group(
            "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=count
        )
    found = {
        (name, wrapped, local): run(name, rank, count, wrapped=wrapped, local=local)
        for name in MEMBERS
        for wrapped in ((False, True) if count > 1 else (False,))
        for local in (False, True)
    }
    torch.save(found, folder / f"{count}-{rank}.pt")
    if count > 1:
        distributed.destroy_process_group()


if __name__ == "__main__":
    main()
    # Threads of gloo abort some processes at the interpreter's end, after all is written.
    os._exit(0)
