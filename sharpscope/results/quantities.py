"""The numbers that results hold for encoders: name, unit, formula, meaning, error."""

from dataclasses import dataclass

from sharpscope.results.measures import (
    Find,
    coupling,
    end,
    gap,
    gap_metric,
    normalized,
    of_each,
    sharpness,
    spectral_share,
    trace,
)

CURVATURE = "loss / parameter²"


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """A kind of number.

    Args:
        key: Its name in programs.
        group: What it is told beside.
        head: Its name over a column.
        unit: Its unit; empty for a pure number.
        formula: What it is.
        meaning: What it tells, in one sentence.
        error: What ± beside it is, in words.
        whisker: What its error bar is, where that is more than ± beside it.
        bare: What that is where no error over the data is known.
        find: Returns what a result has of it.
        drawn: Whether it is worth a bar.
    """

    key: str
    group: str
    head: str
    unit: str = ""
    formula: str
    meaning: str
    error: str = ""
    whisker: str = ""
    bare: str = ""
    find: Find
    drawn: bool = False


_PROBES = "one standard error of the random probes"
_BOTH = "one standard error of the random probes and of the data together"
_DATA = "one standard error over batches as a sample of the data"
_ITEMS = "one standard error over items"
QUANTITIES: tuple[Quantity, ...] = (
    Quantity(
        key="trace", group="Trace", head="trace ± error", unit=CURVATURE, formula="tr H = Σ λ_i",
        meaning="Curvature of the loss in all directions of the encoder together; larger is "
        "sharper; data ± is the standard error over batches as a sample of the data.",
        error=_PROBES, whisker=_BOTH, bare=_PROBES, find=trace, drawn=True,
    ),
    Quantity(
        key="per_parameter", group="Trace", head="per parameter", unit=CURVATURE,
        formula="tr H / n", meaning="Mean eigenvalue: comparable between encoders of other sizes.",
        error=_PROBES, find=normalized("per_parameter"),
    ),
    Quantity(
        key="per_gradient_norm", group="Trace", head="trace / ‖∇L‖", unit="1 / parameter",
        formula="tr H / ‖∇L‖", meaning="The trace relative to the gradient of the same parameters.",
        error=_PROBES, find=normalized("per_gradient_norm"),
    ),
    Quantity(
        key="times_squared_norm", group="Trace", head="trace · ‖θ‖²", unit="loss",
        formula="tr H · ‖θ‖²",
        meaning="The trace after the encoder's parameters are rescaled to length 1.",
        error=_PROBES, find=normalized("times_squared_norm"),
    ),
    Quantity(
        key="largest", group="Eigenvalues", head="λ_max", unit=CURVATURE,
        formula="max λ, H x = λ x",
        meaning="Curvature in the steepest direction; it lies within residual × largest |λ| of the "
        "number, which is printed to the places that this and the data's error leave.",
        error=_DATA, whisker="the residual's bound and one standard error of the data together",
        bare="the residual's bound",
        find=end("largest"), drawn=True,
    ),
    Quantity(
        key="smallest", group="Eigenvalues", head="λ_min", unit=CURVATURE, formula="min λ",
        meaning="Curvature in the most negative direction; below 0 the model stands at a saddle.",
        error=_DATA, find=end("smallest"),
    ),
    Quantity(
        key="negative", group="Spectrum", head="below 0, %",
        formula="100 #{λ < −|λ|_max / 1000} / n",
        meaning="Share of the eigenvalues that are clearly negative, at least to at most: a "
        "quadrature does not tell close eigenvalues apart.",
        error="one standard error over runs", find=spectral_share("negative"),
    ),
    Quantity(
        key="near_zero", group="Spectrum", head="near 0, %",
        formula="100 #{|λ| ≤ |λ|_max / 100} / n",
        meaning="Share of the directions in which the loss is nearly flat, at least to at most.",
        error="one standard error over runs", find=spectral_share("near_zero"),
    ),
    Quantity(
        key="keskar", group="Sharpness", head="Q, %",
        formula="100 (max f − f) / (1 + f), |z_i| ≤ ε (|x_i| + 1)",
        meaning="How far the loss can rise in a small box around the parameters, in percent "
        "(Keskar et al. 2017); spread tells how far the searches agree.",
        error="one standard error over subspaces", find=sharpness(keskar=True), drawn=True,
    ),
    Quantity(
        key="ball", group="Sharpness", head="ball sharpness", unit="loss",
        formula="max or mean of f(x + δ) − f(x), ‖δ‖ ≤ ρ",
        meaning="Rise of the loss within a radius, at worst or on average.",
        error="one standard error over draws or batches", find=sharpness(keskar=False),
        drawn=True,
    ),
    Quantity(
        key="gap", group="Generalization", head="gap τ, %", formula="100 (train − test) / train",
        meaning="How much of the metric on train is lost on test; signed.",
        error="one standard error over the items of both splits", find=gap, drawn=True,
    ),
    Quantity(
        key="train_metric", group="Generalization", head="train", formula="metric on train",
        meaning="The metric of the gap on all items of train.", error=_ITEMS,
        find=gap_metric("train"),
    ),
    Quantity(
        key="test_metric", group="Generalization", head="test", formula="metric on test",
        meaning="The same on all items of test.", error=_ITEMS, find=gap_metric("test"),
    ),
    Quantity(
        key="share", group="Contribution", head="share v_m",
        formula="v_m = max(Φ_m, 0) / Σ max(Φ_k, 0)",
        meaning="Shapley share of the modality in the performance of the model; with another "
        "normalization than clip, as its settings say: Φ_m / Σ Φ_k (raw) or a softmax of Φ.",
        error=_ITEMS, find=of_each("shares", "share_error"), drawn=True,
    ),
    Quantity(
        key="without", group="Contribution", head="without it", formula="metric, input masked",
        meaning="The metric of the model with this modality absent.", error=_ITEMS,
        find=of_each("without", "without_error"),
    ),
    Quantity(
        key="probe", group="Contribution", head="probe", formula="logistic regression on features",
        meaning="What the encoder's frozen features alone predict.", error=_ITEMS,
        find=of_each("probe", "probe_error"), drawn=True,
    ),
    Quantity(
        key="alignment", group="Contribution", head="alignment γ",
        formula="cos(∇ L_m, ∇ L_fusion)",
        meaning="Cosine between the gradients of the modality's own loss and of the fused loss "
        "with respect to the encoder.",
        error="one standard error over batches", find=of_each("alignment", "alignment_error"),
        drawn=True,
    ),
    Quantity(
        key="coupling", group="Coupling", head="share of H_ab", formula="2 ‖H_ab‖² / ‖H_SS‖²",
        meaning="Share of the squared Hessian of two encoders that lies between them; 0 where they "
        "do not meet.",
        error="one standard error over random probes", find=coupling, drawn=True,
    ),
)  # fmt: skip
