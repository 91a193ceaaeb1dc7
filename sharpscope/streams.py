"""Random streams with names: the same on every device, and extended by more probes."""

import hashlib
from operator import index

import torch
from torch import Generator, Tensor


def stream(seed: int, *path: str | int) -> Generator:
    """Return the CPU generator that ``seed`` and a name such as ``("trace", 3)`` define.

    The name is hashed into the generator's seed (blake2b, 63 bits), so that no
    stream of one seed is a stream of another, as it would be with ``seed + i``.

    Args:
        seed: The run's seed; an integer, there is no ``None``.
        path: The stream's name.

    Example:
        >>> a, b = stream(0, "trace", 1), stream(0, "trace", 1)
        >>> bool(torch.equal(torch.rand(2, generator=a), torch.rand(2, generator=b)))
        True
    """
    # numpy's integers name the same streams as Python's.
    words = [int(index(word)) if not isinstance(word, str) else word for word in (seed, *path)]
    digest = hashlib.blake2b(repr(tuple(words)).encode(), digest_size=8).digest()
    return Generator().manual_seed(int.from_bytes(digest) >> 1)


def rademacher(dim: int, generator: Generator) -> Tensor:
    """Return ``dim`` independent signs, +1 or −1, as int8: callers cast to the operator's dtype."""
    return (
        torch.randint(0, 2, (dim,), generator=generator, dtype=torch.int8, device="cpu")
        .mul_(2)
        .sub_(1)
    )


def gaussian(dim: int, generator: Generator) -> Tensor:
    """Return ``dim`` independent standard normal numbers, float32 whatever the operator's dtype."""
    return torch.randn(dim, generator=generator, dtype=torch.float32, device="cpu")
