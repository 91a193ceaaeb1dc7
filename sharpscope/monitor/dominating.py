"""What the steps of M-SAM and MASAM said of each modality since it was last written down."""

from collections.abc import Sequence
from typing import Any

from sharpscope.errors import MisuseError
from sharpscope.optim import MASAMStep, MSAMStep, Step
from sharpscope.training.stepping import Tally


class Dominance:
    """Adds up what steps say: how often each modality dominated, and means of the rest.

    The words are those of a run's history: ``dominant``, ``alignment``, ``shares``, ``scores``.

    Args:
        modalities: The encoders that are watched.
    """

    def __init__(self, modalities: Sequence[str]):
        self._modalities = modalities
        self._tally, self._steps = Tally(), 0

    def note(self, record: Step) -> None:
        """Add one step; one of a method that looks at no modality says nothing.

        Raises:
            MisuseError: If it speaks of a modality that is not watched.
        """
        if not isinstance(record, MSAMStep | MASAMStep):
            return
        named = record.shares if isinstance(record, MSAMStep) else record.scores
        others = [name for name in named if name not in self._modalities]
        if others:
            raise MisuseError(
                f"the step is of the encoders {', '.join(named)}, and the monitor watches "
                f"{', '.join(self._modalities)}: give both the same names"
            )
        self._tally.note(record)
        self._steps += 1

    def taken(self) -> dict[str, Any]:
        """Return what was added, and begin anew; empty where it was nothing."""
        tally, steps = self._tally, self._steps
        self._tally, self._steps = Tally(), 0
        means = {word: tally.mean_words(word) for word in tally.means}
        return {"steps": steps, "dominant": tally.dominant, **means} if steps else {}


def check_record(record: Any) -> None:
    """Raise unless it is what an optimizer's step returns, or nothing.

    Raises:
        MisuseError: If it is something else.
    """
    if record is not None and not isinstance(record, Step):
        raise MisuseError(
            "record must be what optimizer.step(...) of sharpscope's MSAM or MASAM returned; got "
            f"{type(record).__name__}"
        )
