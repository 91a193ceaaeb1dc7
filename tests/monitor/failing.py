"""One of two processes that train together, of which one fails; started by test_rank_failures.py.

Arguments: a folder, and what happens. Rank 0 keeps a checkpoint of every fifth step there, from
which a run that is started again goes on.
"""

import functools
import os
import shutil
import signal
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from sharpscope.monitor import FlatnessMonitor
from sharpscope.results import write_whole
from tests.monitor import towers

STEPS, FAILS_AT = 20, 8


def die() -> None:
    """End this process as the kernel does where memory is short."""
    os.kill(os.getpid(), signal.SIGKILL)


def tear_next_line() -> None:
    """Die in the middle of the next line that is written."""
    write = os.write

    def torn(place: int, text: bytes) -> int:
        written = write(place, text[: len(text) // 2])
        die()
        return written

    os.write = torn


def gone(process: int) -> bool:
    """Return whether a process has ended."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    state = Path(f"/proc/{process}/stat")
    return not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z"


def fail(what: str, rank: int, step: int, again: bool) -> None:
    """Do what is asked for, where and when it is."""
    if step != FAILS_AT:
        return
    if what == "raises" and rank and not again:
        raise RuntimeError("this rank has failed")
    if what == "is killed" and rank:
        die()
    if what == "dies in a line" and not rank:
        tear_next_line()


def gathering(model: Any, batch: Any) -> Any:
    """Return a loss over the logits of both ranks, as contrastive ones are."""
    logits = model(batch["ehr"], batch["cxr"])
    theirs = [torch.zeros_like(logits) for _ in range(2)]
    distributed.all_gather(theirs, logits.detach())
    return torch.cat([logits, *theirs]).square().mean()


def train(folder: Path, what: str, rank: int, wrapped: Callable[[Any], Any]) -> None:
    """Train, from the last checkpoint where there is one."""
    out, last = folder / "run.jsonl", folder / "last.pt"
    towers.seed()
    net, done = towers.Net(), 0
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
    again = last.exists()
    if again:
        state: Any = torch.load(last)
        net.load_state_dict(state["model"])
        done = state["step"]
    model = wrapped(net)
    settings: dict[str, Any] = {**towers.QUICK, "measure": ("trace",), "when": 5}
    loss = gathering if what == "gathers" else towers.logits_loss
    subject = towers.subject_of(net, loss)
    monitor = FlatnessMonitor(subject, out=out, optimizer=optimizer, **settings)
    monitor.begin(step=done)
    batches = towers.Items().batches()[rank::2]
    for step in range(done + 1, STEPS + 1):
        fail(what, rank, step, again)
        optimizer.zero_grad()
        loss(model, batches[step % len(batches)]).backward()
        optimizer.step()
        if what == "ends first" and step == STEPS:
            wait_for_the_other(folder, rank)
        monitor(step)
        if not rank and not step % 5:
            kept = {"model": net.state_dict(), "step": step}
            write_whole(last, functools.partial(torch.save, kept))
    monitor.close()


def main() -> None:
    """Train as one of the two."""
    folder, what, rank = Path(sys.argv[1]), sys.argv[2], int(os.environ["RANK"])
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    if not rank and (folder / "run.jsonl").exists():
        shutil.copy(folder / "run.jsonl", folder / "before.jsonl")
    if what == "raises":  # torchrun tells where the others are
        distributed.init_process_group("gloo")
    else:
        meet = f"file://{folder}/meeting"
        distributed.init_process_group("gloo", init_method=meet, rank=rank, world_size=2)
    train(folder, what, rank, DistributedDataParallel)


def wait_for_the_other(folder: Path, rank: int) -> None:
    """End the second process as one that has done its work; wait for that in the first."""
    name = folder / "second"
    if rank:
        write_whole(name, lambda file: file.write(str(os.getpid()).encode()))
        distributed.destroy_process_group()
        raise SystemExit
    while not name.exists() or not gone(int(name.read_text())):
        time.sleep(0.02)


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    # Threads of gloo abort some processes at the interpreter's end, after all is written.
    os._exit(0)
