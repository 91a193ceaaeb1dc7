"""Outputs of chosen modules in one pass, played back in the next one over the same batch."""

import functools
from collections.abc import Callable, Container, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten

from sharpscope.replay.calls import PLAIN, RandomStates, Recording, random_states
from sharpscope.replay.watching import tensors_in


@dataclass(eq=False)
class Output:
    """What one call of a module returned.

    Attributes:
        live: The tensors, with the graph that made them.
        versions: Of the tensors when the call returned.
        recording: The same to be played back.
        order: How many recorded calls of the pass returned before it.
    """

    live: list[Tensor]
    versions: list[int]
    recording: Recording
    order: int = 0

    @property
    def changed(self) -> bool:
        """Whether later code changed what is recorded."""
        return not self.recording.copies and any(
            t._version != v for t, v in zip(self.live, self.versions, strict=True)
        )


@dataclass(eq=False)
class Reel:
    """The calls of one pass, in order, by the name of the group and the place of the module.

    Attributes:
        calls: The calls.
        refused: Groups that returned an object whose tensors cannot be seen.
    """

    calls: dict[tuple[str, int], list[Output]] = field(
        default_factory=dict[tuple[str, int], list[Output]]
    )
    refused: set[str] = field(default_factory=set[str])

    def of(self, name: str) -> list[Output]:
        """Return the calls of a group's modules."""
        return [call for key, calls in self.calls.items() if key[0] == name for call in calls]

    def tensors(self, name: str) -> list[Tensor]:
        """Return what a group's modules returned, in the order in which it is changed."""
        return [
            leaf
            for call in self.of(name)
            for leaf in call.recording.leaves
            if isinstance(leaf, Tensor)
        ]

    def changed_by(self, change: Callable[[str, Tensor], Tensor]) -> "Reel":
        """Return the same calls with other tensors, made of a group's name and each of its own."""
        return Reel(
            {
                (name, place): [_changed(call, functools.partial(change, name)) for call in calls]
                for (name, place), calls in self.calls.items()
            },
            set(self.refused),
        )

    def release(self) -> None:
        """Let go of the graph."""
        for calls in self.calls.values():
            for call in calls:
                call.live = []


def _changed(call: Output, change: Callable[[Tensor], Tensor]) -> Output:
    leaves = tuple(
        change(leaf) if isinstance(leaf, Tensor) else leaf for leaf in call.recording.leaves
    )
    return replace(call, recording=replace(call.recording, leaves=leaves))


class Features:
    """Records and plays the outputs of groups of modules, such as each modality's encoder.

    Nothing is watched inside of the modules, so it is cheap enough for each step of training; who
    plays a group back answers for it that its inputs and parameters are those of the recorded
    pass. A played call leaves the random streams where the recorded one left them.

    Args:
        modules: The modules of each group.

    Attributes:
        enabled: Whether anything is recorded.
        copies: Groups whose outputs later code changes in place: they are recorded as copies.

    Example:
        >>> import torch
        >>> encoder, x = torch.nn.Linear(2, 1), torch.ones(1, 2)
        >>> features = Features({"ehr": [encoder]})
        >>> with features.recording() as reel:
        ...     first = encoder(x)
        >>> with features.playing(reel, {"ehr"}):
        ...     torch.equal(encoder(2 * x), first)
        True
    """

    def __init__(self, modules: Mapping[str, Sequence[nn.Module]]):
        self.modules = {name: tuple(group) for name, group in modules.items()}
        self.enabled = True
        self.copies: set[str] = set()
        self._recording = ExitStack()

    @contextmanager
    def recording(self) -> Generator[Reel]:
        """Record the calls made inside the block."""
        reel = Reel()
        with self._recording:
            for name, group in self.modules.items() if self.enabled else ():
                for place, module in enumerate(group):
                    calls = reel.calls.setdefault((name, place), [])
                    recorder = self._recorder(name, module.forward, reel, calls)
                    self._recording.enter_context(_replaced(module, recorder))
            yield reel

    def stop(self) -> None:
        """Record nothing from now on, not even in the pass that is going on."""
        self.enabled = False
        self._recording.close()

    @contextmanager
    def playing(self, reel: Reel, names: Container[str]) -> Generator[None]:
        """Play the calls of some groups back inside the block, in their order."""
        with ExitStack() as stack:
            for (name, place), calls in reel.calls.items():
                if name in names and calls and name not in reel.refused:
                    module = self.modules[name][place]
                    stack.enter_context(_replaced(module, _player(module.forward, calls)))
            yield

    def _recorder(
        self, name: str, run: Callable[..., Any], reel: Reel, calls: list[Output]
    ) -> Callable[..., Any]:
        @functools.wraps(run)
        def forward(*args: Any, **kwargs: Any) -> Any:
            if torch.compiler.is_compiling():  # what is compiled calls no Python again
                self.enabled = False
                return run(*args, **kwargs)
            before = random_states()
            found = run(*args, **kwargs)
            output = _output(found, before, copies=name in self.copies)
            if output is None:
                reel.refused.add(name)
            else:
                output.order = sum(map(len, reel.calls.values()))
                calls.append(output)
            return found

        return forward


def _output(found: Any, before: tuple[Tensor, ...], *, copies: bool) -> Output | None:
    """Return what a call returned, None where it is an object that may change unseen."""
    after = random_states()
    drew = not all(torch.equal(one, two) for one, two in zip(before, after, strict=True))
    leaves, layout = tree_flatten(found)
    if not all(isinstance(leaf, (Tensor, *PLAIN)) for leaf in leaves):
        return None
    live = tensors_in(leaves)
    kept = [leaf.detach() if isinstance(leaf, Tensor) else leaf for leaf in leaves]
    if copies:
        kept = [leaf.clone() if isinstance(leaf, Tensor) else leaf for leaf in kept]
    random = RandomStates(before, after) if drew else None
    recording = Recording(tuple(kept), layout, copies, random)
    return Output(live, [t._version for t in live], recording)


def _player(run: Callable[..., Any], calls: list[Output]) -> Callable[..., Any]:
    waiting = iter(calls)

    @functools.wraps(run)
    def forward(*args: Any, **kwargs: Any) -> Any:
        call = next(waiting, None)
        if call is None or not call.recording.applies:
            return run(*args, **kwargs)
        return call.recording.play()

    return forward


@contextmanager
def _replaced(module: nn.Module, forward: Callable[..., Any]) -> Generator[None]:
    table = vars(module)
    own = table.get("forward")
    table["forward"] = forward
    try:
        yield
    finally:
        if own is None:
            del table["forward"]
        else:
            table["forward"] = own
