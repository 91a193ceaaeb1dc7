"""What a step returns."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of an optimizer.

    Args:
        fusion: ``L_fuse`` of the first pass.
        unimodal: ``L_m`` of the first pass.
        total: ``L_fuse + Σ_m λ_m L_m`` of the first pass.
        radius: ``‖ε‖``, how far the parameters were moved for the perturbed pass.
        skipped: Whether nothing was stepped, for an overflow under a gradient scaler.
        notes: What was done in another way than asked, such as without replay.
    """

    fusion: float
    unimodal: Mapping[str, float]
    total: float
    radius: float
    skipped: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class MSAMStep(Step):
    """One step of M-SAM.

    Args:
        dominant: The modality with the largest share.
        shares: ``v_m``, what the step was taken with.
        values: The Shapley values ``Φ_m`` that were last computed.
        standard_error: Of the values; 0 where they are exact.
        interactions: Shapley interaction index of each pair.
        fresh: Whether the values were computed in this step.
    """

    dominant: str
    shares: Mapping[str, float]
    values: Mapping[str, float]
    standard_error: Mapping[str, float]
    interactions: Mapping[tuple[str, str], float]
    fresh: bool


@dataclass(frozen=True, kw_only=True)
class MASAMStep(Step):
    """One step of MASAM.

    Args:
        dominant: The encoder that was perturbed, None where all were or none could be.
        alignment: ``γ_m``, the cosine of fusion and unimodal gradient of each encoder.
        decay: ``Decay_m``.
        scores: What the dominant encoder is the largest of, ``APS_m`` by default.
        replayed: Encoders that were played back in the perturbed pass.
        selected: Whether the dominant encoder was chosen in this step, and not kept.
        radii: ``‖ε_m‖`` of each encoder that was perturbed.
    """

    dominant: str | None
    alignment: Mapping[str, float]
    decay: Mapping[str, float]
    scores: Mapping[str, float]
    replayed: tuple[str, ...] = ()
    selected: bool = True
    radii: Mapping[str, float] = field(default_factory=dict[str, float])
