"""A plane of two encoders: each is run once for each of its own coordinates."""

import functools
import itertools
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from sharpscope.replay import ReplayRefused, Tape
from sharpscope.results import LandscapeResult
from sharpscope.subject.losses import BatchLoss
from sharpscope.subject.points import Points

_VISITS = 2  # until a batch is on a tape, if it ever is


class Crossed:
    """The loss at ``θ + x d_x + y d_y``, cheaper where x moves one encoder and y another.

    What one encoder computes depends on x alone, and the other's on y alone: a tape for each
    coordinate holds what does not depend on the other encoder. The passes along the diagonal
    record both, and all points play both back. Whatever depends on both encoders is run.

    Args:
        points: Inside a session.
        directions: The displacement at 1 along each axis, ``[dim]`` each.
        grid: Coordinates along each axis.
        names: The two Selections, x first; none where axes move anything else.

    Example:
        >>> import sharpscope as ss, torch
        >>> from sharpscope.subject.points import Points
        >>> model = torch.nn.ModuleDict({n: torch.nn.Linear(1, 1) for n in "ab"})
        >>> def loss(model, batch):
        ...     return (model["a"](batch) + model["b"](batch)).square().mean()
        >>> data = [torch.ones(2, 1)]
        >>> replayed = {"replay": True, "memory": 10**6}
        >>> subject = ss.Subject(model, data, loss=loss, encoders={"a": "a", "b": "b"}, **replayed)
        >>> points = Points(subject, "a+b")
        >>> d = torch.eye(4, dtype=torch.float64)
        >>> with points.session():
        ...     crossed = Crossed(points, [d[0], d[2]], [np.arange(3.0), np.arange(3.0)], "ab")
        ...     found = crossed.value((1, 2), 2 * d[0] + d[2])
        ...     crossed.played, abs(found - points.value(2 * d[0] + d[2])) < 1e-6
        (('a', 'b'), True)
    """

    def __init__(
        self,
        points: Points,
        directions: Sequence[Tensor],
        grid: Sequence[np.ndarray],
        names: Sequence[str],
    ):
        self._points, self._directions, self._grid = points, directions, grid
        self._names = names
        self._able = bool(names) and points.subject.replay and not points.recalibrates
        self._refusal = ""
        self._tapes: tuple[list[Tape], list[Tape]] | None = None

    @property
    def played(self) -> tuple[str, ...]:
        """The modules that are played back."""
        tapes = [column[0] for column in self._tapes or ()]
        names = (name for tape in tapes for name in tape.played)
        return tuple(dict.fromkeys((*self._points.replayed, *names)))

    def told(self, result: LandscapeResult) -> LandscapeResult:
        """Return a result of these points that says what was played back, and why where nothing."""
        refused = (f"Both encoders were run at every point: {self._refusal}.",)
        notes = (*result.notes, *(refused if self._refusal else ()))
        return replace(result, replayed=self.played, notes=notes)

    def value(self, place: Sequence[int], displacement: Tensor | None) -> float:
        """Return the loss at a place of the grid.

        Args:
            place: Numbers of the coordinates, x last.
            displacement: The same; None where the model is unmodified.
        """
        if not self._able or displacement is None:
            return self._points.value(displacement)
        try:
            if self._tapes is None:
                self._tapes = self._recorded()
                self._prove(*self._tapes)
            y, x = place
            sums = self._sums(x, y, (self._tapes[0][x], self._tapes[1][y]))
        except ReplayRefused as refused:
            self._refusal, self._able, self._tapes = str(refused), False, None
            return self._points.value(displacement)
        self._points.evaluations += 1
        # Not fsum where infinities of both signs would meet: it raises.
        total = math.fsum(sums) if all(map(math.isfinite, sums)) else sum(sums)
        return total / self._points.census.weight

    def _recorded(self) -> tuple[list[Tape], list[Tape]]:
        """Return a tape for each x and for each y, recorded along the diagonal.

        Raises:
            ReplayRefused: If there is nothing to play back.
        """
        subject, sizes = self._points.subject, [len(along) for along in self._grid]
        loss, memory = self._points.batch_loss, subject.free_memory() / sum(sizes)
        with torch.no_grad():
            _, batch, _ = next(subject.visits(loss))
        tapes: list[list[Tape]] = []
        for name, size in zip(reversed(self._names), sizes, strict=True):
            surveyed = subject.tape(subject.select(name))
            with torch.no_grad():
                surveyed.survey(functools.partial(loss, subject.model, batch))
            tapes.append([surveyed.blank(memory=memory) for _ in range(size)])
        for place in range(max(sizes)):
            x, y = (min(place, size - 1) for size in sizes)
            self._record(x, y, tapes[0][x], tapes[1][y])
        if not any(column[0].played for column in tapes):
            raise ReplayRefused("nothing in them stands still while the other one moves")
        return tapes[0], tapes[1]

    def _record(self, x: int, y: int, *tapes: Tape) -> None:
        """Record a point on the tapes that are blank.

        Raises:
            ReplayRefused: If that does not come to an end.
        """
        numbers = range(1, self._points.census.batches + 1)
        if not any(tape.knows(1) for tape in tapes):
            self._sums(x, y, tapes)
        for tape in tapes:  # alone: one that plays would hide what its encoder's outputs are
            for _ in range(_VISITS):
                if not all(map(tape.knows, numbers)):
                    self._sums(x, y, (tape,))
            if tape.refusal or not all(map(tape.knows, numbers)):
                raise ReplayRefused(tape.refusal or "outputs are changed after they were recorded")

    def _prove(self, along_x: Sequence[Tape], along_y: Sequence[Tape]) -> None:
        """Compare a point off the diagonal with a plain pass, batch by batch.

        Raises:
            ReplayRefused: If they differ.
        """
        x, y = 0, len(along_y) - 1
        played = self._sums(x, y, (along_x[x], along_y[y]))
        plain = self._sums(x, y, ())
        slack = self._points.census.slack
        for number, (one, other) in enumerate(zip(plain, played, strict=True), start=1):
            same = one == other or abs(one - other) <= slack * abs(one)
            if not (same or (math.isnan(one) and math.isnan(other))):
                raise ReplayRefused(f"batch {number} has the loss {one:.9g} and {other:.9g}")

    def _sums(self, x: int, y: int, tapes: Sequence[Tape]) -> list[float]:
        """Return the loss sum of each batch at a place."""
        subject, selection = self._points.subject, self._points.selection
        steps = [float(self._grid[0][x]), float(self._grid[1][y])]
        moved = steps[0] * self._directions[0] + steps[1] * self._directions[1]
        loss, reading = self._points.batch_loss, self._points.reading
        if reading is not None:
            reading.clear()
        for tape in tapes:
            loss = _taped(loss, tape)
        sums: list[float] = []
        with torch.no_grad(), selection.displaced(moved.to(subject.device, self._points.dtype)):
            for _, _, value in subject.visits(loss):
                sums.append(value.total.item())
                if reading is not None:
                    reading.keep()
        return sums


def _taped(loss: BatchLoss, tape: Tape) -> BatchLoss:
    """Return a loss that plays a tape, or records it; batches come in their order."""
    numbers = itertools.count(1)
    return lambda model, batch: tape.run(next(numbers), functools.partial(loss, model, batch))
