"""Record once what stands still, play it back: one mechanism for all who visit a batch again."""

from sharpscope.replay.tape import ReplayRefused, Tape

__all__ = ["ReplayRefused", "Tape"]
