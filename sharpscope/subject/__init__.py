"""Stage 1: what is under the scope, who owns its parameters, and how it is held still."""

from sharpscope.subject.losses import NAMED_LOSSES as NAMED_LOSSES
from sharpscope.subject.losses import BatchLoss as BatchLoss
from sharpscope.subject.losses import LossSum as LossSum
from sharpscope.subject.proof import Census as Census
from sharpscope.subject.selection import Selection as Selection
from sharpscope.subject.subject import Subject as Subject

__all__ = ["NAMED_LOSSES", "BatchLoss", "Census", "LossSum", "Selection", "Subject"]
