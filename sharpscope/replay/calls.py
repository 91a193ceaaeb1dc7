"""The calls of a model's modules in one forward pass, and which of them can be played back."""

import functools
from collections.abc import Callable, Container, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import TreeSpec, tree_flatten, tree_unflatten

from sharpscope.replay.watching import Exports, Frame, Ledger, Watching, tensors_in

# What an output may hold beside tensors: values that cannot change behind one's back.
PLAIN = (int, float, bool, complex, str, bytes, type(None), torch.dtype, torch.device, torch.Size)

# The two reasons that need no words: the Selection is at work there, or nothing is.
DEPENDENT, FREE = "it depends on the Selection", "it computes nothing"


@dataclass(frozen=True)
class RandomStates:
    """The state of torch's random streams before and after a call."""

    before: tuple[Tensor, ...]
    after: tuple[Tensor, ...]


@dataclass(frozen=True)
class Recording:
    """What a call returned, and how far it moved the random streams.

    Attributes:
        leaves: The leaves of the output, tensors and plain values.
        layout: How they are nested.
        copies: Whether later code changes the output in place: each play gives a fresh copy.
        random: The random states, where the call drew random numbers.
    """

    leaves: tuple[Any, ...]
    layout: TreeSpec
    copies: bool
    random: RandomStates | None

    @property
    def bytes(self) -> int:
        """Memory of the tensors."""
        return sum(leaf.untyped_storage().nbytes() for leaf in tensors_in(self.leaves))

    def compact(self) -> "Recording":
        """Return the recording without the memory that its tensors are mere views of."""
        leaves = tuple(_compact(leaf) if isinstance(leaf, Tensor) else leaf for leaf in self.leaves)
        return replace(self, leaves=leaves)

    @property
    def applies(self) -> bool:
        """Whether the call would return the same now: its random numbers would be the same."""
        return self.random is None or all(
            torch.equal(now, then)
            for now, then in zip(random_states(), self.random.before, strict=True)
        )

    def play(self) -> Any:
        """Return the output again, the random streams moved on as if the call had been made."""
        if self.random is not None:
            set_random_states(self.random.after)
        leaves = [
            leaf.clone() if self.copies and isinstance(leaf, Tensor) else leaf
            for leaf in self.leaves
        ]
        return tree_unflatten(leaves, self.layout)


@dataclass(eq=False)
class Call:
    """One call of a module: what it is, and its recording where it can be played.

    Attributes:
        name: Path of the module.
        inside: The calls that it made itself.
        playable: Whether it could be played back.
        recording: Its output; None where the call must be run.
        reason: Why it cannot be played, where it cannot.
        watched: Each output tensor, with its version when the call returned.
    """

    name: str
    inside: list["Call"] = field(default_factory=list["Call"])
    playable: bool = False
    recording: Recording | None = None
    reason: str = ""
    watched: list[tuple[Tensor, int]] = field(default_factory=list[tuple[Tensor, int]])

    def visible(self) -> Generator["Call"]:
        """Yield the calls that a pass makes in which what is recorded is played, in order."""
        yield self
        if self.recording is None:
            for call in self.inside:
                yield from call.visible()

    def topmost(self) -> Generator["Call"]:
        """Yield the playable calls that lie inside no other one, in order."""
        if self.playable:
            yield self
            return
        for call in self.inside:
            yield from call.topmost()

    @property
    def changed_later(self) -> bool:
        """Whether an output was changed in place after the call had returned."""
        return any(tensor._version != version for tensor, version in self.watched)


