"""Flatness of every encoder while the model trains, without a trace in the training."""

from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sharpscope.checks import at_least
from sharpscope.monitor.counting import Steps
from sharpscope.monitor.dominating import check_record
from sharpscope.monitor.keeping import Keeper, warn_of_nothing
from sharpscope.monitor.measuring import MEASURES
from sharpscope.monitor.optimizers import check_optimizer
from sharpscope.monitor.places import sinks_of
from sharpscope.monitor.preparing import Plan, SubjectOrFactory, first_process
from sharpscope.monitor.schedule import Schedule, schedule_of
from sharpscope.monitor.signals import Event, Signal, usual_signals
from sharpscope.monitor.starting import started
from sharpscope.monitor.writing import Book
from sharpscope.optim import Step
from sharpscope.results import MonitorRecord


class FlatnessMonitor:
    """Measures how flat the minimum of each encoder is while a model trains.

    Call it after each step of the optimizer: ``monitor(step)``, or put the step into ``with
    monitor.step():``. Training goes on bit for bit as without it: weights, optimizer, random
    states and modes are as before every measurement, also of one that fails, which is logged with
    its reason and stops nothing. Where several processes train together, the first one measures
    and writes.

    Args:
        subject: What is measured; or a function from the model to it, for models that a framework
            builds or moves. Its batches are read once and kept.
        measure: Any of ``trace``, ``lambda_max``, ``alignment`` (γ, needs unimodal losses) and
            ``coupling``.
        when: ``auto``, as often as stays under ``budget``; a number of steps, or ``steps:N``;
            ``epoch`` or ``epoch:N``; ``log`` or ``log:FACTOR``.
        budget: Share of the training time that measuring may take, for ``auto``.
        out: File to write, ``.jsonl``; nothing is written without it.
        sinks: One place more, or several: ``.csv`` files, functions ``log(numbers, step)`` or
            ``Sink`` objects.
        resume: Whether to go on with the file at ``out``; by default where training begins after
            its first step.
        replace: Whether a file at ``out`` that is not gone on with is replaced, once this run
            writes its first line; by default it is refused.
        optimizer: What steps the model, one or a list of several, for the threshold of stability.
        trained: The loss that it steps along, which the threshold is of: ``fusion``, or ``total``,
            the subject's ``L_fusion + λ Σ_m L_m``, whose λ_max is then measured as well.
        signals: What to raise the alarm for; by default imbalance between encoders, sharpening
            after flattening and λ_max above the threshold of stability.
        on_event: Called with each ``Event``, after it is written.
        samples: Take so many batches as hold this many items; None takes all.
        rtol: Standard error of a trace to reach, relative to it.
        eigen_rtol: Residual of λ_max to reach, relative to the largest ``|λ|``.
        products: Products that one measurement of an encoder may spend.
        autocast: ``torch.bfloat16`` or ``torch.float16`` measures under autocast; by default
            everything is measured in the parameters' dtype (float32 for half precision).
        warm: Whether a measurement goes on from the last one, which saves products.
        seed: Names the measuring batches and all random draws.
        provenance: Facts to keep in the file, such as a recipe.

    Raises:
        MisuseError: If an argument is not allowed, or ``out`` cannot be written.

    Example:
        >>> import torch, sharpscope as ss
        >>> from sharpscope.monitor import FlatnessMonitor
        >>> model = torch.nn.ModuleDict({m: torch.nn.Linear(2, 1) for m in ("ehr", "cxr")})
        >>> def loss(model, x):
        ...     return (model["ehr"](x) + model["cxr"](x)).square().mean()
        >>> data, encoders = [torch.randn(8, 2)], {"ehr": "ehr", "cxr": "cxr"}
        >>> subject = ss.Subject(model, data, loss=loss, encoders=encoders)
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        >>> monitor = FlatnessMonitor(subject, when=2, measure=("trace",), optimizer=optimizer)
        >>> monitor.begin()
        >>> for step in range(1, 5):
        ...     optimizer.zero_grad()
        ...     loss(model, data[0]).backward()
        ...     optimizer.step()
        ...     monitor(step)
        >>> monitor.close().steps
        [0, 2, 4]
    """

    def __init__(
        self,
        subject: SubjectOrFactory,
        measure: Iterable[str] = MEASURES,
        when: str | int | Schedule = "auto",
        budget: float = 0.05,
        *,
        out: str | Path | None = None,
        sinks: Any = (),
        resume: bool | None = None,
        replace: bool = False,
        optimizer: Any = None,
        trained: str | None = None,
        signals: Iterable[Signal] | None = None,
        on_event: Callable[[Event], Any] | None = None,
        samples: int | None = 256,
        rtol: float = 0.05,
        eigen_rtol: float = 0.02,
        products: int = 80,
        autocast: torch.dtype | None = None,
        warm: bool = True,
        seed: int = 0,
        provenance: Mapping[str, Any] | None = None,
    ):
        self._plan = Plan(
            subject,
            measure,
            samples=samples,
            rtol=rtol,
            eigen_rtol=eigen_rtol,
            products=products,
            autocast=autocast,
            warm=warm,
            trained=trained,
            seed=seed,
        )
        self.schedule = schedule_of(when, budget)
        self.settings = {"when": repr(self.schedule), **self._plan.settings}
        self._optimizer = check_optimizer(optimizer)
        # Wrong places are told before hours of training.
        self._book = Book(out, sinks_of(sinks), resume=resume, replace=replace)
        self._start = partial(
            started,
            self._plan,
            self._book,
            signals=usual_signals() if signals is None else tuple(signals),
            on_event=on_event,
            settings=self.settings,
            provenance=dict(provenance or {}),
        )
        self._keeper: Keeper | None = None
        self._steps, self._epoch = Steps(), None
        self._elsewhere = False

    @property
    def active(self) -> bool:
        """Whether this process measures and writes: the first of those that train together."""
        return not self._elsewhere and first_process()

    @property
    def record(self) -> MonitorRecord:
        """What was measured so far."""
        return self._book.record()

    @property
    def seconds(self) -> float:
        """Seconds of training so far, those of measuring left out."""
        return 0.0 if self._keeper is None else self._keeper.clock.seconds

    @property
    def spent(self) -> float:
        """Seconds of measuring so far."""
        return 0.0 if self._keeper is None else self._keeper.clock.spent

    def begin(
        self,
        model: nn.Module | None = None,
        *,
        optimizer: Any = None,
        step: int = 0,
        epoch: float | None = None,
    ) -> None:
        """Begin, before the first step: a measurement is made here where one is due.

        The first call of the monitor does it where it is not called, and what the model was like
        before the first step is then not measured.

        Args:
            model: What trains, for a monitor that was given a function.
            optimizer: What steps it, one or a list of several.
            step: Steps so far: more than 0 where training is taken up again.
            epoch: Epochs so far, where they are known.

        Raises:
            MisuseError: If the file at ``out`` is there and this is another run, or the subject
                cannot be made; or if its parameters are spread over processes.
            SubjectError: If its loader gives no batch or raises.
        """
        if self._begin(model, optimizer, step, epoch):
            self._look(None)

    def _begin(
        self, model: nn.Module | None, optimizer: Any, step: int, epoch: float | None
    ) -> bool:
        """Begin or go on; whether a measurement may be made before the first step."""
        check_optimizer(optimizer)
        if self._keeper is not None:
            self._keeper.again(model, optimizer)
            if step < self._steps.done:
                self._book.again(step)
                self._epoch = epoch
            self._steps.begin(min(step, self._steps.done))
            return False
        if not self._elsewhere:
            self._plan.check_whole(model)
            # Once for all: where the group is gone before the end, this one is still not the first.
            self._elsewhere = not self.active
        if self._elsewhere:
            return False
        self._steps.begin(step)
        self._epoch = epoch if epoch is not None or step else 0.0
        self._keeper = self._start(
            self.schedule, model=model, optimizer=optimizer or self._optimizer, step=step
        )
        return not self._book.going_on

    @contextmanager
    def step(
        self, number: int | None = None, *, epoch: float | None = None
    ) -> Generator[Callable[[Step | None], None]]:
        """Count the block as one step of training, and measure after it where that is due.

        Args:
            number: As for calling the monitor.
            epoch: Likewise.

        Yields:
            What may be given the ``record`` of the step.
        """
        self._first(number, measured=True)
        yield self._note
        self(number, epoch=epoch)

    def __call__(
        self,
        step: int | None = None,
        *,
        epoch: float | None = None,
        record: Step | None = None,
    ) -> None:
        """Tell that a step of the optimizer was taken, and measure where that is due.

        Args:
            step: How many there were with it, from 1; counted where it is left out. One that is
                less than the last is of a loop that counts anew in each epoch, and counted on.
            epoch: Epochs so far with the share of the one that is under way, for the axes of
                figures.
            record: What ``optimizer.step(...)`` of M-SAM or MASAM returned: how often each
                modality dominated is written with the measurements and after each epoch.

        Raises:
            MisuseError: If the record is something else, or of other encoders.
        """
        step = None if step is None else at_least("step", step, 0)
        self._first(step)
        self._note(record)
        before = self._steps.add(step)
        self._epoch = epoch
        self._look(None, before)

    def epoch(self, number: int) -> None:
        """Tell that an epoch has ended, and measure where that is due; a loop need tell no steps.

        Args:
            number: How many there were with it, from 1.
        """
        self._first(1)
        self._epoch = float(number)
        self._look(number)

    def close(self, *, ended: bool = True) -> MonitorRecord:
        """Tell that training is over, and return what was measured.

        Args:
            ended: Whether it came to its end; False where it was broken off.
        """
        if self._keeper is not None:
            self._keeper.stop(self._steps.done, self._epoch)
        done = self._steps.done
        record = self._book.end(done, self._epoch, self.seconds, self.spent, ended=ended)
        if ended and self.active:
            warn_of_nothing(record, self._keeper)
        return record

    def _first(self, step: int | None, *, measured: bool = False) -> None:
        if self._keeper is None:
            if self._begin(None, None, max(0, (step or 1) - 1), None) and measured:
                self._look(None)
        else:
            self._keeper.clock.start()

    def _note(self, record: Step | None) -> None:
        check_record(record)
        if self._keeper is not None and record is not None:
            self._keeper.dominance.note(record)

    def _look(self, ended: int | None, before: int | None = None) -> None:
        if self._keeper is not None:  # in another process there is none
            self._keeper.look(self._steps.done, self._epoch, ended, before)
