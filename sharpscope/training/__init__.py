"""Training of recipes, metrics of what was trained, and the checkpoints that carry both."""

from sharpscope.results import check_writable as check_writable
from sharpscope.training.heads import fit_heads as fit_heads
from sharpscope.training.history import Epoch as Epoch
from sharpscope.training.keeping import FORMAT as FORMAT
from sharpscope.training.keeping import FORMAT_VERSION as FORMAT_VERSION
from sharpscope.training.metrics import evaluate as evaluate
from sharpscope.training.reading import record_of as record_of
from sharpscope.training.reading import run_record as run_record
from sharpscope.training.saving import checkpoint as checkpoint
from sharpscope.training.saving import save_checkpoint as save_checkpoint
from sharpscope.training.trainer import Trained as Trained
from sharpscope.training.trainer import train as train

__all__ = [
    "FORMAT",
    "FORMAT_VERSION",
    "Epoch",
    "Trained",
    "check_writable",
    "checkpoint",
    "evaluate",
    "fit_heads",
    "record_of",
    "run_record",
    "save_checkpoint",
    "train",
]
