"""The recordings of all batches: made at the first visit, played at every later one."""

import functools
import itertools
from collections.abc import Callable, Generator, Iterable
from typing import Any, TypeVar

from torch import Tensor, nn

from sharpscope.replay.calls import (
    DEPENDENT,
    FREE,
    Recorder,
    Recording,
    random_states,
    replaced_forwards,
    set_random_states,
)

T = TypeVar("T")
_Calls = dict[str, list[Recording | None]]


class ReplayRefused(Exception):
    """A replayed pass differs from a plain one; caught before anyone sees it."""


class Tape:
    """What the modules that do not depend on the Selection returned, batch by batch.

    A call is played back only if no operation inside it read anything computed from the
    dependent parameters, wrote to memory outside the call, or drew from a generator of its own,
    and if the module kept its attributes; the largest such calls are recorded. Everything else
    runs as ever. Whoever visits a batch must find the model as it was at the first visit, but for
    the dependent parameters, and the same batch under the same number.

    Args:
        model: The model.
        dependent: The parameters under study, which may change between visits.
        memory: Bytes that recordings may take; batches beyond are run every time.
        enabled: Whether to record at all.

    Attributes:
        playing: Whether the last visit played anything back.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 1))
        >>> tape, x = Tape(model, model[1].parameters(), memory=10**6), torch.ones(2, 3)
        >>> first = tape.run(1, lambda: model(x))
        >>> torch.equal(tape.run(1, lambda: model(x)), first)
        True
        >>> tape.played
        ('0',)
    """

    def __init__(
        self, model: nn.Module, dependent: Iterable[Tensor], *, memory: float, enabled: bool = True
    ):
        self.model = model
        self.memory = memory
        self.enabled = enabled
        self.refusal = ""
        self.bytes = 0
        self.playing = False
        self._dependent = list(dependent)
        self._batches: dict[int, _Calls] = {}
        self._modules: dict[str, nn.Module] = {}
        self._copies: set[str] = set()
        self._worth: set[str] | None = None
        self._guessed = False
        self._reasons: dict[str, str] = {}
        self._played: dict[str, None] = {}
        self._too_large = 0

    def survey(self, work: Callable[[], Any]) -> None:
        """Find out by a pass which modules are worth a recording; none is made.

        Without a survey the outputs of all playable calls are kept until the call around them
        turns out to be playable, too.
        """
        if not self.enabled:
            return
        recorder = Recorder(self.model, self._dependent, (), worth=())
        before = random_states()
        try:
            with recorder.running():
                work()
        except Exception:  # it comes again when a batch is recorded
            return
        finally:
            set_random_states(before)
        self._worth = {call.name for call in recorder.root.topmost()}

    def guess(self) -> None:
        """Take it that the parts without a dependent tensor are what is worth a recording.

        It costs no pass. The first batch that is recorded tells what really is, and where there is
        more, inside a part that cannot be played as a whole, is itself recorded a visit later.
        """
        if self.enabled:
            self._worth, self._guessed = set(self._apart(self.model)), True

    def run(self, number: int, work: Callable[[], T]) -> T:
        """Return what ``work`` returns, a pass over batch ``number``: recorded, played or plain."""
        self.playing = False
        if not self.enabled:
            return work()
        if number not in self._batches:
            return self._recorded(number, work)
        if not self._batches[number]:
            return work()
        self.playing = True
        try:
            calls = self._batches[number]
            # Most modules of most models are not on the tape, and a walk over all takes its time.
            parts = {name: self._modules[name] for name in calls}
            with replaced_forwards(self.model, _Player(calls).wrap, parts=parts):
                return work()
        except Exception as error:  # an error of the model's own comes again in a plain pass
            raise ReplayRefused(f"a replayed pass raised {type(error).__name__}") from error

    def refuse(self, why: str) -> None:
        """Play nothing from now on, and say why."""
        self.enabled, self.refusal, self.bytes = False, why, 0
        self._batches.clear()
        self._played.clear()

    def forget(self, number: int) -> None:
        """Drop the recordings of a batch that needs no more visits."""
        self.bytes -= _bytes(self._batches.get(number, {}))
        self._batches[number] = {}

    def knows(self, number: int) -> bool:
        """Return whether the next visit of a batch records nothing."""
        return not self.enabled or number in self._batches

    def blank(self, *, memory: float) -> "Tape":
        """Return an empty tape of the same model that knows what this one was surveyed for."""
        found = Tape(self.model, self._dependent, memory=memory, enabled=self.enabled)
        found._worth = None if self._worth is None else set(self._worth)
        return found

    @property
    def plays(self) -> bool:
        """Whether anything is recorded, or may be at the next visit of a batch."""
        return self.enabled and bool(self.bytes or self._worth is None or self._worth)

    @property
    def played(self) -> tuple[str, ...]:
        """The modules that were recorded."""
        return tuple(self._played)

    def notes(self) -> tuple[str, ...]:
        """Return what a result should say: what was not played back although it could seem so."""
        if self.refusal:
            return (f"Nothing was replayed: {self.refusal}.",)
        notes = [f"{name} was not replayed as a whole: {why}." for name, why in self._topmost()]
        if self._too_large:
            notes.append(f"Not replayed: {self._too_large} batches, for want of memory.")
        return tuple(notes)

    def _recorded(self, number: int, work: Callable[[], T]) -> T:
        recorder = Recorder(self.model, self._dependent, self._copies, self._worth)
        try:
            with recorder.running():
                found = work()
        except Exception as error:
            found = work()  # the model's own error comes again, one of watching does not
            self.refuse(f"watching the model raised {type(error).__name__}")
            return found
        self._keep(number, recorder)
        return found

    def _keep(self, number: int, recorder: Recorder) -> None:
        visible = [call for call in recorder.root.visible() if call is not recorder.root]
        changed = {call.name for call in visible if call.changed_later}
        if changed:  # recorded at the next visit, as copies
            self._copies |= changed
            return
        if self._worth is not None:
            topmost = {call.name for call in recorder.root.topmost()}
            missed = bool(topmost - self._worth)
            self._worth = topmost if self._guessed else self._worth | topmost
            self._guessed = False
            if missed:  # recorded at the next visit
                return
        calls: _Calls = {}
        for call in visible:
            kept = call.recording.compact() if call.recording else None
            calls.setdefault(call.name, []).append(kept)
        calls = {name: found for name, found in calls.items() if any(found)}
        silent = ("", DEPENDENT, FREE)
        self._reasons |= {c.name: c.reason for c in visible if c.reason not in silent}
        if self.bytes + _bytes(calls) > self.memory:
            self._too_large += 1
            calls = {}
        self.bytes += _bytes(calls)
        self._played |= dict.fromkeys(calls)
        self._modules |= {name: recorder.modules[name] for name in calls}
        self._batches[number] = calls

    def _apart(self, module: nn.Module, path: str = "") -> Generator[str]:
        """Yield the topmost modules that hold no dependent tensor."""
        moving = {id(tensor) for tensor in self._dependent}
        if moving.isdisjoint(map(id, itertools.chain(module.parameters(), module.buffers()))):
            yield path
            return
        for name, inner in module.named_children():
            yield from self._apart(inner, f"{path}.{name}" if path else name)

    def _topmost(self) -> list[tuple[str, str]]:
        names = self._reasons
        return [
            (name, why)
            for name, why in names.items()
            if not any(name != other and f"{name}.".startswith(f"{other}.") for other in names)
        ]


class _Player:
    """Counts the calls of one pass, and plays those that are recorded."""

    def __init__(self, calls: _Calls):
        self._calls = calls
        self._count = dict.fromkeys(calls, 0)

    def wrap(self, name: str, run: Callable[..., Any]) -> Callable[..., Any] | None:
        if name not in self._calls:
            return None
        recordings = self._calls[name]

        @functools.wraps(run)
        def forward(*args: Any, **kwargs: Any) -> Any:
            count = self._count[name]
            self._count[name] += 1
            # Beyond the recorded calls there is only checkpointing, which runs a call again.
            recording = recordings[count] if count < len(recordings) else None
            if recording is None or not recording.applies:
                return run(*args, **kwargs)
            return recording.play()

        return forward


def _bytes(calls: _Calls) -> int:
    return sum(r.bytes for found in calls.values() for r in found if r is not None)
