"""What an adapter of a training framework is given."""

from typing import Any

from sharpscope.errors import MisuseError
from sharpscope.monitor.core import FlatnessMonitor


def check_monitor(given: Any) -> FlatnessMonitor:
    """Return a monitor as it is.

    Raises:
        MisuseError: If it is something else.
    """
    if not isinstance(given, FlatnessMonitor):
        raise MisuseError(
            "FlatnessCallback takes a FlatnessMonitor, such as FlatnessMonitor(subject); got "
            f"{type(given).__name__}"
        )
    return given