class Recorder:
    """Runs a pass with every module's call watched.

    Args:
        model: The model.
        dependent: The parameters under study: what is computed from them is never recorded.
        copies: Names of modules whose outputs later code changes in place.
        worth: Names of modules to record; all where it is None. The output of a call that lies
            inside another playable one would only take memory until that one returns.
    """

    def __init__(
        self,
        model: nn.Module,
        dependent: list[Tensor],
        copies: Container[str],
        worth: Container[str] | None = None,
    ):
        self.model = model
        self.ledger = Ledger()
        self.ledger.seed(dependent)
        self.root = Call("")
        self._open = [self.root]
        self._copies = copies
        self._worth = worth
        self.modules = dict(model.named_modules())

    @contextmanager
    def running(self) -> Generator[None]:
        """Watch the calls made inside the block."""
        with (
            replaced_forwards(self.model, self._watched),
            Exports(self.ledger),
            Watching(self.ledger),
        ):
            yield

    def _watched(self, name: str, run: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(run)  # a model may look at the signature
        def forward(*args: Any, **kwargs: Any) -> Any:
            call, module = Call(name), self.modules[name]
            frame = Frame(self.ledger.serial + 1)
            attributes = [(vars(m), _shallow_of(vars(m))) for m in module.modules()]
            before = random_states()
            self._open[-1].inside.append(call)
            self._open.append(call)
            self.ledger.frames.append(frame)
            try:
                found = run(*args, **kwargs)
            finally:
                self.ledger.frames.remove(frame)
                self._open.pop()
            reason = self._refusal(name, frame, found)
            if not reason and any(_shallow_of(now) != then for now, then in attributes):
                reason = "it changes its own attributes"
            call.reason, call.playable = reason, not reason
            if call.playable and (self._worth is None or name in self._worth):
                random = RandomStates(before, random_states()) if frame.drew else None
                self._record(call, found, random)
            return found

        return forward

    def _record(self, call: Call, found: Any, random: RandomStates | None) -> None:
        copies = call.name in self._copies
        leaves, layout = tree_flatten(found)
        kept = tuple(_kept(leaf, copies) for leaf in leaves)
        call.recording = Recording(kept, layout, copies, random)
        # What is changed later spoils a recording that shares its memory, not a copy.
        call.watched = [] if copies else [(t, t._version) for t in tensors_in(leaves)]
        call.inside.clear()

    def _refusal(self, name: str, frame: Frame, found: Any) -> str:
        """Return why a call cannot be played back, nothing where it can."""
        leaves = tree_flatten(found)[0]
        tensors = tensors_in(leaves)
        if frame.dependent or self.ledger.depends(tensors):
            return DEPENDENT
        if frame.work == 0:
            return FREE
        if self.ledger.escaped:
            return "a value of the Selection reached Python before it (item(), numpy() or a branch)"
        if frame.wrote:
            return "it writes to memory outside itself"
        if frame.own_generator:
            return "it draws from a generator of its own"
        if hooked := _hooked(name, self.modules[name]):
            return f"there are hooks on {hooked}"
        if any(self.ledger.older(t, frame) for t in tensors):
            return "it returns memory that it did not make"
        if name in self._copies and len({id(t.untyped_storage()) for t in tensors}) < len(tensors):
            return "its outputs share memory that later code changes"
        strange = next((x for x in leaves if not isinstance(x, (Tensor, *PLAIN))), None)
        return f"it returns an object ({type(strange).__name__})" if strange is not None else ""


@contextmanager
def replaced_forwards(
    model: nn.Module,
    wrap: Callable[[str, Callable[..., Any]], Callable[..., Any] | None],
    *,
    parts: Mapping[str, nn.Module] | None = None,
) -> Generator[None]:
    """Put ``wrap(name, forward)`` in the place of each module's forward, where it is not None.

    Args:
        model: The model.
        wrap: What gives the new forward.
        parts: Modules by name, where not all need to be asked for.
    """
    replaced: list[tuple[dict[str, Any], Any]] = []
    try:
        for name, module in model.named_modules() if parts is None else parts.items():
            run = module.forward
            if (wrapped := wrap(name, run)) is not None:
                table = vars(module)
                replaced.append((table, table.get("forward")))
                table["forward"] = wrapped
        yield
    finally:
        for table, own in replaced:
            table.pop("forward", None)
            if own is not None:
                table["forward"] = own


def _hooked(name: str, module: nn.Module) -> str:
    """Return a module inside this one whose call calls hooks, which playing would leave out."""
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return next(
        (
            path
            for path, inner in module.named_modules(prefix=name)
            if inner is not module and any(getattr(inner, kind, None) for kind in kinds)
        ),
        "",
    )


def random_states() -> tuple[Tensor, ...]:
    """Return the state of torch's default random streams, of CPU and of each CUDA device in use."""
    on_cuda = torch.cuda.is_available() and torch.cuda.is_initialized()
    return (torch.get_rng_state(), *(torch.cuda.get_rng_state_all() if on_cuda else ()))


def set_random_states(states: tuple[Tensor, ...]) -> None:
    """Put torch's default random streams where ``random_states`` found them."""
    torch.set_rng_state(states[0])
    if len(states) > 1:
        torch.cuda.set_rng_state_all(list(states[1:]))


def _kept(leaf: Any, copies: bool) -> Any:
    if not isinstance(leaf, Tensor):
        return leaf
    return leaf.detach().clone() if copies else leaf.detach()


def _compact(leaf: Tensor) -> Tensor:
    wasteful = leaf.untyped_storage().nbytes() > leaf.numel() * leaf.element_size()
    return leaf.clone() if wasteful else leaf


def _shallow_of(attributes: dict[str, Any]) -> list[Any]:
    """Return the identities of a module's attributes and of what its tables and lists hold."""
    # One flat list: with one for each table, a walk over a large model makes so many objects that
    # Python searches its whole memory for garbage.
    found: list[Any] = []
    for name, value in attributes.items():
        if name == "forward":
            continue
        found.append(name)
        if isinstance(value, dict):
            found += (dict, len(value))
            found += value
            found += map(id, value.values())
        elif isinstance(value, list | set | tuple):
            found += (type(value), len(value))
            found += map(id, value)
        else:
            found.append(id(value))
    return found
