"""A small net of two encoders, with dropout and BatchNorm, and what its training leaves behind."""

import random
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Dataset

import sharpscope as ss

ENCODERS = {"ehr": "ehr", "cxr": "cxr"}
# Little is asked of each measurement: what is tested is where they are made, not how well.
QUICK: dict[str, Any] = {"rtol": 0.5, "eigen_rtol": 0.2, "products": 12, "samples": 16}


class Net(nn.Module):
    """Two encoders and a head."""

    def __init__(self):
        super().__init__()
        self.ehr = nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Dropout(0.3))
        self.cxr = nn.Sequential(
            nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Tanh(), nn.Flatten(), nn.Dropout(0.3)
        )
        self.head = nn.Linear(6 + 12, 3)

    def forward(self, ehr: Tensor, cxr: Tensor) -> Tensor:
        """Return logits."""
        return self.head(torch.cat([self.ehr(ehr), self.cxr(cxr)], dim=1))


class Items(Dataset[dict[str, Tensor]]):
    """Items of two modalities with labels."""

    def __init__(self, count: int = 80):
        draw = torch.Generator().manual_seed(3)
        self.ehr = torch.randn(count, 5, generator=draw)
        self.cxr = torch.randn(count, 1, 4, 4, generator=draw)
        self.labels = torch.randint(3, (count,), generator=draw)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, place: int) -> dict[str, Tensor]:
        return {"ehr": self.ehr[place], "cxr": self.cxr[place], "labels": self.labels[place]}

    def batches(self, size: int = 8) -> list[dict[str, Tensor]]:
        """Return all items in batches."""
        parts = zip(*(x.split(size) for x in (self.ehr, self.cxr, self.labels)), strict=True)
        return [{"ehr": ehr, "cxr": cxr, "labels": labels} for ehr, cxr, labels in parts]


def noisy(x: Tensor) -> Tensor:
    """Return it with noise from Python's generator and NumPy's: training depends on both."""
    return x * (1 + 0.01 * random.random()) + 0.01 * float(np.random.standard_normal())


def logits_loss(model: Any, batch: Any) -> Tensor:
    """Return the fusion loss."""
    return F.cross_entropy(model(batch["ehr"], batch["cxr"]), batch["labels"])


def subject_of(model: Any, loss: Any = logits_loss) -> ss.Subject:
    """Return what is watched."""
    return ss.Subject(model, Items().batches(), loss=loss, encoders=ENCODERS)


def seed() -> None:
    """Start every generator."""
    random.seed(1)
    np.random.seed(2)
    torch.manual_seed(3)


def streams() -> list[Any]:
    """Return where the generators are."""
    state: Any = np.random.get_state()
    return [random.getstate(), state[1].tolist(), state[2:], torch.get_rng_state().tolist()]


def plain(value: Any) -> Any:
    """Return nested containers with lists in place of tensors, to be compared bit for bit."""
    if isinstance(value, Tensor):
        return str(value.dtype), value.tolist()
    if isinstance(value, dict):
        return {key: plain(entry) for key, entry in value.items()}  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]  # pyright: ignore[reportUnknownVariableType]
    return value
