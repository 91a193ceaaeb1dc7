"""MASAM on several processes, with DistributedDataParallel around the model or without it.

    torchrun --nproc-per-node 2 gallery/two_processes.py

The optimizer takes its gradients by ``autograd.grad``, which calls none of the hooks by which
DistributedDataParallel averages them, so it averages them itself: each process runs its own
batches, all take the same step, and the dominant encoder is the same everywhere.
"""

import os
import sys
from functools import partial

import torch
from plain_loop import Model, batches
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from sharpscope.optim import MASAM


def main() -> None:
    """Train on this process's share of the data and check that all agree."""
    distributed.init_process_group("gloo")
    rank, count = distributed.get_rank(), distributed.get_world_size()
    torch.manual_seed(0)
    model = Model()
    wrapped = DistributedDataParallel(model)
    optimizer = MASAM(
        torch.optim.AdamW(model.parameters(), lr=3e-3),
        encoders={"ehr": model.ehr, "cxr": model.cxr},
        rho=0.3,
    )
    first, last = 0.0, 0.0
    for epoch in range(5):
        for number, batch in enumerate(batches(20, 32)[rank::count]):
            step = optimizer.step(partial(wrapped, *batch))
            last = step.fusion
            first = last if epoch == number == 0 else first
    flat = torch.cat([p.detach().reshape(-1) for p in model.parameters()])
    others = [torch.empty_like(flat) for _ in range(count)]
    distributed.all_gather(others, flat)
    assert all(torch.equal(flat, other) for other in others)
    assert last < 0.6 * first
    if rank == 0:
        print(f"{count} processes agree; fusion loss {first:.3f} -> {last:.3f}")
    distributed.destroy_process_group()


if __name__ == "__main__":
    main()
    # gloo's threads now and then abort the interpreter's end, after all work is done.
    sys.stdout.flush()
    os._exit(0)
