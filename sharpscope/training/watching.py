"""What may watch a training run from outside."""

from typing import Any, Protocol

from torch import nn


class Watching(Protocol):
    """Looks on and changes nothing, such as ``sharpscope.monitor.FlatnessMonitor``."""

    def begin(
        self,
        model: nn.Module | None = None,
        *,
        optimizer: Any = None,
        step: int = 0,
        epoch: float | None = None,
    ) -> None:
        """See the model before the first step, or the next one of a run that is taken up."""
        ...

    def __call__(self, step: int | None = None, *, epoch: float | None = None) -> None:
        """See the model after a step."""
        ...

    def epoch(self, number: int) -> None:
        """See it after an epoch."""
        ...

    def close(self, *, ended: bool = True) -> Any:
        """Hear that there is no more, and whether training came to its end."""
        ...
