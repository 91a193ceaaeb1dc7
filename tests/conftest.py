"""Settings of every test: one thread, no state left behind in torch.

With ``SHARPSCOPE_TEST_REPLAY=off`` in the environment (``make test-plain``) nothing is played back
and no graph is kept unless a test asks for it: every other number must be the same.
``SHARPSCOPE_TEST_DEVICE=cuda`` (``make gpu``) makes models, data and vectors on that device, and
``SHARPSCOPE_TEST_DTYPE=float64`` in that dtype, wherever a test does not say otherwise.
"""

import os
from collections.abc import Generator
from typing import Any

import pytest
import torch

from sharpscope.subject import Subject
from sharpscope.subject.rebuild import load_subject


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Tiny tensors lose time to thread pools, and two cores are shared."""
    torch.set_num_threads(1)


def pytest_configure() -> None:
    """Make tensors on the device and in the dtype that the environment names.

    Before anything is collected: some modules make their data when they are imported.
    """
    if device := os.environ.get("SHARPSCOPE_TEST_DEVICE"):
        torch.set_default_device(device)
    if dtype := os.environ.get("SHARPSCOPE_TEST_DTYPE"):
        torch.set_default_dtype(getattr(torch, dtype))


@pytest.fixture(autouse=True, scope="session")
def economy() -> None:
    """Switch replay and kept graphs off by default where the environment says so."""
    if os.environ.get("SHARPSCOPE_TEST_REPLAY") == "off":
        functions: tuple[Any, ...] = (Subject.__init__, load_subject)
        for function in functions:
            function.__kwdefaults__ |= {"replay": False, "memory": 0}


@pytest.fixture(autouse=True)
def same_start() -> Generator[None]:
    """Start each test from the same random state, and prove that kernels are switched back."""
    torch.manual_seed(0)
    fast, cudnn = torch.backends.mha.get_fastpath_enabled(), torch.backends.cudnn.enabled
    yield
    assert torch.backends.mha.get_fastpath_enabled() == fast
    assert torch.backends.cudnn.enabled == cudnn


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a GPU where there is none, and say so."""
    if not torch.cuda.is_available():
        for item in items:
            if "gpu" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="needs CUDA"))
