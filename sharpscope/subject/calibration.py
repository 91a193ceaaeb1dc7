"""BatchNorm statistics of displaced parameters, taken anew from the data."""

import functools
import math
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from sharpscope.replay import ReplayRefused, Tape
from sharpscope.replay.calls import replaced_forwards
from sharpscope.subject.subject import Subject

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
_BUFFERS = ("running_mean", "running_var")
_Sums = dict[str, list[tuple[float, Tensor, Tensor]]]
_CLOSE = 1e-6


class Calibration:
    """Takes the running statistics of BatchNorm layers anew, inside a block that holds the model.

    Each layer normalizes by the statistics of the batch, as in training but for dropout, and gets
    the means of these over all batches, weighted by their numbers of values. A batch with one
    value per channel has no variance: it keeps the statistics that are there, and tells none.

    Args:
        subject: What is under the scope.
        loss: Name of the loss whose passes are made.

    Attributes:
        passes: Passes over the data so far.
        norms: The layers that have running statistics.
    """

    def __init__(self, subject: Subject, loss: str):
        self.passes = 0
        self.norms = {
            name: module
            for name, module in subject.model.named_modules()
            if _has_statistics(module)
        }
        self._subject, self._loss = subject, loss
        self._compared = False

    def begin(self, tape: Tape) -> None:
        """Take the statistics where nothing is displaced; the tape records what stands still."""
        self._tape = tape
        self._take(self._collected(tape))

    def again(self, *, displaced: bool) -> None:
        """Take the statistics of what depends on the parameters, where these are now."""
        try:
            found = self._collected(self._tape)
            # Where nothing is displaced, what is wrongly played back looks right.
            if displaced and not self._compared:
                self._compared = True
                if self._tape.playing:
                    self._compare(found)
        except ReplayRefused as refused:
            self._tape.refuse(str(refused))
            found = self._collected(None)
        self._take(found)

    def _collected(self, tape: Tape | None) -> _Sums:
        found: _Sums = {}
        self.passes += 1
        wrap = self._wrapper(found)
        with (
            torch.no_grad(),
            _without_statistics(self.norms.values()),
            replaced_forwards(self._subject.model, wrap),
        ):
            for _ in self._subject.visits(self._loss, tape=tape):
                pass
        return found

    def _wrapper(self, found: _Sums) -> Callable[[str, Callable[..., Any]], Any]:
        kept = {name: _statistics_of(norm) for name, norm in self.norms.items()}

        def wrap(name: str, run: Callable[..., Any]) -> Callable[..., Any] | None:
            if name not in kept:
                return None
            norm = self.norms[name]

            @functools.wraps(run)
            def forward(values: Tensor) -> Any:
                count = values.numel() // max(1, values.shape[1])
                if count < 2:
                    _set(norm, kept[name])
                    try:
                        return run(values)
                    finally:
                        _set(norm, {})
                over = [0, *range(2, values.dim())]
                variance, mean = torch.var_mean(values, dim=over, correction=1)
                found.setdefault(name, []).append((count, mean.double(), variance.double()))
                return run(values)

            return forward

        return wrap

    def _compare(self, played: _Sums) -> None:
        """Compare statistics from passes that played modules back with those of plain ones.

        Raises:
            ReplayRefused: If they differ.
        """
        plain = self._collected(None)
        for name, sums in played.items():
            if name not in plain:
                raise ReplayRefused(f"{name} is not run by a plain pass")
            for one, other in zip(_means(sums), _means(plain[name]), strict=True):
                scale = float(other.abs().max())
                if float((one - other).abs().max()) > _CLOSE * scale:
                    raise ReplayRefused(f"the statistics of {name} differ")

    def _take(self, found: _Sums) -> None:
        with torch.no_grad():
            for name, sums in found.items():
                norm: Any = self.norms[name]
                mean, variance = _means(sums)
                norm.running_mean.copy_(mean)
                norm.running_var.copy_(variance)


def _means(sums: list[tuple[float, Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Return weighted means of batch means and of batch variances."""
    total = math.fsum(count for count, *_ in sums)
    means = torch.stack([mean * (count / total) for count, mean, _ in sums]).sum(0)
    variances = torch.stack([variance * (count / total) for count, _, variance in sums]).sum(0)
    return means, variances


def has_statistics(model: nn.Module) -> bool:
    """Return whether a model has BatchNorm layers with running statistics."""
    return any(map(_has_statistics, model.modules()))


def _has_statistics(module: nn.Module) -> bool:
    return isinstance(module, _NORMS) and module.running_mean is not None


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
