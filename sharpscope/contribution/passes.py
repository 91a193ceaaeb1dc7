"""One walk over the data: the logits with each set of modalities present."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sharpscope.contribution.inputs import Places
from sharpscope.errors import MisuseError, SharpscopeError, SubjectError
from sharpscope.replay import MaskedPasses
from sharpscope.subject import Subject
from sharpscope.subject.predictions import counted, shaped

Present = frozenset[str]

# Up to so many modalities every set is run in full, which needs no comparison.
_IN_FULL = 3
NOT_PLAYED = (
    "Features were not played back: those of an encoder depend on what is masked, so that every "
    "set of modalities was run in full."
)


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a model makes of a split.

    Attributes:
        logits: Per set of modalities present, ``[items, outputs]`` in float64 on CPU.
        target: Classes ``[items]`` or labels ``[items, outputs]``.
        notes: Sentences for the reader.
    """

    logits: Mapping[Present, Tensor]
    target: Tensor
    notes: tuple[str, ...] = ()


def look(subject: Subject, sets: Sequence[Present], *, mask: str) -> Seen:
    """Return logits for each set of modalities; the subject is held still by the caller.

    Of many modalities each encoder runs once on a batch and once on its masked inputs, which is
    compared with full passes in every batch.

    Raises:
        MisuseError: If a modality cannot be masked that way.
        SubjectError: If the model's predictions cannot be read or are not finite.
    """
    names = subject.owners.modalities
    modules = {name: subject.encoder(name) for name in names}
    places = Places(subject, modules) if mask == "zero_input" else None
    means = _means(subject, modules) if mask == "mean_feature" else {}
    asked = subject.replay and len(names) > _IN_FULL and all(modules.values())
    for replay in (True, False) if asked else (False,):
        logits: dict[Present, list[Tensor]] = {present: [] for present in sets}
        targets: list[Tensor] = []
        agrees = True
        for number, batch in enumerate(subject.walk(), start=1):
            one = Batch(subject, batch, number, places)
            passes = MaskedPasses(one.run, modules, change=_change(mask, means), replay=replay)
            with torch.no_grad():
                for present in sets:
                    one.masked = [name for name in names if name not in present]
                    values = one.checked(lambda present=present, passes=passes: passes(present))
                    logits[present].append(values[one.counted].double().cpu())
                single = [frozenset(names) - {name} for name in names]
                agrees = not replay or all(map(passes.agrees, [frozenset[str](), *single]))
            targets.append(one.target[one.counted].cpu())
            if not agrees:
                break  # what was played so far may be as wrong
        if agrees:
            joined = {present: torch.cat(parts) for present, parts in logits.items()}
            notes = (NOT_PLAYED,) if asked and not replay else ()
            return Seen(logits=joined, target=torch.cat(targets), notes=notes)
    raise AssertionError("full passes need no comparison")


class Batch:
    """One batch, and the model's predictions for it.

    Args:
        subject: What is measured.
        batch: The batch.
        number: Its number, for errors.
        places: Where the inputs of the modalities stand, where inputs are masked.

    Attributes:
        target: Classes or labels, after the first pass.
        masked: What is masked in the next pass, for errors.
    """

    def __init__(self, subject: Subject, batch: Any, number: int, places: Places | None = None):
        self.subject, self.batch, self.number, self.places = subject, batch, number, places
        self.target = torch.empty(0)
        self.masked: list[str] = []

    def run(self, absent: Present = frozenset()) -> Tensor:
        """Return the logits with the inputs of some modalities at zero."""
        batch = self.places.without(self.batch, absent) if self.places else self.batch
        logits, target = self.subject.predict(self.subject.model, batch)
        logits, self.target = shaped(logits, target)
        return logits

    @property
    def counted(self) -> Tensor:
        """Which items count: a class below 0 is one that losses ignore."""
        return counted(self.target)

    def checked(self, work: Callable[[], Tensor]) -> Tensor:
        """Return the logits of a pass.

        Raises:
            SubjectError: If the model refuses it, or they are not finite; what was masked is told.
        """
        where = f"batch {self.number}"
        if self.masked:
            where += f" with {' and '.join(self.masked)} masked"
        try:
            logits = work()
        except MisuseError:
            raise
        except SharpscopeError as error:
            raise SubjectError(f"{where}: {error}") from error
        except Exception as error:
            words = " ".join(str(error).split())
            raise SubjectError(
                f"{where}: the model or predict raised {type(error).__name__}: {words}"
            ) from error
        if not bool(torch.isfinite(logits[self.counted]).all()):
            advice = "; take another mask" if self.masked else ""
            raise SubjectError(f"{where}: the logits are not finite{advice}")
        return logits


def _means(subject: Subject, modules: Mapping[str, Sequence[nn.Module]]) -> dict[str, list[Tensor]]:
    """Return the mean over the split of each tensor that each encoder returns, in their order."""
    sums: dict[str, list[Tensor]] = {}
    items = 0
    for number, batch in enumerate(subject.walk(), start=1):
        one = Batch(subject, batch, number)
        passes = MaskedPasses(one.run, modules)
        with torch.no_grad():
            one.checked(passes.run_through)
        keep = one.counted
        items += int(keep.sum())
        for name in modules:
            found = [t for t in passes.real.tensors(name) if t.is_floating_point()]
            if any(t.dim() == 0 or len(t) != len(keep) for t in found):
                raise MisuseError(
                    f"the features of {name!r} have no row for each item, so that they have no "
                    "mean over items: take mask='zero_feature' or 'zero_input'"
                )
            new = [t[keep].double().sum(0) for t in found]
            old = sums.setdefault(name, [torch.zeros_like(t) for t in new])
            if [t.shape for t in old] != [t.shape for t in new]:
                raise MisuseError(
                    f"the features of {name!r} differ in shape from batch to batch, so that they "
                    "have no mean: take mask='zero_feature' or 'zero_input'"
                )
            sums[name] = [a + b for a, b in zip(old, new, strict=True)]
    return {name: [t / items for t in found] for name, found in sums.items()}


def _change(mask: str, means: Mapping[str, Sequence[Tensor]]) -> Any:
    """Return what masks a feature, or None where inputs are masked; lengths and masks stay."""
    if mask == "zero_input":
        return None
    if mask == "zero_feature":
        return lambda _, t: torch.zeros_like(t) if t.is_floating_point() else t
    waiting = {name: iter(found) for name, found in means.items()}

    def change(name: str, t: Tensor) -> Tensor:
        return next(waiting[name]).to(t.dtype).expand_as(t) if t.is_floating_point() else t

    return change
