"""The default of the memory that recordings and graphs may take."""

from pathlib import Path

import pytest
import torch

from sharpscope.errors import MisuseError
from sharpscope.subject import memory
from tests import problems

CPU = torch.device("cpu")


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("_MEMINFO", "_LIMIT", "_USED"):
        monkeypatch.setattr(memory, name, tmp_path / name)
    return tmp_path


def test_half_of_what_is_free(system: Path):
    (system / "_MEMINFO").write_text("MemTotal: 9 kB\nMemAvailable:    4000 kB\n")
    assert memory.default_memory(CPU) == 2000 * 1024


def test_a_container_has_its_own_limit(system: Path):
    (system / "_MEMINFO").write_text("MemAvailable:    4000 kB\n")
    (system / "_LIMIT").write_text("3000000\n")
    (system / "_USED").write_text("1000000\n")
    assert memory.default_memory(CPU) == 1_000_000
    (system / "_LIMIT").write_text("max\n")
    assert memory.default_memory(CPU) == 2000 * 1024


def test_a_system_that_tells_little(system: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(memory.os, "sysconf", lambda name: 1000)
    assert memory.default_memory(CPU) == 1000 * 1000 // 2 // 2
    (system / "_MEMINFO").write_text("MemTotal: 9 kB\n")
    assert memory.default_memory(CPU) == 1000 * 1000 // 2 // 2

    def fails(name: str) -> int:
        raise ValueError

    monkeypatch.setattr(memory.os, "sysconf", fails)
    assert memory.default_memory(CPU) == memory.UNKNOWN // 2 * 2


def test_the_subject_takes_what_it_is_given():
    subject = problems.subject_of(problems.build("tied"), memory=12345)
    assert subject.free_memory() == 12345
    assert problems.subject_of(problems.build("tied"), memory=None).free_memory() > 10**6
    with pytest.raises(MisuseError, match=r"memory must be a whole number of at least 0 \(bytes\)"):
        problems.subject_of(problems.build("tied"), memory=-1)
