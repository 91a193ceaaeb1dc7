"""What is kept of each epoch of a run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """One pass over the training split.

    Args:
        epoch: Its number, from 1.
        epochs: How many there will be.
        loss: Mean training loss over the items, in train mode, while the weights moved.
        seconds: Since training began, those of what watches left out.
        losses: The same of ``fusion`` and of each modality in the training loss.
        dominant: In how many steps each modality dominated, where the method says.
        alignment: Mean over steps of ``γ_m``, where the method takes it.
        shares: Mean over steps of ``v_m``, likewise.
        scores: Mean over steps of the score that the dominant modality is the largest of.
        val: Metrics on the validation split after it, per output that is trained.
    """

    epoch: int
    epochs: int
    loss: float
    seconds: float
    losses: Mapping[str, float] = field(default_factory=dict[str, float])
    dominant: Mapping[str, int] = field(default_factory=dict[str, int])
    alignment: Mapping[str, float] = field(default_factory=dict[str, float])
    shares: Mapping[str, float] = field(default_factory=dict[str, float])
    scores: Mapping[str, float] = field(default_factory=dict[str, float])
    val: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])

    @property
    def score(self) -> float | None:
        """What a model is selected by: accuracy or macro AUPRC of the fused prediction on val."""
        fused = self.val.get("fusion", {})
        return fused.get("macro_auprc" if "auprc" in fused else "accuracy")
