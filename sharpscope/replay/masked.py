"""Passes over one batch in which only some modalities are present."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from sharpscope.errors import MisuseError
from sharpscope.replay.features import Features, Reel

MASKS = ("zero_input", "zero_feature", "mean_feature")
Absent = frozenset[str]

# Outputs by played features and by a plain pass: rounding of kernels for other batch sizes.
_RTOL = 1e-4


class MaskedPasses:
    """What a model makes of one batch with all but some modalities masked.

    Absent modalities are masked at the input, which is up to the caller, or at the features: what
    the modules of their encoders return is then replaced. With replay each encoder runs once on
    the batch and at most once on its masked input; the subsets run what comes after alone.

    Args:
        run: Returns the output of a pass with the inputs of some modalities masked.
        modules: The modules of each encoder; empty for one that is not known by modules.
        change: What a masked encoder returns, from its name and each tensor that it returned;
            None to mask inputs.
        replay: Whether features are played back.
        alone: Runs one item with every input masked, whose features then stand for those of
            all ``size`` items; without it the whole batch is run.
        size: Items of the batch, for ``alone``.
    """

    def __init__(
        self,
        run: Callable[[Absent], Tensor],
        modules: Mapping[str, Sequence[nn.Module]],
        *,
        change: Callable[[str, Tensor], Tensor] | None = None,
        replay: bool = True,
        alone: Callable[[], object] | None = None,
        size: int = 0,
    ):
        self._run, self._change, self._alone, self._size = run, change, alone, size
        self._modules = modules
        self.names = frozenset(modules)
        self.replay = replay and all(modules.values())
        self._features = Features({name: group for name, group in modules.items() if group})
        self._features.copies = set(modules)  # later code may change what it is given
        self._real: Reel | None = None
        self._masked: Reel | None = None

    def __call__(self, present: frozenset[str]) -> Tensor:
        """Return the output with these modalities present."""
        if not self.replay:
            return self.plain(present)
        real, masked = self.real, self._masked_calls(self.names - present)
        calls = {key: (real if key[0] in present else masked).calls[key] for key in real.calls}
        with self._features.playing(Reel(calls, real.refused | masked.refused), self.names):
            return self._run(frozenset() if self._change else self.names - present)

    def plain(self, present: frozenset[str]) -> Tensor:
        """Return the same from a pass in which no present encoder is played back."""
        absent = self.names - present
        if self._change is None:
            return self._run(absent)
        with self._features.playing(self._masked_calls(absent), absent):
            return self._run(frozenset())

    def agrees(self, present: frozenset[str]) -> bool:
        """Return whether played features give the output of a plain pass."""
        plain = self.plain(present)
        try:
            played = self(present)
        except (RuntimeError, IndexError, TypeError):
            return False  # features whose first axis is not that of the items, for one
        if played.shape != plain.shape:
            return False
        return bool((played - plain).norm() <= _RTOL * plain.norm() + 1e-6)

    def run_through(self) -> Tensor:
        """Return the output with everything present; the encoders' calls are recorded."""
        with self._features.recording() as self._real:
            return self._run(frozenset())

    @property
    def real(self) -> Reel:
        """The encoders' calls with everything present."""
        if self._real is None:
            self.run_through()
        assert self._real is not None
        return self._real

    def feeds(self, name: str, place: int, other: int) -> bool:
        """Return whether what one module of an encoder returns changes what another one does."""
        (call,) = self.real.calls[name, place]
        blank = Reel({(name, place): [call]}).changed_by(lambda _, t: torch.zeros_like(t))
        with self._features.playing(blank, {name}), self._features.recording() as after:
            self._run(frozenset())
        before = self.real.calls[name, other][0].recording.leaves
        then = after.calls[name, other][0].recording.leaves
        return any(
            isinstance(a, Tensor) and not torch.equal(a, b)
            for a, b in zip(before, then, strict=True)
        )

    def _masked_calls(self, absent: Absent) -> Reel:
        """Return the calls of masked encoders; absent ones that cannot be masked are refused.

        Raises:
            MisuseError: If features are to be masked and an encoder's cannot be.
        """
        if self._change is not None:
            for name in sorted(absent):
                self._check(name)
        if self._masked is not None:
            return self._masked
        if self._change is not None:
            self._masked = self.real.changed_by(self._change)
        elif self._alone is not None:
            with self._features.recording() as one:
                self._alone()
            size = self._size
            self._masked = one.changed_by(lambda _, t: t.expand(size, *t.shape[1:]))
        else:
            with self._features.recording() as self._masked:
                self._run(self.names)
        return self._masked

    def _check(self, name: str) -> None:
        if not self._modules[name]:
            raise MisuseError(
                f"a masked feature is what the encoder of {name!r} returns: give that encoder by "
                "its modules, or take mask='zero_input'"
            )
        if name in self.real.refused or not self.real.of(name):
            found = "returns an object whose tensors cannot be seen"
            why = found if name in self.real.refused else "is never called by the model"
            raise MisuseError(
                f"the features of {name!r} cannot be masked: its encoder {why}; name the module "
                "that returns them, or take mask='zero_input'"
            )
