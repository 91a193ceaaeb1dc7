"""One step's passes over a batch: the first one, and others that must not leave a trace."""

from collections.abc import Callable, Container, Generator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from sharpscope.errors import MisuseError
from sharpscope.modes import evaluating
from sharpscope.optim.arithmetic import Gradients, added, scaled
from sharpscope.optim.blocks import SHARED, Blocks
from sharpscope.optim.buffers import Buffers, Called
from sharpscope.optim.losses import Losses, read_losses
from sharpscope.replay import Features, Reel, has_node, random_states, reached, set_random_states

Closure = Callable[..., Any]
# From the losses of one pass to lists of gradients.
Work = Callable[[Losses], Sequence[Gradients]]


class Passes:
    """Runs closures for an optimizer.

    The first pass is that of ordinary training. Every later one draws the same random numbers
    (dropout masks), and leaves buffers and random streams as the first one left them.

    Args:
        blocks: The parameters, by encoder.
        separate: Whether each unimodal loss must depend on its own encoder alone.
    """

    def __init__(self, blocks: Blocks, *, separate: bool = False):
        self.blocks = blocks
        self.separate = separate
        self.features = Features(blocks.modules)
        self._called = Called(module for group in blocks.modules.values() for module in group)
        self.features.enabled = not self._called.compiled
        self._forget()

    @property
    def modules(self) -> list[nn.Module]:
        """The modules that the closures call."""
        return self._called.modules

    @property
    def compiled(self) -> bool:
        """Whether one of them is compiled, so that nothing is played back."""
        return self._called.compiled or not self.features.enabled

    @contextmanager
    def step(self, closures: Sequence[Closure]) -> Generator[None]:
        """Begin a step; at its end nothing of a batch is held."""
        self._closures = closures
        try:
            self.blocks.refresh()
            with torch.inference_mode(False), torch.enable_grad(), self._called.alone():
                yield
        finally:
            self._forget()

    def first(self, work: Work, *arguments: Any) -> list[Gradients]:
        """Run each closure and return the mean of what ``work`` makes of the losses."""
        found: list[Sequence[Gradients]] = []
        starts, reels = self._passed.setdefault(arguments, ([], []))
        for closure in self._closures:
            starts.append(random_states())
            # A compiled model is only met in its first call; a forward that is replaced at every
            # step would be compiled at every step.
            found_now = self._called.found(self._buffers, self.features.stop)
            with self.features.recording() as reel, found_now, self._masked(arguments):
                value = closure(*arguments)
            reels.append(reel)
            self._now = reel
            losses = read_losses(value, self.blocks.names)
            self._check_checkpoints(losses)
            if self.separate:
                self._look(losses, reel)
            found.append(work(losses))
            reel.release()
        return mean(found)

    def again(self, work: Work, *arguments: Any, play: Container[str] = ()) -> list[Gradients]:
        """Run each closure once more, without a trace, and return the mean of what comes.

        Args:
            work: From losses to lists of gradients.
            arguments: What the closures are called with.
            play: Encoders to play back from the first pass, without a graph.
        """
        end = random_states()
        found: list[Sequence[Gradients]] = []
        starts, reels = self._passed[arguments]
        with self._buffers.kept():
            try:
                for closure, start, reel in zip(self._closures, starts, reels, strict=True):
                    set_random_states(start)
                    with self.features.playing(reel, play), self._masked(arguments):
                        value = closure(*arguments)
                    losses = read_losses(value, self.blocks.names, played=True)
                    found.append(work(losses))
            finally:
                set_random_states(end)
        return mean(found)

    @property
    def one(self) -> bool:
        """Whether the step has a single closure."""
        return len(self._closures) == 1

    def outputs(self, name: str) -> list[Tensor]:
        """Return what the pass that is going on took from an encoder's last module."""
        calls = {place: c for (n, place), c in self._now.calls.items() if n == name and c}
        last = calls[max(calls)] if calls else []
        return [tensor for call in last for tensor in call.live if tensor.requires_grad]

    @contextmanager
    def untouched(self) -> Generator[None]:
        """Run something else, without gradients, that leaves the random streams as they are."""
        before = random_states()
        try:
            with torch.no_grad():
                yield
        finally:
            set_random_states(before)

    @contextmanager
    def showing(self, name: str, *, shared: bool) -> Generator[None]:
        """Run a first pass that shows one encoder its own inputs, the others masked ones.

        All of them begin with the same buffers. What it makes of those of its encoder, and of the
        shared ones where they are asked for, is written by ``settle``.
        """
        inside = {
            other: {id(module) for part in group for module in part.modules()}
            for other, group in self.blocks.modules.items()
        }

        def mine(key: int) -> bool:
            return key in inside[name] or (shared and not any(key in i for i in inside.values()))

        before = random_states()
        with self._buffers.apart(mine):
            yield
        if not shared:
            set_random_states(before)

    def settle(self) -> None:
        """Write the buffers that passes have left."""
        self._buffers.settle()

    @contextmanager
    def _masked(self, arguments: tuple[Any, ...]) -> Generator[None]:
        """Hold encoders of absent modalities in eval mode, where a closure is told who is there.

        A batch of masked inputs has no variance: by their own statistics norms would return their
        bias alone, and take them for those of the data.
        """
        with ExitStack() as stack:
            for present in arguments[:1]:
                for name in set(self.blocks.names) - present:
                    for part in self.blocks.modules[name]:
                        stack.enter_context(evaluating(part))
            yield

    def stop(self) -> None:
        """Play nothing back from now on; outputs are still seen."""
        self.refused = True

    def playable(self, moved: Container[str]) -> tuple[str, ...]:
        """Return the encoders whose outputs stay the same while others are moved."""
        if self.refused:
            return ()
        return tuple(
            name
            for name, depends in self._depends.items()
            if name not in moved and not any(other in moved for other in depends)
        )

    def _look(self, losses: Losses, reel: Reel) -> None:
        """Find out by the graph what depends on which encoder."""
        owners = {id(p): self.blocks.owner(p) for p in self.blocks.parameters}
        if self.compiled:
            if not self._proved:
                _prove_separate(losses, self.blocks)
            self._proved = True
            return
        for name, loss in losses.unimodal.items():
            if others := reached([loss], owners) - {name, SHARED}:
                raise _not_separate(name, sorted(others)[0])
        for name in self.blocks.names:
            calls = reel.of(name)
            if name in reel.refused:
                pass
            elif any(call.changed for call in calls):
                self.features.copies.add(name)  # from the next step on
            elif calls:
                outputs = [tensor for call in calls for tensor in call.live]
                self._depends.setdefault(name, set()).update(reached(outputs, owners))
                continue
            self._depends[name] = set(self.blocks.names)

    def _check_checkpoints(self, losses: Losses) -> None:
        """Raise where a derivative would be lost without an error; the first pass is looked at."""
        if self._looked:
            return
        self._looked = True
        if has_node([losses.fusion, *losses.unimodal.values()], "CheckpointFunctionBackward"):
            raise MisuseError(
                "the model uses reentrant checkpointing, which has no derivative but that of "
                "backward(): pass use_reentrant=False to torch.utils.checkpoint.checkpoint"
            )

    def _forget(self) -> None:
        self._closures: Sequence[Closure] = ()
        # Per arguments of the closures: the random states that they began with, what they made.
        self._passed: dict[tuple[Any, ...], tuple[list[tuple[Tensor, ...]], list[Reel]]] = {}
        self._buffers = Buffers()
        self._depends: dict[str, set[str]] = {}
        self._now = Reel()

    _proved = False
    _looked = False
    refused = False


def mean(found: Sequence[Sequence[Gradients]]) -> list[Gradients]:
    """Return the mean over closures of each list of gradients."""
    sums = [list(gradients) for gradients in found[0]]
    for more in found[1:]:
        sums = [added(one, other) for one, other in zip(sums, more, strict=True)]
    return sums if len(found) == 1 else [scaled(total, 1 / len(found)) for total in sums]


def _prove_separate(losses: Losses, blocks: Blocks) -> None:
    """Raise if a unimodal loss depends on another encoder, by its gradients."""
    for name, loss in losses.unimodal.items():
        for other in blocks.names:
            if other == name:
                continue
            found: Any = torch.autograd.grad(
                loss, blocks.of(other), retain_graph=True, allow_unused=True
            )
            if any(g is not None and bool(g.any()) for g in found):
                raise _not_separate(name, other)


def _not_separate(name: str, other: str) -> MisuseError:
    return MisuseError(
        f"the unimodal loss of {name!r} depends on the encoder {other!r}: MASAM needs encoders "
        f"that see their own modality alone; compute that loss from the features of {name!r}, or "
        "leave what both use out of the encoders"
    )
