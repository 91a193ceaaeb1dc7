"""MASAM in Lightning, by manual optimization: the same weights as a plain loop, bit for bit.

python gallery/lightning_loop.py
"""

import copy
import logging
from functools import partial
from typing import Any

import torch
from lightning import LightningModule, Trainer
from plain_loop import Model, batches
from torch.utils.data import DataLoader

from sharpscope.optim import MASAM

EPOCHS, RATE = 3, 3e-3


class Training(LightningModule):
    """What Lightning needs to know."""

    def __init__(self, model: Model):
        super().__init__()
        self.automatic_optimization = False  # the optimizer differentiates
        self.model = model
        self.dominant: list[str | None] = []

    def configure_optimizers(self) -> Any:
        """Wrap the base optimizer; a schedule takes the wrapped one."""
        base = torch.optim.AdamW(self.model.parameters(), lr=RATE)
        encoders = {"ehr": self.model.ehr, "cxr": self.model.cxr}
        optimizer = MASAM(base, encoders=encoders, rho=0.3)
        return [optimizer], [torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=EPOCHS)]

    def training_step(self, batch: Any, index: int) -> None:
        """Hand the closure to the optimizer: forward only, it returns the losses."""
        optimizer: Any = self.optimizers()
        step = optimizer.step(partial(self.model, *batch))
        self.dominant.append(step.dominant)
        self.log("fusion", step.fusion)

    def on_train_epoch_end(self) -> None:
        """Step the schedule, as manual optimization asks."""
        schedule: Any = self.lr_schedulers()
        schedule.step()


def plainly(model: Model, data: Any) -> None:
    """Train the same without Lightning."""
    base = torch.optim.AdamW(model.parameters(), lr=RATE)
    optimizer = MASAM(base, encoders={"ehr": model.ehr, "cxr": model.cxr}, rho=0.3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=EPOCHS)
    for _ in range(EPOCHS):
        for batch in data:
            optimizer.step(partial(model, *batch))
        schedule.step()


def main() -> None:
    """Train both ways and compare."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    torch.manual_seed(0)
    model, data = Model(), batches(20, 32)
    other = copy.deepcopy(model)
    training = Training(model)
    trainer = Trainer(
        max_epochs=EPOCHS,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
    )
    # With a generator of its own, or the loader would draw its seed from the stream of dropout.
    loader: Any = DataLoader(data, batch_size=None, generator=torch.Generator())  # pyright: ignore[reportArgumentType]
    torch.manual_seed(1)
    trainer.fit(training, loader)
    torch.manual_seed(1)
    other.train()
    plainly(other, data)
    pairs = zip(model.state_dict().values(), other.state_dict().values(), strict=True)
    assert all(torch.equal(one, two) for one, two in pairs)
    assert trainer.global_step == EPOCHS * len(data)
    print(f"{trainer.global_step} steps, the same weights as a plain loop bit for bit")


if __name__ == "__main__":
    main()
