"""The last measurement as one line in the terminal."""

from collections.abc import Mapping
from typing import Any

from sharpscope.lazy import imported
from sharpscope.monitor.sinks import Line, Sink
from sharpscope.results.monitor import END, EVENT, FAILURE, MEASUREMENT
from sharpscope.results.record import significant
from sharpscope.results.trace import with_error


class LiveLine(Sink):
    """One line on stderr that is written anew with each measurement.

    Where that is no terminal, each measurement has a line of its own. Events and failures stay.
    """

    def __init__(self, console: Any = None):
        self._console = console or imported("rich.console").Console(stderr=True, highlight=False)
        self._live: Any = None

    def write(self, line: Line) -> None:
        """Show a measurement; print an event or a failure above it."""
        if line["kind"] == MEASUREMENT:
            self._show(in_words(line))
        elif line["kind"] == EVENT:
            self._console.print(f"step {line['step']:,}: {line['text']}", markup=False)
        elif line["kind"] == FAILURE:
            self._console.print(f"step {line['step']:,}: {line['reason']}", markup=False)
        elif line["kind"] == END:
            self.close()

    def close(self) -> None:
        """Leave the last line where it stands."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _show(self, text: str) -> None:
        if not self._console.is_terminal:
            self._console.print(text, markup=False, soft_wrap=True)
            return
        shown = imported("rich.text").Text(text, no_wrap=True, overflow="ellipsis")
        if self._live is None:
            live = imported("rich.live").Live
            self._live = live(shown, console=self._console, auto_refresh=False)
            self._live.start()
        self._live.update(shown, refresh=True)


def in_words(line: Mapping[str, Any]) -> str:
    """Return a measurement in one line.

    Example:
        >>> in_words({"step": 1200, "seconds": 90.0, "spent": 3.6, "encoders": {
        ...     "image": {"trace": 90.3, "standard_error": 2.1, "lambda_max": 20.4}}})
        'step 1,200 · image tr 90.3 ± 2.1 λ 20.4 · cost 4 %'
    """
    parts = [f"step {line['step']:,}"]
    for name, entry in line["encoders"].items():
        told = name
        if "trace" in entry:
            told += f" tr {with_error(entry['trace'], entry['standard_error'])}"
        if entry.get("lambda_max") is not None:
            told += f" λ {significant(entry['lambda_max'], 3)}"
        if entry.get("alignment") is not None:
            told += f" γ {entry['alignment']:.2f}"
        parts.append(told)
    if line.get("seconds"):
        parts.append(f"cost {100 * line['spent'] / line['seconds']:.3g} %")
    return " · ".join(parts)
