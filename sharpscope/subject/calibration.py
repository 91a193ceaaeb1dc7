"""BatchNorm statistics of displaced parameters, taken anew from the data."""

import functools
import math
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from sharpscope.errors import SubjectError
from sharpscope.replay import ReplayRefused, Tape
from sharpscope.replay.calls import replaced_forwards
from sharpscope.subject.losses import BatchLoss
from sharpscope.subject.subject import Subject

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
_BUFFERS = ("running_mean", "running_var")
_Sums = dict[str, list[tuple[float, Tensor, Tensor]]]
_CLOSE = 1e-5  # relative to the largest: what the order of a sum in float32 moves, and no more


class Calibration:
    """Takes the running statistics of BatchNorm layers anew, inside a block that holds the model.

    Each layer normalizes by the statistics of the batch, as in training but for dropout, and gets
    the means of these over all batches, weighted by their numbers of values. A batch with one
    value per channel has no variance: it is normalized by the model's own statistics at every
    point, and tells none.

    Args:
        subject: What is under the scope.
        loss: Whose passes are made.

    Attributes:
        passes: Passes over the data so far.
        norms: The layers that have running statistics.
        moving: Those of them whose statistics depend on the parameters that move, as far as is
            known; the others keep what they get at the beginning.
    """

    def __init__(self, subject: Subject, loss: BatchLoss):
        self.passes = 0
        self.norms = {
            name: module
            for name, module in subject.model.named_modules()
            if _has_statistics(module)
        }
        self.moving: tuple[str, ...] = ()
        self._subject, self._loss = subject, loss

    def begin(self, tape: Tape) -> None:
        """Take the statistics where nothing is displaced; the tape records what stands still."""
        self._tape, self._compared = tape, False
        self._own = {
            name: {key: value.clone() for key, value in _statistics_of(norm).items()}
            for name, norm in self.norms.items()
        }
        whole = self._collected(tape)
        played = self._collected(tape)
        if (why := _differ(played, whole)) is not None:
            tape.refuse(why)
            played = whole
        self.moving = tuple(played)
        self._take(whole)

    def again(self, *, displaced: bool) -> None:
        """Take the statistics of what depends on the parameters, where these are now."""
        try:
            found = self._collected(self._tape)
            # Where nothing is displaced, what is wrongly played back may look right.
            if displaced and not self._compared:
                self._compared = True
                if self._tape.playing and (why := _differ(found, self._collected(None))):
                    raise ReplayRefused(why)
        except ReplayRefused as refused:
            self._tape.refuse(str(refused))
            found = self._collected(None)
        self._take(found)

    @property
    def buffers(self) -> list[Tensor]:
        """The statistics that depend on the parameters, as tensors that are written in place."""
        return [b for name in self.moving for b in _statistics_of(self.norms[name]).values()]

    def notes(self) -> tuple[str, ...]:
        """Return what a result should say."""
        told: list[str] = []
        if self._tape.refusal:
            told.append(f"Statistics were taken without replay: {self._tape.refusal}.")
        others = [
            name
            for name, module in self._subject.model.named_modules()
            if name not in self.norms and isinstance(getattr(module, "running_mean", None), Tensor)
        ]
        if others:
            told.append(f"The running statistics of {', '.join(others[:3])} were left as they are.")
        return tuple(told)

    def _collected(self, tape: Tape | None) -> _Sums:
        found: _Sums = {}
        self.passes += 1
        with (
            torch.no_grad(),
            _without_statistics(self.norms.values()),
            replaced_forwards(self._subject.model, self._wrapper(found)),
        ):
            for _ in self._subject.visits(self._loss, tape=tape):
                pass
        return found

    def _wrapper(self, found: _Sums) -> Callable[[str, Callable[..., Any]], Any]:
        def wrap(name: str, run: Callable[..., Any]) -> Callable[..., Any] | None:
            if name not in self.norms:
                return None

            @functools.wraps(run)
            def forward(*args: Any, **kwargs: Any) -> Any:
                values = next((v for v in (*args, *kwargs.values()) if isinstance(v, Tensor)), None)
                if values is None or values.numel() // max(1, values.shape[1]) < 2:
                    return self._by_its_own(name, run, *args, **kwargs)
                count = values.numel() // values.shape[1]
                over = [0, *range(2, values.dim())]
                variance, mean = torch.var_mean(values, dim=over, correction=1)
                try:
                    output = run(*args, **kwargs)
                except Exception as error:
                    raise SubjectError(
                        f"the statistics of {name} cannot be taken anew, since it does not "
                        f"normalize by a batch in eval mode ({type(error).__name__}): take "
                        "statistics='frozen'"
                    ) from error
                found.setdefault(name, []).append((count, mean.double(), variance.double()))
                return output

            return forward

        return wrap

    def _by_its_own(self, name: str, run: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Run a norm with the statistics that the model came with."""
        _set(self.norms[name], self._own[name])
        try:
            return run(*args, **kwargs)
        finally:
            _set(self.norms[name], {})

    def _take(self, found: _Sums) -> None:
        with torch.no_grad():
            for name, sums in found.items():
                norm: Any = self.norms[name]
                mean, variance = _means(sums)
                norm.running_mean.copy_(mean)
                norm.running_var.copy_(variance)


def has_statistics(model: nn.Module) -> bool:
    """Return whether a model has BatchNorm layers with running statistics."""
    return any(map(_has_statistics, model.modules()))


def _has_statistics(module: nn.Module) -> bool:
    return isinstance(module, _NORMS) and module.running_mean is not None


def _means(sums: list[tuple[float, Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Return weighted means of batch means and of batch variances."""
    total = math.fsum(count for count, *_ in sums)
    means = torch.stack([mean * (count / total) for count, mean, _ in sums]).sum(0)
    variances = torch.stack([variance * (count / total) for count, _, variance in sums]).sum(0)
    return means, variances


def _differ(played: _Sums, plain: _Sums) -> str | None:
    """Return in what statistics from passes that played modules back differ from plain ones."""
    for name, sums in played.items():
        if name not in plain:
            return f"{name} is not run by a plain pass"
        if len(sums) != len(plain[name]):
            return f"{name} is run both by what stands still and by what does not"
        for one, other in zip(_means(sums), _means(plain[name]), strict=True):
            scale = float(other.nan_to_num().abs().max())
            close = torch.isclose(one, other, rtol=0.0, atol=_CLOSE * scale, equal_nan=True)
            if not bool(close.all()):
                return f"the statistics of {name} differ"
    return None


@contextmanager
def _without_statistics(norms: Iterable[nn.Module]) -> Generator[None]:
    """Let layers normalize by each batch inside the block: they do where they have nothing else."""
    held = [(norm, _statistics_of(norm)) for norm in norms]
    try:
        for norm, _ in held:
            _set(norm, {})
        yield
    finally:
        for norm, buffers in held:
            _set(norm, buffers)


def _statistics_of(norm: nn.Module) -> dict[str, Tensor]:
    return {name: getattr(norm, name) for name in _BUFFERS}


def _set(norm: nn.Module, statistics: dict[str, Tensor]) -> None:
    for name in _BUFFERS:
        setattr(norm, name, statistics.get(name))
