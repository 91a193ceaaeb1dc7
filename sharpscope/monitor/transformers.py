"""The monitor in the Trainer of transformers: ``pip install 'sharpscope[transformers]'``."""

import math
from typing import Any

from sharpscope.monitor.core import FlatnessMonitor
from sharpscope.monitor.given import check_monitor
from sharpscope.subject.door import original

try:
    from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
except ModuleNotFoundError as error:
    raise ImportError(
        "sharpscope.monitor.transformers needs transformers: pip install 'sharpscope[transformers]'"
    ) from error


class FlatnessCallback(TrainerCallback):
    """Measures flatness while the Trainer of transformers trains.

    A step is a step of the optimizer, ``state.global_step``, whatever number of batches it takes.
    The model is measured as it was before accelerate wrapped it, in the dtype of its parameters.
    In several processes the first one measures; training goes on bit for bit as without it.

    The Trainer tells callbacks of no error: where one ends training, the file holds what was
    measured until then.

    Args:
        monitor: Its subject, or the function from the model to one.

    Raises:
        MisuseError: If it is no monitor; when training begins, as from ``FlatnessMonitor.begin``.

    Example:
        >>> import torch, sharpscope as ss
        >>> from sharpscope.monitor import FlatnessMonitor
        >>> def subject(model):
        ...     return ss.Subject(
        ...         model, data, loss=lambda m, batch: m(**batch)["loss"], encoders={"ehr": "ehr"}
        ...     )
        >>> data = [{"ehr": torch.randn(8, 2), "labels": torch.randn(8, 1)}]
        >>> callback = FlatnessCallback(FlatnessMonitor(subject, when="epoch"))
        >>> callback.monitor.schedule  # Trainer(..., callbacks=[callback])
        EveryEpochs(epochs=1)
    """

    def __init__(self, monitor: FlatnessMonitor):
        self.monitor = check_monitor(monitor)

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Begin, or go on where a checkpoint was loaded."""
        self.monitor.begin(
            original(kwargs["model"]),
            optimizer=kwargs["optimizer"],
            step=state.global_step,
            epoch=float(state.epoch or 0.0),
        )

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Tell the monitor that the optimizer has stepped."""
        self.monitor(state.global_step, epoch=state.epoch)

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Tell the monitor, unless ``max_steps`` or a stop has cut the epoch short."""
        done = state.epoch or 0.0
        # Of a data set without a length the share is one of all steps and never whole.
        if done and (done.is_integer() or not control.should_training_stop):
            self.monitor.epoch(math.ceil(done))

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Close the monitor."""
        self.monitor.close()
