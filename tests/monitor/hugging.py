"""The tiny BERT and its image encoder in a Trainer of transformers, watched or not."""

from pathlib import Path
from typing import Any

from transformers import Trainer, TrainerCallback, TrainingArguments

import sharpscope as ss
from sharpscope.monitor import FlatnessMonitor
from sharpscope.monitor.transformers import FlatnessCallback
from tests.monitor.bert import ENCODERS, Captions, Pair, loss_of
from tests.monitor.towers import QUICK, plain, seed, streams


class Noting(TrainerCallback):
    """Keeps the random streams at the end of training: the Trainer draws from them afterwards."""

    def on_train_end(self, *_: Any, **__: Any) -> None:
        """Keep them."""
        self.streams = streams()


def trainer_of(folder: Path, *monitors: FlatnessMonitor, model: Any = None, **settings: Any) -> Any:
    arguments: dict[str, Any] = {
        "output_dir": str(folder),
        "num_train_epochs": 2,
        "per_device_train_batch_size": 8,
        "learning_rate": 0.01,
        "use_cpu": True,
        "report_to": "none",
        "save_strategy": "no",
        "disable_tqdm": True,
    }
    kind = settings.pop("kind", Trainer)
    seed()
    return kind(
        model or Pair(),
        TrainingArguments(**arguments | settings),
        train_dataset=Captions(),
        callbacks=[*(FlatnessCallback(monitor) for monitor in monitors), Noting()],
    )


def watched(model: Any, loss: Any = loss_of) -> ss.Subject:
    return ss.Subject(model, Captions().batches(), loss=loss, encoders=ENCODERS)


def monitor_of(**settings: Any) -> FlatnessMonitor:
    usual: dict[str, Any] = {"subject": watched, "when": 10, "measure": ("trace",), **QUICK}
    return FlatnessMonitor(**usual | settings)


def trained(*arguments: Any, **settings: Any) -> Any:
    """Return the trainer after training."""
    trainer = trainer_of(*arguments, **settings)
    trainer.train()
    return trainer


def left_by(trainer: Any) -> Any:
    (noted,) = [one for one in trainer.callback_handler.callbacks if isinstance(one, Noting)]
    optimizer = trainer.optimizer.state_dict()
    return plain(trainer.model.state_dict()), plain(optimizer), noted.streams
