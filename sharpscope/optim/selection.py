"""Which encoder dominates: loss decay and gradient alignment, weighed against each other."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sharpscope.errors import MisuseError
from sharpscope.optim.losses import Losses


@dataclass(frozen=True)
class Choice:
    """What a selection found.

    Attributes:
        dominant: The encoder with the largest score.
        moved: The encoders to perturb.
        alignment: ``γ_m``.
        decays: ``Decay_m``.
        scores: What the dominant encoder is the largest of.
    """

    dominant: str | None = None
    moved: tuple[str, ...] = ()
    alignment: Mapping[str, float] = field(default_factory=dict[str, float])
    decays: Mapping[str, float] = field(default_factory=dict[str, float])
    scores: Mapping[str, float] = field(default_factory=dict[str, float])


class Selection:
    """The adaptive perturbation score ``APS_m`` and what it remembers of the losses.

    ``MA_m(t) = β MA_m(t-1) + (1-β) L_m(t)``, ``Decay_m(t) = max(0, L_m(t-1) - MA_m(t))`` and
    ``APS_m = α Decay_m + (1-α) γ_m``. In the first step ``MA_m = L_m`` and the decay is 0. A
    modality that is missing from a step keeps its average. With ``trend`` the decay is
    ``max(0, MA_m(t-1) - L_m(t))``, positive while a loss falls, which the published one at
    β = 0.9 is not.

    Args:
        alpha: α, the weight of the decay.
        beta: β of the average.
        decay: ``paper`` or ``trend``.

    Source: Chen et al., 2026 (MASAM), equations 8 and 10.

    Example:
        >>> selection = Selection(alpha=0.3, beta=0.9)
        >>> [round(selection.decays({"cxr": loss})["cxr"], 9) for loss in (2.0, 1.5, 1.2, 1.4)]
        [0.0, 0.05, 0.0, 0.0]
    """

    def __init__(self, *, alpha: float, beta: float, decay: str = "paper"):
        self.alpha, self.beta, self.decay = alpha, beta, decay
        self.averages: dict[str, float] = {}
        self.losses: dict[str, float] = {}
        self.kept: str | None = None

    def decays(self, losses: Mapping[str, float]) -> dict[str, float]:
        """Return the decay of each loss, and remember the losses."""
        found: dict[str, float] = {}
        for name, loss in losses.items():
            before = self.averages.get(name, loss)
            average = self.beta * before + (1 - self.beta) * loss
            if self.decay == "paper":
                found[name] = max(0.0, self.losses.get(name, loss) - average)
            else:
                found[name] = max(0.0, before - loss)
            self.averages[name], self.losses[name] = average, loss
        return found

    def scores(
        self, decays: Mapping[str, float], alignment: Mapping[str, float]
    ) -> dict[str, float]:
        """Return ``APS_m`` of the modalities that have both."""
        return {
            name: self.alpha * decays[name] + (1 - self.alpha) * gamma
            for name, gamma in alignment.items()
            if name in decays
        }

    def memory(self) -> dict[str, Any]:
        """Return what is carried from step to step."""
        return {"averages": dict(self.averages), "losses": dict(self.losses), "kept": self.kept}

    def recall(self, memory: Mapping[str, Any]) -> None:
        """Take it back."""
        self.averages, self.losses = dict(memory["averages"]), dict(memory["losses"])
        self.kept = memory["kept"]


def largest(scores: Mapping[str, float]) -> str | None:
    """Return the name with the largest score, the first of equal ones."""
    return max(scores, key=scores.__getitem__) if scores else None


def mean_scores(
    seen: Sequence[Losses], names: Sequence[str], summed: Callable[[Sequence[float]], list[float]]
) -> dict[str, float]:
    """Return the mean of the scores that the closures gave, over micro-batches and processes.

    Raises:
        MisuseError: If a closure gave none.
    """
    sums: dict[str, list[float]] = {}
    for losses in seen:
        if losses.scores is None:
            raise MisuseError(
                "score='given' needs Losses(scores={modality: score}) from the closure; got none"
            )
        for name, score in losses.scores.items():
            sums.setdefault(name, []).append(float(score))
    both = [sum(sums.get(name, [])) for name in names]
    both = summed([*both, *(float(len(sums.get(name, []))) for name in names)])
    totals, counts = both[: len(names)], both[len(names) :]
    return {n: t / c for n, t, c in zip(names, totals, counts, strict=True) if c}
