"""Passes that need no derivative, as fast as they may be without being other passes."""

import math
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode

from sharpscope.replay.folding import Folding
from sharpscope.replay.lean import Lean
from sharpscope.subject.losses import BatchLoss, LossSum
from sharpscope.subject.memory import keep_freed_memory

# How far a batch's loss may be from that of a plain pass, relative to it.
_CLOSE = {torch.float64: 1e-12}
_CLOSE_OTHERWISE = 1e-6
# A mode does not see what these call themselves.
_ATTENTION = (functional.scaled_dot_product_attention, functional.multi_head_attention_forward)
_FUSED = (SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH)


class Quick:
    """Folds frozen norms into the layers before them and lets attention run on fused kernels.

    Torch's own transformer layers copy less as well. The first pass is a plain one and shows
    whether there is anything to gain. It is repeated the fast way, and if a batch differs by more
    than 1e-6 (1e-12 in float64), or anything raises, all passes stay plain and a note says so.

    Args:
        model: The model, held still.
        enabled: Whether to be fast at all.

    Attributes:
        accepted: Whether passes are fast from now on.
        repeating: Whether the pass that runs repeats another one.
    """

    def __init__(self, model: nn.Module, *, enabled: bool = True):
        self.accepted = False
        self.repeating = False
        self._folding = Folding(model)
        self._lean: Lean | None = Lean(model)
        self._enabled = enabled
        self._learning = self._attends = False
        self._refusal = ""
        self._totals: dict[int, float] = {}
        if enabled:
            keep_freed_memory()

    @property
    def folded(self) -> dict[str, str]:
        """The layers into which a norm is folded, and the norm of each."""
        return self._folding.pairs if self.accepted else {}

    def notes(self) -> tuple[str, ...]:
        """Return what a result should say."""
        return (f"Nothing was folded or fused: {self._refusal}.",) if self._refusal else ()

    def run(self, work: Callable[[], float], *, displaced: bool) -> float:
        """Return what ``work`` returns, a pass over the data whose losses are told by ``seen``.

        Args:
            work: The pass.
            displaced: Whether parameters are displaced: where nothing is, what is wrongly folded
                may look right.
        """
        if self.accepted:
            found = self._fast(work)
            # What overflows on the one way need not do so on the other: the plain one decides.
            return found if found is not None and math.isfinite(found) else work()
        self._learning = displaced and self._enabled and not self._refusal
        self._totals = {}
        try:
            found = work()
        finally:
            learned, self._learning = self._learning, False
        if not learned or not math.isfinite(found) or not (self._folding.pairs or self._attends):
            return found
        fast = self._repeated(work)
        return work() if fast is None else fast

    def watched(self, loss: BatchLoss) -> BatchLoss:
        """Return the loss, watched where it shows what can be gained."""
        if not self._learning:
            return loss

        def work(model: nn.Module, batch: Any) -> LossSum:
            with _Attention() as attention:
                found = self._folding.watched(lambda: loss(model, batch))
            self._attends |= attention.seen
            return found

        return work

    def seen(self, number: int, total: float, dtype: torch.dtype) -> None:
        """Take a batch's loss sum: that of a plain pass, and then the same the fast way."""
        if self._learning:
            self._totals[number] = total
        elif self.repeating:
            plain, close = self._totals[number], _CLOSE.get(dtype, _CLOSE_OTHERWISE)
            if plain != total and not abs(plain - total) <= close * abs(plain):
                raise _Differs(f"batch {number} has the loss {plain:.9g} and {total:.9g}")

    def _repeated(self, work: Callable[[], float]) -> float | None:
        self.repeating = True
        try:
            found = self._fast(work)
            if found is None and self._attends and self._lean is not None and self._lean.names:
                # What comes after a layer may want its strides: the rest without it.
                self._lean, self._refusal = None, ""
                found = self._fast(work)
        finally:
            self.repeating = False
        self.accepted = found is not None
        return found

    def _fast(self, work: Callable[[], float]) -> float | None:
        """Return what a fast pass returns; None where it is refused from now on."""
        try:
            with self._kernels(), self._folding.folded(), self._copies():
                return work()
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # an error of the model or of a replay comes again
            cause = error.__cause__ or error
            told = isinstance(error, _Differs)
            self._refusal = str(error) if told else f"a pass raised {type(cause).__name__}"
            self.accepted = False
            return None

    def _copies(self) -> AbstractContextManager[None]:
        """Let transformer layers copy less."""
        return self._lean.running() if self._lean and self._attends else nullcontext()

    @contextmanager
    def _kernels(self) -> Generator[None]:
        """Let attention run on kernels that have no second derivative."""
        if not self._attends:
            yield
            return
        with sdpa_kernel(list(_FUSED)):
            yield


class _Attention(TorchFunctionMode):
    """Notices whether attention runs."""

    seen = False

    def __torch_function__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run the function as it is and note what it is."""
        self.seen |= func in _ATTENTION
        return func(*args, **(kwargs or {}))


class _Differs(Exception):
    """A fast pass has another loss; caught before anyone sees it."""
