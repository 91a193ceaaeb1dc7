"""The monitor in Lightning's trainer; needs Lightning: ``pip install 'sharpscope[lightning]'``."""

import math
from typing import Any

from sharpscope.monitor.core import FlatnessMonitor
from sharpscope.monitor.given import check_monitor

try:
    from lightning.pytorch import Callback, LightningModule, Trainer
except ModuleNotFoundError as error:
    raise ImportError(
        "sharpscope.monitor.lightning needs Lightning: pip install 'sharpscope[lightning]'"
    ) from error


class FlatnessCallback(Callback):
    """Measures flatness while Lightning's trainer trains.

    A step is a step of an optimizer, ``trainer.global_step``, whatever number of batches it takes;
    where several optimizers step in one batch, the monitor is told after the last of them, and a
    step that was due among them is measured then, under the number of the last.
    Under DDP the first process measures; training goes on bit for bit as without it.

    Args:
        monitor: Its subject, or the function from the LightningModule to one, calls the model and
            not ``training_step``, which would log.

    Raises:
        MisuseError: If it is no monitor; when training begins, as from ``FlatnessMonitor.begin``.

    Example:
        >>> import torch, sharpscope as ss
        >>> from sharpscope.monitor import FlatnessMonitor
        >>> def subject(module):
        ...     return ss.Subject(
        ...         module, data, loss=torch.nn.functional.mse_loss, encoders={"ehr": "ehr"}
        ...     )
        >>> data = [(torch.randn(8, 2), torch.randn(8, 1))]
        >>> callback = FlatnessCallback(FlatnessMonitor(subject, when="epoch"))
        >>> callback.monitor.schedule  # Trainer(callbacks=[callback])
        EveryEpochs(epochs=1)
    """

    def __init__(self, monitor: FlatnessMonitor):
        self.monitor = check_monitor(monitor)
        # Steps that the monitor was told of; None where no training is under way.
        self._told: int | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin, or go on where a checkpoint was loaded."""
        self.monitor.begin(
            pl_module,
            optimizer=list(trainer.optimizers),
            step=trainer.global_step,
            epoch=float(trainer.current_epoch),
        )
        self._told = trainer.global_step

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Tell the monitor where the optimizer has stepped."""
        if trainer.global_step == self._told:
            return
        self._told = trainer.global_step
        # Batches of an iterable data set are not counted before its end.
        count = trainer.num_training_batches
        share = (batch_idx + 1) / count if math.isfinite(count) else 0.0
        self.monitor(trainer.global_step, epoch=trainer.current_epoch + share)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Tell the monitor, unless ``max_steps`` or a stop has cut the epoch short."""
        if trainer.is_last_batch:
            self.monitor.epoch(trainer.current_epoch + 1)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Close the monitor."""
        self._close(ended=True)

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Close the monitor, and leave the end of training out of its file."""
        self._close(ended=False)

    def _close(self, *, ended: bool) -> None:
        # What broke off before training began is not the monitor's.
        if self._told is not None:
            self._told = None
            self.monitor.close(ended=ended)
