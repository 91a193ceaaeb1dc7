"""Stage 1: what is under the scope, who owns its parameters, and how it is held still."""

from sharpscope.subject.checkpoints import Checkpoint as Checkpoint
from sharpscope.subject.checkpoints import read_checkpoint as read_checkpoint
from sharpscope.subject.drafts import write_draft as write_draft
from sharpscope.subject.losses import NAMED_LOSSES as NAMED_LOSSES
from sharpscope.subject.losses import BatchLoss as BatchLoss
from sharpscope.subject.losses import LossSum as LossSum
from sharpscope.subject.proof import Census as Census
from sharpscope.subject.rebuild import LoadedModel as LoadedModel
from sharpscope.subject.rebuild import load_model as load_model
from sharpscope.subject.rebuild import load_subject as load_subject
from sharpscope.subject.selection import Selection as Selection
from sharpscope.subject.subject import Subject as Subject

__all__ = [
    "NAMED_LOSSES",
    "BatchLoss",
    "Census",
    "Checkpoint",
    "LoadedModel",
    "LossSum",
    "Selection",
    "Subject",
    "load_model",
    "load_subject",
    "read_checkpoint",
    "write_draft",
]
