"""The small net in a Lightning trainer, with the monitor or without."""

from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from torch.utils.data import DataLoader

from sharpscope.monitor import FlatnessMonitor
from sharpscope.monitor.lightning import FlatnessCallback
from tests.monitor.towers import (
    QUICK,
    Items,
    Net,
    logits_loss,
    noisy,
    plain,
    seed,
    streams,
    subject_of,
)


class Lit(LightningModule):
    """What Lightning needs to know."""

    def __init__(self):
        super().__init__()
        self.net = Net()
        self.seen: set[torch.dtype] = set()

    def training_step(self, batch: Any, index: int) -> Any:
        """Return the loss."""
        logits = self.net(noisy(batch["ehr"]), batch["cxr"])
        self.seen.add(logits.dtype)
        return torch.nn.functional.cross_entropy(logits.float(), batch["labels"])

    def configure_optimizers(self) -> Any:
        """Return an optimizer with a state and a schedule."""
        optimizer = torch.optim.SGD(self.parameters(), lr=0.05, momentum=0.9)
        return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 2)]


def trainer_of(*monitors: FlatnessMonitor, **settings: Any) -> Trainer:
    usual: dict[str, Any] = {
        "max_epochs": 2,
        "accelerator": "cpu",
        "logger": False,
        "enable_checkpointing": False,
        "enable_model_summary": False,
        "enable_progress_bar": False,
        "callbacks": [FlatnessCallback(monitor) for monitor in monitors],
    }
    return Trainer(**usual | settings)


def loader() -> Any:
    return DataLoader(Items(), batch_size=8, shuffle=True)


def watched(module: Any, loss: Any = logits_loss) -> Any:
    return subject_of(module.net, loss)


def monitor_of(**settings: Any) -> FlatnessMonitor:
    usual: dict[str, Any] = {"subject": watched, "when": 10, "measure": ("trace",), **QUICK}
    return FlatnessMonitor(**usual | settings)


def trained(*monitors: FlatnessMonitor, module: Any = None, **settings: Any) -> Any:
    """Return trainer and module after training."""
    seed()
    module, trainer = module or Lit(), trainer_of(*monitors, **settings)
    trainer.fit(module, loader())
    return trainer, module


def left_by(trainer: Any, module: Any) -> Any:
    states = [optimizer.state_dict() for optimizer in trainer.optimizers]
    return plain(module.state_dict()), plain(states), streams()
