"""How much memory recordings and kept graphs may take, and what becomes of freed memory."""

import os
from pathlib import Path

import torch

# Where the system does not tell what is free: little enough for any machine that trains models.
UNKNOWN = 2 * 2**30
_MEMINFO = Path("/proc/meminfo")
_LIMIT = Path("/sys/fs/cgroup/memory.max")
_USED = Path("/sys/fs/cgroup/memory.current")
# The most that glibc looks at, less what it adds to a block itself.
_LARGEST = 32 * 2**20 - 2**16


def default_memory(device: torch.device) -> int:
    """Return half of the bytes that are free on the device now."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return (free + unused) // 2
    free = [value for value in (_available(), _left_in_container()) if value is not None]
    return min(free) // 2 if free else UNKNOWN


def _available() -> int | None:
    try:
        lines = _MEMINFO.read_text().splitlines()
    except OSError:
        return _physical()
    found = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    return found[0] if found else _physical()


def _physical() -> int | None:
    """Return half of the physical memory, as a guess at what is free."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, ValueError, OSError):
        return None


def _left_in_container() -> int | None:
    try:
        return int(_LIMIT.read_text()) - int(_USED.read_text())
    except (OSError, ValueError):  # no container, or one without a limit ("max")
        return None


def keep_freed_memory() -> None:
    """Let glibc keep up to 64 MB of freed memory for the next pass.

    It returns freed memory to the system, which fills it with zeros page by page when the next
    pass asks for it again: a quarter of the time of a small network of convolutions. How much it
    keeps follows from the largest block freed so far, up to 32 MB (mallopt(3), M_MMAP_THRESHOLD):
    one is allocated here, freed, and never touched. Elsewhere this does nothing.
    """
    torch.empty(_LARGEST, dtype=torch.uint8, device="cpu")
