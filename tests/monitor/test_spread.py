"""Which processes measure, and that parameters spread over them are refused in every one."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import distributed
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import distribute_tensor

from sharpscope.errors import MisuseError
from sharpscope.monitor import FlatnessMonitor
from tests.monitor.towers import Net, subject_of

REFUSED = (
    r"parameter 'ehr.0.weight' is spread over processes \(FSDP, ZeRO-3, tensor parallel\), and the "
    "monitor measures in one: train with DDP, or measure checkpoints"
)


@pytest.mark.parametrize("mark", ["_fsdp_flattened", "ds_id"])
def test_what_frameworks_have_cut_up(mark: str):
    net: Any = Net()
    setattr(net.ehr[0].weight, mark, 1)
    with pytest.raises(MisuseError, match=REFUSED):
        FlatnessMonitor(subject_of).begin(net)


def test_a_process_that_would_not_measure_refuses_as_well(monkeypatch: pytest.MonkeyPatch):
    net: Any = Net()
    subject: Any = subject_of(net)
    net.ehr[0].weight.ds_id = 1
    monkeypatch.setattr(FlatnessMonitor, "active", False)
    with pytest.raises(MisuseError, match=REFUSED):
        FlatnessMonitor(subject)(1)


def test_a_process_that_does_not_measure_does_not_begin_when_the_group_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    net: Any = Net()
    monitor = FlatnessMonitor(subject_of(net), out=tmp_path / "run.jsonl")
    with monkeypatch.context() as group:
        group.setattr(distributed, "is_initialized", lambda: True)
        group.setattr(distributed, "get_rank", lambda: 1)
        monitor(1)
        assert not monitor.active
    assert monitor.close().steps == []
    assert not monitor.active
    assert not (tmp_path / "run.jsonl").exists()


def test_distributed_tensors(tmp_path: Path):
    distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path}/meet", rank=0, world_size=1
    )
    try:
        net: Any = Net()
        spread = distribute_tensor(net.ehr[0].weight, init_device_mesh("cpu", (1,)))
        net.ehr[0].weight = torch.nn.Parameter(spread)
        with pytest.raises(MisuseError, match=REFUSED):
            FlatnessMonitor(subject_of).begin(net)
    finally:
        distributed.destroy_process_group()
