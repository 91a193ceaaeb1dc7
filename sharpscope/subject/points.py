"""The loss at points around the parameters: what sharpness and landscapes are made of."""

import functools
import math
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from sharpscope.errors import SubjectError
from sharpscope.replay import ReplayRefused, Tape
from sharpscope.subject.calibration import Calibration
from sharpscope.subject.losses import BatchLoss, LossSum
from sharpscope.subject.proof import Census
from sharpscope.subject.quick import Quick
from sharpscope.subject.reading import Apart, Reading
from sharpscope.subject.remarks import remarks
from sharpscope.subject.single import OneBatch, Slope, told_apart
from sharpscope.subject.subject import Subject

T = TypeVar("T")


class Points:
    """The mean loss of a subject at displaced parameters of one Selection.

    The loss at no displacement is that of the unmodified model. What does not depend on the
    Selection is played back, after a comparison with plain passes at the first displaced point;
    where there is no gradient, norms are folded and attention is fused, after another one.

    Args:
        subject: What is under the scope.
        modality: Name of the Selection.
        loss: Name of the loss.
        recalibrate: Take the statistics of BatchNorm anew at every point of ``value``, where
            nothing is displaced as well.
        predictions: Note what the model predicts in every pass of ``value``.

    Attributes:
        selection: The parameters that move.
        census: What is in the data, inside a session.
        evaluations: Passes over the data so far, with or without a gradient.
        reading: The predictions of the pass that came last, where they are noted.
        batch_loss: The loss of a batch, which notes them.
    """

    census: Census

    def __init__(
        self,
        subject: Subject,
        modality: str,
        *,
        loss: str = "fusion",
        recalibrate: bool = False,
        predictions: bool = False,
    ):
        self.subject = subject
        self.selection = subject.select(modality)
        self.loss = loss
        self.reading = Reading(subject, loss) if predictions else None
        self.batch_loss: BatchLoss = self.reading or subject.loss(loss)
        self.evaluations = 0.0
        self._tape: Tape | None = None
        self._calibration = Calibration(subject, self.batch_loss) if recalibrate else None
        self._compared: set[tuple[int, bool]] = set()
        self._frozen = self.selection.frozen
        self._used: list[bool] = []

    @property
    def dim(self) -> int:
        """Number of parameters that move."""
        return self.selection.dim

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of the parameters inside a session."""
        return self.subject.dtype or self.selection.parameters[0].dtype

    @contextmanager
    def session(self) -> Generator[None]:
        """Hold the subject still for many points, after a proof that it does stand still."""
        self._frozen = self.selection.frozen
        with self.subject.studying(self.selection):
            # Before the proof, whose plain passes have most of the kept memory's gain.
            self._quick = Quick(self.subject.model, enabled=self.subject.replay)
            self._tape = self.subject.tape(self.selection)
            self.census = self.subject.census(self.batch_loss, tape=self._tape)
            self._compared = set()
            if self._calibration is not None:
                self._calibration.begin(self.subject.tape(self.selection))
                moving = self._calibration.buffers
                self._tape = self.subject.tape(self.selection, more=moving)  # with these statistics
            try:
                yield
            finally:
                self._tape = None

    @property
    def recalibrates(self) -> bool:
        """Whether the statistics of BatchNorm are taken anew at every point."""
        return self._calibration is not None

    @property
    def replayed(self) -> tuple[str, ...]:
        """Modules that are played back."""
        return self._tape.played if self._tape else ()

    def notes(self) -> tuple[str, ...]:
        """Return what a result should say of the subject and the replay."""
        told = remarks(
            self.selection,
            asked=self.subject.samples,
            there=self.census.samples,
            frozen=self._frozen,
            used=self._used,
            tape=self._tape,
        )
        others = (*self._quick.notes(), *(self.reading.notes() if self.reading else ()))
        anew = self._calibration.notes() if self._calibration else ()
        return (*self.subject.notes, *told, *others, *anew)

    def value(self, displacement: Tensor | None) -> float:
        """Return the mean loss with the parameters moved by a flat vector ``[dim]``.

        Not finite stays not finite.

        Args:
            displacement: How far; None where the model is unmodified.
        """
        if displacement is None and self.reading is None and self._calibration is None:
            return self.census.loss_value
        moved = torch.zeros(self.dim) if displacement is None else displacement
        if self._calibration is not None:
            before = self._calibration.passes
            with self._moved(moved):
                self._calibration.again(displaced=bool(moved.any()))
            self.evaluations += self._calibration.passes - before
        with torch.no_grad():
            # Where passes are fast already, nobody asks.
            displaced = self._quick.accepted or bool(moved.any())
            work = functools.partial(self._mean, moved)
            found = self._or_plain(lambda: self._quick.run(work, displaced=displaced))
        unmodified = displacement is None and self._calibration is None
        return self.census.loss_value if unmodified else found

    def slope(self, displacement: Tensor | None) -> Slope:
        """Return the mean loss at a point and its gradient there, in float64."""
        if displacement is None:
            displacement = torch.zeros(self.dim, dtype=self.dtype, device=self.subject.device)

        def work() -> Slope:
            gradient = torch.zeros(self.dim, dtype=torch.float64, device=self.subject.device)
            value = self._mean(displacement, gradient)
            return Slope(value, gradient / self.census.weight)

        return self._or_plain(work)

    def each(self) -> Generator[OneBatch]:
        """Yield every batch as a function of the displacement, for sharpness batch by batch.

        One that weighs nothing, since all its targets are ignored, has no loss and is left out.
        """
        for number, batch, value in self.subject.visits(self._weighed):
            if value.weight > 0:
                yield OneBatch(self.of_batch, number, batch)

    def of_batch(self, number: int, batch: Any, displacement: Tensor) -> Slope:
        """Return the mean loss of one batch at a point and its gradient there."""

        def work() -> Slope:
            self.evaluations += 1 / self.census.batches
            tape = self._tape
            loss = self.subject.loss(self.loss)
            with self._moved(displacement):

                def run() -> LossSum:
                    return loss(self.subject.model, batch)

                value = told_apart(number, run if tape is None else lambda: tape.run(number, run))
                self._compare(number, batch, value, displacement)
                gradient = self._gradient(value.total)
            return Slope(value.total.item() / value.weight, gradient / value.weight)

        return self._or_plain(work)

    def _mean(self, displacement: Tensor, gradient: Tensor | None = None) -> float:
        """Return the mean loss at a point, and add the batches' gradient sums."""
        self.evaluations += not self._quick.repeating
        sums: list[float] = []
        reading = self.reading
        if reading is not None:
            reading.clear()
        loss = self._quick.watched(self.batch_loss)
        with self._moved(displacement):
            for number, batch, value in self.subject.visits(loss, tape=self._tape):
                plain = self._compare(number, batch, value, displacement)
                sums.append(value.total.item())
                self._quick.seen(number, sums[-1] if plain is None else plain, value.total.dtype)
                if reading is not None:
                    reading.keep()
                if gradient is not None:
                    gradient += self._gradient(value.total)
        # Not fsum where infinities of both signs would meet: it raises.
        total = math.fsum(sums) if all(map(math.isfinite, sums)) else sum(sums)
        return total / self.census.weight

    def _weighed(self, model: nn.Module, batch: Any) -> LossSum:
        with torch.no_grad():
            return self.subject.loss(self.loss)(model, batch)

    def _moved(self, displacement: Tensor) -> AbstractContextManager[None]:
        return self.selection.displaced(displacement.to(self.subject.device, self.dtype))

    def _or_plain(self, work: Callable[[], T]) -> T:
        """Return what a pass returns, run once more without replay where that differs."""
        try:
            return work()
        except Apart as refused:
            assert self.reading is not None
            self.reading.apart = str(refused)
            if self._tape is not None and self._tape.plays:
                # It has the calls of loss and predictions together.
                self._tape.refuse("loss and metric are computed apart")
            return self._or_plain(work)
        except ReplayRefused as refused:
            assert self._tape is not None
            self._tape.refuse(str(refused))
            return self._or_plain(work)

    def _compare(
        self, number: int, batch: Any, value: LossSum, displacement: Tensor
    ) -> float | None:
        """Compare a batch's loss with a plain one, which is returned, at its first point.

        Its first one when it is played back, and where loss and predictions share what they can,
        its first one at all.

        Raises:
            ReplayRefused: If they differ.
        """
        playing = self._tape is not None and self._tape.playing
        shared = self.reading is not None and not self.reading.apart
        # Where nothing is displaced, what is wrongly played back looks right.
        if (number, playing) in self._compared or not displacement.any():
            return None
        self._compared.add((number, playing))
        if not (playing or shared):
            return None
        try:
            return self._compared_with_plain(number, batch, value)
        except ReplayRefused as refused:
            # It comes again where a fast pass, which catches all, is left for a plain one.
            self._compared.discard((number, playing))
            raise (refused if playing else Apart(str(refused))) from None

    def _compared_with_plain(self, number: int, batch: Any, value: LossSum) -> float:
        if self.reading is not None:
            self.reading.compare(number, self.subject.model, batch)
        with torch.no_grad():
            plain = self.subject.loss(self.loss)(self.subject.model, batch).total.item()
        played = value.total.item()
        same = plain == played or abs(plain - played) <= self.census.slack * abs(plain)
        if not (same or (math.isnan(plain) and math.isnan(played))):
            raise ReplayRefused(f"batch {number} has the loss {plain:.9g} and {played:.9g}")
        return plain

    def _gradient(self, total: Tensor) -> Tensor:
        if not total.requires_grad:
            self._used = self._used or [False] * len(self.selection.parameters)
            return torch.zeros(self.dim, dtype=torch.float64, device=self.subject.device)
        try:
            found: Any = torch.autograd.grad(total, self.selection.parameters, allow_unused=True)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            words = " ".join(str(error).split())
            raise SubjectError(f"the loss has no gradient: {words}") from error
        before = self._used or [False] * len(found)
        self._used = [used or g is not None for used, g in zip(before, found, strict=True)]
        return self.selection.flatten(found).double()
