"""The places that ``sinks=`` means."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sharpscope.errors import MisuseError
from sharpscope.monitor.sinks import CSV, Calling, Sink

_ALLOWED = "a .csv file, a Sink or a function log(dict, step)"


def sinks_of(places: Any) -> list[Sink]:
    """Return the sinks that something means.

    Args:
        places: One place, or several.

    Raises:
        MisuseError: If one is none, or cannot be written.
    """
    if isinstance(places, str | Path | Sink) or callable(places):
        return [sink_of(places)]
    if not isinstance(places, Iterable):
        raise MisuseError(f"sinks must be {_ALLOWED}, or several; got {type(places).__name__}")
    several: Iterable[Any] = places
    return [sink_of(one) for one in several]


def sink_of(where: Any) -> Sink:
    """Return the sink that something means.

    Args:
        where: A sink; a path to a ``.csv`` file; or a function ``log(dict, step)``.

    Raises:
        MisuseError: If it is none of these, or cannot be written.
    """
    if isinstance(where, Sink):
        return where
    if isinstance(where, str | Path):
        if Path(where).suffix == ".csv":
            return CSV(where)
        raise MisuseError(
            f"a sink must be {_ALLOWED}; got {str(where)!r}: the lines of JSON go to out=, "
            "TensorBoard's to TensorBoard(folder)"
        )
    if isinstance(where, type):
        raise MisuseError(f"a sink must be {_ALLOWED}; got the class {where.__name__}: call it")
    if callable(where):
        return Calling(where)
    raise MisuseError(f"a sink must be {_ALLOWED}; got {type(where).__name__}")
