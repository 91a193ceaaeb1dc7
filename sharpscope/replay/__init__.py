"""Record once what stands still, play it back: one mechanism for all who visit a batch again."""

from sharpscope.replay.calls import random_states, set_random_states
from sharpscope.replay.features import Features, Reel
from sharpscope.replay.masked import MASKS, MaskedPasses
from sharpscope.replay.reach import has_node, reached
from sharpscope.replay.tape import ReplayRefused, Tape

__all__ = [
    "MASKS",
    "Features",
    "MaskedPasses",
    "Reel",
    "ReplayRefused",
    "Tape",
    "has_node",
    "random_states",
    "reached",
    "set_random_states",
]
