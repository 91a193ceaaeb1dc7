"""What all operators on a subject's loss share: the session, the replay, the graphs, the report."""

from abc import abstractmethod
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from sharpscope.errors import SubjectError
from sharpscope.operators.base import Products, Report, SymmetricOperator
from sharpscope.operators.graphs import Graph, Kept
from sharpscope.operators.layers import TwiceCheap
from sharpscope.operators.sums import Sums
from sharpscope.operators.witness import plain_gradients
from sharpscope.replay import ReplayRefused, Tape
from sharpscope.subject import Census, Subject
from sharpscope.subject.losses import LossSum
from sharpscope.subject.provenance import measured_on
from sharpscope.subject.remarks import remarks

T = TypeVar("T")

# A gradient through a wrong recording is wrong by its own size, through a right one by rounding.
_REPLAY_RTOL = 1e-3


class _LayersRefused(Exception):
    """A gradient through our own layers is not that of torch's; caught before anyone sees it."""


class MeasuredOperator(SymmetricOperator):
    """A symmetric matrix that a subject's mean loss defines on one Selection.

    Args:
        subject: What is under the scope.
        modality: Name of the Selection: a modality, ``shared``, ``all`` or a glob.
        loss: Name of the loss: ``fusion``, ``total`` or a modality.

    Attributes:
        name: What a result calls the operator.
        economical: Whether it plays back what stands still and keeps graphs.
    """

    name: str
    economical = True
    _cheap = True

    def __init__(self, subject: Subject, modality: str, *, loss: str = "fusion"):
        self.subject = subject
        self.selection = subject.select(modality)
        self.loss = loss
        subject.loss(loss)  # an unknown name is refused here, not in the first product
        self.dim = self.selection.dim
        self.device = subject.device
        self.dtype = subject.dtype or self.selection.parameters[0].dtype
        self._frozen = self.selection.frozen
        self._open = False
        self._census: Census | None = None
        self._used: list[bool] | None = None
        self._tape: Tape | None = None
        self._kept: Kept | None = None
        self._true: dict[int, Tensor] = {}

    @contextmanager
    def session(self) -> Generator[None]:
        """Hold the subject still for many products, after a proof that it does stand still.

        Each session proves anew, since the model may have been trained in between, and begins
        with no recording and no graph; sessions nest.
        """
        if self._open:
            yield
            return
        self._frozen = self.selection.frozen
        with self.subject.studying(self.selection):
            tape = self.subject.tape(self.selection)
            tape.enabled &= self.economical
            self._census = self.subject.census(self.loss, tape=tape)
            self._begin(tape, self._census)
            self._true = plain_gradients(
                self.subject, self.loss, self._census, tape, self._flat_gradient
            )
            self._open = True
            try:
                yield
            finally:
                self._open = False
                self._tape = self._kept = None

    @abstractmethod
    def _add(self, sums: Sums) -> None:
        """Add each batch's ``S_b V`` to the sums, in one pass over the data."""

    def products(self, vectors: Tensor, others: Tensor | None = None) -> Products:
        """Return ``A V`` and the batches' quadratic forms in one pass over the data."""

        def work() -> Products:
            sums = Sums(vectors, others)
            self._add(sums)
            return sums.products()

        with self._ready():
            return self._or_plain(work)

    def _rounding(self) -> float:
        """Return the curvature that rounding makes of the loss at weights of this size."""
        squares = self.selection.flatten(self.selection.parameters).double().square().mean().item()
        loss = abs(self._census.loss_value) if self._census else 0.0
        return 10 * torch.finfo(self.dtype).eps * loss / squares if squares else 0.0

    def gradient(self) -> Tensor:
        """Return the gradient of the mean loss over the Selection, shape ``[dim]``."""
        with self._ready():
            return self._or_plain(self._mean_gradient)

    def _mean_gradient(self) -> Tensor:
        total, weight = torch.zeros(self.dim, dtype=self.dtype, device=self.device), 0.0
        kept = self._kept.graphs if self._kept else []
        for graph in kept:
            total += self.selection.flatten(graph.gradient)
            weight += graph.weight
        for number, batch, value in self.subject.visits(self.loss, tape=self._tape, skip=len(kept)):
            gradient = self._gradient(value.total, create_graph=False)
            self._compare(number, batch, value.total, gradient)
            total += self.selection.flatten(gradient)
            weight += value.weight
        return total / weight

    def _or_plain(self, work: Callable[[], T]) -> T:
        """Return what a pass returns, run once more without what made it differ."""
        try:
            return work()
        except _LayersRefused:
            assert self._tape is not None
            assert self._census is not None
            self._cheap = False
            self._begin(self._tape, self._census)
            return self._or_plain(work)
        except ReplayRefused as refused:
            # What was computed so far may be as wrong as the batch that showed it.
            assert self._tape is not None
            assert self._census is not None
            played = self._tape.played or self._tape.playing
            self._tape.refuse(str(refused))
            self._begin(self._tape, self._census)
            if not played:  # it was leaving out the kept batches
                self._kept = Kept(-1, self._census.batches)
            return self._or_plain(work)

    def report(self) -> Report:
        """Return what a result says: sizes, loss, norms, provenance and notes."""
        with self.session():
            gradient = self.gradient().double().norm().item()
            norm = self.selection.flatten(self.selection.parameters).double().norm().item()
            census = self._census
            assert census is not None  # the session has made it
            return Report(
                name=self.name,
                modality=self.selection.name,
                parameters=self.dim,
                samples=census.samples,
                loss=self.loss,
                loss_value=census.loss_value,
                gradient_norm=gradient,
                parameter_norm=norm,
                provenance=measured_on(self.subject, census, self.device, self.dtype),
                replayed=self._tape.played if self._tape else (),
                notes=(*self.subject.notes, *self._notes()),
            )

    def part(self, name: str, rows: Tensor) -> Report:
        """Return what a result says about the block of some rows, a mask ``[dim]``."""
        with self.session():
            norms = [
                vector.double()[rows].norm().item()
                for vector in (self.gradient(), self.selection.flatten(self.selection.parameters))
            ]
            report = super().part(name, rows)
        return replace(report, gradient_norm=norms[0], parameter_norm=norms[1])

    def _begin(self, tape: Tape, census: Census) -> None:
        self._tape = tape
        memory = self.subject.free_memory() - tape.bytes if self.economical else 0
        self._kept = Kept(memory, census.batches)
        self._used = None

    def _ready(self) -> AbstractContextManager[None]:
        """Return the block of a bare product: a proof before the first one is enough.

        Outside a session nothing is kept or played back, since the model may have been trained
        between two products.
        """
        return self.session() if self._census is None else self.subject.studying(self.selection)

    def _graphs(self) -> Generator[tuple[Graph, Any]]:
        """Yield each batch's gradient graph: the kept ones, then the others, built one by one.

        A graph just built comes with its batch, a kept one with None.
        """
        kept = self._kept
        graphs = list(kept.graphs) if kept else []
        for graph in graphs:
            yield graph, None
        if kept is not None and kept.all:
            return
        for number, batch, value in self.subject.visits(
            self._batch_loss, tape=self._tape, skip=len(graphs)
        ):
            graph = self._build(number, value)
            self._compare(number, batch, value.total, graph.gradient)
            yield graph, batch
            # Only now: a batch that was refused is built again, and refused again.
            if kept is not None and kept.offer(graph, self.selection.parameters):
                assert self._tape is not None
                self._tape.forget(number)
            # Gone before the next one is built, or two of them would stand side by side.
            del batch, value, graph

    def _batch_loss(self, model: nn.Module, batch: Any) -> LossSum:
        """Return a batch's loss, for a graph that is differentiated twice."""
        with TwiceCheap() if self._cheap else nullcontext():
            return self.subject.loss(self.loss)(model, batch)

    def _build(self, number: int, value: LossSum) -> Graph:
        """Return the graph that the products of a batch go through."""
        gradient = self._gradient(value.total, create_graph=True)
        return Graph(number, gradient, value.weight, value.total)

    def _gradient(
        self, total: Tensor, *, create_graph: bool, retain_graph: bool | None = None
    ) -> list[Tensor | None]:
        """Return the gradient of a batch's loss sum; None where the loss does not reach."""
        if total.requires_grad:
            try:
                found = torch.autograd.grad(
                    total,
                    self.selection.parameters,
                    create_graph=create_graph,
                    retain_graph=retain_graph,
                    allow_unused=True,
                )
            except torch.OutOfMemoryError:
                raise
            except RuntimeError as error:  # such as values that are changed in place
                words = " ".join(str(error).split())
                raise SubjectError(f"the loss has no gradient: {words}") from error
        else:
            found = (None,) * len(self.selection.parameters)
        before = self._used or [False] * len(found)
        self._used = [used or g is not None for used, g in zip(before, found, strict=True)]
        return list(found)

    def _flat_gradient(self, value: LossSum) -> Tensor:
        return self.selection.flatten(self._gradient(value.total, create_graph=False))

    def _gradient_of(self, batch: Any) -> Tensor:
        """Return the gradient of a batch's loss sum by a plain pass, shape ``[dim]``."""
        return self._flat_gradient(self.subject.loss(self.loss)(self.subject.model, batch))

    def _compare(
        self, number: int, batch: Any, total: Tensor, gradient: Sequence[Tensor | None]
    ) -> None:
        """Compare a batch with a plain pass: its loss at every visit, two of the gradients.

        Raises:
            ReplayRefused: If they differ where something was played or left out.
            SubjectError: If they differ in a plain pass.
        """
        census, tape = self._census, self._tape
        if tape is None or census is None:
            return
        plain = census.totals[number - 1]
        if abs(total.item() - plain) > census.slack * abs(plain):
            words = f"batch {number} has the loss {plain:.9g} and then {total.item():.9g}"
            if tape.playing or (self._kept is not None and self._kept.graphs):
                raise ReplayRefused(words)
            raise SubjectError(f"the model does not stand still: {words}")
        if number not in self._true:
            return
        true = self._true[number]
        error = (self.selection.flatten(gradient) - true).norm().item()
        if error > _REPLAY_RTOL * true.norm().item():
            if tape.playing:
                raise ReplayRefused(f"batch {number} has another gradient when it is replayed")
            if self._cheap:
                raise _LayersRefused

    def _notes(self) -> list[str]:
        return remarks(
            self.selection,
            asked=self.subject.samples,
            there=self._census.samples if self._census else 0,
            frozen=self._frozen,
            used=self._used or [],
            cheap=self._cheap,
            tape=self._tape,
        )
