"""What each modality contributes to the predictions of a model."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from sharpscope.results.record import Result
from sharpscope.results.trace import with_error

# What metrics are called in text and figures.
METRIC_WORDS = {
    "accuracy": "accuracy",
    "macro_auprc": "mean average precision",
    "macro_auroc": "mean AUROC",
}
Numbers = Mapping[str, "float | None"]


@dataclass(frozen=True, kw_only=True, repr=False)
class ContributionResult(Result):
    """Shapley shares, gradient alignment and unimodal accuracy of every modality.

    Errors named ``..._error`` are standard errors over items (of ``alignment`` over batches) as a
    sample of the data, by the bootstrap (the jackknife).

    Attributes:
        metric: What ``readout``, ``probe``, ``without`` and ``alone`` are: ``accuracy``, or
            ``macro_auprc`` where labels do not exclude each other.
        performance: ``Φ(S)`` of each set of modalities, names joined by ``+``, ``""`` for none.
        shapley: ``Φ_m`` of each modality.
        shapley_error: Its error.
        shares: ``v_m``, which add up to 1.
        share_error: Its error.
        share_interval: 95 % of the replicates of ``v_m``.
        interactions: Of each pair, names joined by ``+``; above 0 where two do more together.
        whole: The metric with everything present.
        whole_error: Its error.
        without: The metric with a modality absent.
        without_error: Its error.
        drop: ``whole - without``.
        drop_error: Its error, items paired.
        alone: The metric with only that modality present.
        alone_error: Its error.
        readout: The metric of the joint model's own logits, split among the modalities by their
            Shapley values: ``Φ_m(logits) + logits(∅)/M``.
        readout_error: Its error.
        probe: The metric of a fresh logistic regression on the encoder's frozen features.
        probe_error: Its error over items; that of fitting is not in it.
        probe_strength: 1 / L2 penalty that validation chose.
        alignment: ``γ_m``, the cosine of the gradients of ``L_m`` and ``L_fusion`` with respect to
            the encoder, over the whole split and in eval mode.
        alignment_error: Its error over batches.
        batch_alignment: Mean of the cosines of single batches.
        negative_alignment: Share of the batches in which it is negative.
        fusion_gradient: ``‖∇_{θ_m} L_fusion‖``.
        unimodal_gradient: ``‖∇_{θ_m} L_m‖``.
    """

    schema: ClassVar[str] = "sharpscope/contribution"

    metric: str
    performance: Numbers
    shapley: Numbers
    shapley_error: Numbers
    shares: Numbers
    share_error: Numbers
    share_interval: Mapping[str, tuple[float, float]]
    interactions: Numbers
    whole: float | None
    whole_error: float | None
    without: Numbers
    without_error: Numbers
    drop: Numbers
    drop_error: Numbers
    alone: Numbers
    alone_error: Numbers
    readout: Numbers = field(default_factory=dict[str, "float | None"])
    readout_error: Numbers = field(default_factory=dict[str, "float | None"])
    probe: Numbers = field(default_factory=dict[str, "float | None"])
    probe_error: Numbers = field(default_factory=dict[str, "float | None"])
    probe_strength: Numbers = field(default_factory=dict[str, "float | None"])
    alignment: Numbers = field(default_factory=dict[str, "float | None"])
    alignment_error: Numbers = field(default_factory=dict[str, "float | None"])
    batch_alignment: Numbers = field(default_factory=dict[str, "float | None"])
    negative_alignment: Numbers = field(default_factory=dict[str, "float | None"])
    fusion_gradient: Numbers = field(default_factory=dict[str, "float | None"])
    unimodal_gradient: Numbers = field(default_factory=dict[str, "float | None"])

    @property
    def advice(self) -> str:
        """What the outcome means."""
        return "Every set of modalities that was needed was evaluated on all items."

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities, in the model's order."""
        return tuple(self.shares)

    def __repr__(self) -> str:
        told = ", ".join(
            f"{name} {with_error(self.shares[name], self.share_error[name])}"
            for name in self.modalities
        )
        return f"ContributionResult({told}, {self.samples} samples, {self.seconds:.1f} s)"
