"""Points that are on the disk already, so that an interrupted landscape goes on."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from sharpscope.errors import MisuseError
from sharpscope.results import write_whole
from sharpscope.results.landscape import unfinished


class Unfinished:
    """The points measured so far, in a file beside the result to come.

    Args:
        out: The result to come; None keeps nothing.
        settings: What the points depend on: those of another landscape are refused.
        shape: Of the grid.
        scored: Whether a metric is measured as well.

    Attributes:
        spent: Passes and seconds of the runs that the points are of.
    """

    def __init__(
        self,
        out: Path | None,
        settings: dict[str, Any],
        shape: tuple[int, ...],
        *,
        scored: bool = False,
    ):
        self.path = None if out is None else unfinished(out)
        told = json.dumps(settings, sort_keys=True, default=str)
        self._key = hashlib.sha256(told.encode()).hexdigest()
        self.values = np.full(shape, np.nan)
        self.scores = np.full(shape if scored else 0, np.nan)
        self.done = np.zeros(shape, dtype=bool)
        self.spent = (0.0, 0.0)
        if self.path is not None and self.path.is_file():
            self._read(self.path)

    def keep(self, evaluations: float, seconds: float) -> None:
        """Write what is there, whole or not at all.

        Args:
            evaluations: Passes of this run so far.
            seconds: Of this run so far.
        """
        spent = [self.spent[0] + evaluations, self.spent[1] + seconds]
        if self.path is not None:
            write_whole(
                self.path,
                lambda file: np.savez(
                    file,
                    values=self.values,
                    scores=self.scores,
                    done=self.done,
                    spent=np.array(spent),
                    key=self._key,
                ),
            )

    def _read(self, path: Path) -> None:
        try:
            with np.load(path, allow_pickle=False) as found:
                key, values, done = str(found["key"]), found["values"], found["done"]
                scores, spent = found["scores"], found["spent"].tolist()
        except Exception as error:
            raise MisuseError(
                f"{path} cannot be read as the points of a landscape: remove it to begin anew"
            ) from error
        if key != self._key or values.shape != self.values.shape:
            raise MisuseError(
                f"{path} holds points of another landscape (model, data or settings differ): "
                "remove it, or name another --out"
            )
        self.values, self.scores, self.done = values, scores, done
        self.spent = (spent[0], spent[1])
