"""MASAM in a plain training loop: one line of the loop changes.

    python gallery/plain_loop.py

Two encoders, one of which sees much more of the target: it dominates most steps.
"""

from collections import Counter
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from sharpscope.optim import MASAM, Losses


class Model(nn.Module):
    """Two encoders, a head on both embeddings and one on each."""

    def __init__(self):
        super().__init__()
        self.ehr = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 8))
        self.cxr = nn.Sequential(nn.Linear(12, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 8))
        self.fusion = nn.Linear(16, 3)
        self.heads = nn.ModuleDict({"ehr": nn.Linear(8, 3), "cxr": nn.Linear(8, 3)})

    def forward(self, ehr: Tensor, cxr: Tensor, target: Tensor) -> Losses:
        """Return the losses of a batch."""
        z = {"ehr": self.ehr(ehr), "cxr": self.cxr(cxr)}
        fused = self.fusion(torch.cat([z["ehr"], z["cxr"]], dim=1))
        entropy = functional.cross_entropy
        unimodal = {name: entropy(head(z[name]), target) for name, head in self.heads.items()}
        return Losses(entropy(fused, target), unimodal)


def batches(count: int, items: int, seed: int = 0) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Return batches whose first modality shows the class better than the second."""
    generator = torch.Generator().manual_seed(seed)
    found: list[tuple[Tensor, Tensor, Tensor]] = []
    for _ in range(count):
        target = torch.randint(0, 3, (items,), generator=generator)
        ehr = torch.randn(items, 8, generator=generator) + 2.0 * functional.one_hot(target, 8)
        cxr = torch.randn(items, 12, generator=generator) + 0.8 * functional.one_hot(target, 12)
        found.append((ehr, cxr, target))
    return found


def main() -> None:
    """Train for a few epochs and say what each step did."""
    torch.manual_seed(0)
    model, data = Model(), batches(20, 32)
    base = torch.optim.AdamW(model.parameters(), lr=3e-3)
    optimizer = MASAM(base, encoders={"ehr": model.ehr, "cxr": model.cxr}, rho=0.3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=5)
    losses: list[float] = []
    for epoch in range(5):
        dominant: Counter[str | None] = Counter()
        summed = 0.0
        for batch in data:
            step = optimizer.step(partial(model, *batch))
            dominant[step.dominant] += 1
            summed += step.fusion
        schedule.step()
        losses.append(summed / len(data))
        print(f"epoch {epoch + 1}: fusion loss {losses[-1]:.3f}, dominant {dict(dominant)}")
    assert losses[-1] < 0.6 * losses[0]


if __name__ == "__main__":
    main()
