"""PyHessian itself: imported when it is asked for, quiet, and seeded by a named stream."""

import warnings
from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import numpy as np
import torch

from sharpscope.errors import MisuseError
from sharpscope.streams import stream

# Its own rules end a run when a number moved little, which says nothing of the number's error.
NEVER = float("-inf")


def library() -> Any:
    """Return the module ``pyhessian``.

    Raises:
        MisuseError: If it is not installed, with the command that installs it.
    """
    try:
        return import_module("pyhessian")
    except ImportError as error:
        raise MisuseError(
            "engine 'pyhessian' needs PyHessian: pip install \".[engines]\" in its folder"
        ) from error


@contextmanager
def quiet() -> Generator[None]:
    """Silence what PyHessian is known to cause inside the block, and nothing else.

    It differentiates with ``backward(create_graph=True)``, of which torch warns; and its stopping
    rule, which decides nothing here, subtracts and divides numbers that need not be finite.
    """
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.filterwarnings("ignore", message=r"Using backward\(\) with create_graph=True")
        yield


def seed_torch(seed: int, name: str, device: torch.device) -> int:
    """Seed torch's global generators, from which PyHessian draws, and return the number used.

    Only inside a session, which gives the user's random state back. ``torch.manual_seed`` would
    moreover leave a seed for GPUs that nothing has used yet, and that no session could take back.
    """
    number = stream(seed, "pyhessian", name).initial_seed()
    torch.default_generator.manual_seed(number)
    if device.type == "cuda":
        torch.cuda.manual_seed_all(number)
    return number
