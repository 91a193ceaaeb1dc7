"""Steps of the optimizer, as a loop tells them."""

import warnings


class Steps:
    """Counts steps so that they never go back, unless training is taken up again.

    Attributes:
        done: Steps of the optimizer so far.
    """

    def __init__(self) -> None:
        self.done = 0
        self._epochs_before = 0  # steps of epochs before, in a loop that counts anew in each
        self._warned = False

    def begin(self, done: int) -> None:
        """Count from a step on; a loop tells its steps from the first one of training."""
        self.done, self._epochs_before = done, 0

    def add(self, told: int | None) -> int:
        """Count a step, and return how many there were before it.

        Args:
            told: How many there were with it; None where nobody tells.
        """
        before = self.done
        if told is None:
            self.done += 1
            return before
        if self._epochs_before + told < self.done:
            first = max(told, 1)  # also in a loop that counts from 0
            self._epochs_before = self.done + first - told
            self._warn(told)
        self.done = self._epochs_before + told
        return before

    def _warn(self, told: int) -> None:
        if self._warned:
            return
        self._warned = True
        warnings.warn(
            f"step {told:,} was told to the monitor after step {self.done:,}: it counts on with "
            f"step {self._epochs_before + told:,}; count steps through all epochs, or say "
            "begin(step=...) where training is taken up again",
            stacklevel=2,
        )
