"""The training methods by name, each with the settings that it adds."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sharpscope.recipes.settings import Setting, choice, number, whole


@dataclass(frozen=True, kw_only=True)
class Method:
    """A way to train.

    Args:
        name: Registered name.
        description: One line for people.
        settings: What the method adds to the settings that every recipe has.
    """

    name: str
    description: str
    settings: tuple[Setting, ...] = ()


YES_NO = ("yes", "no")

WEIGHT = number(
    "unimodal_weight",
    1.0,
    span="of at least 0",
    inside=lambda value: value >= 0,
    description="weight λ of each unimodal loss",
)
# SAM and M-SAM were published for the loss of the fused prediction alone.
NO_WEIGHT = replace(WEIGHT, default=0.0)
POSITIVE_WEIGHT = replace(WEIGHT, span="above 0", inside=lambda value: value > 0)


def _rho(default: float) -> Setting:
    return number(
        "rho",
        default,
        span="of at least 0",
        inside=lambda value: value >= 0,
        description="radius ρ of the perturbation",
    )


def _share(name: str, default: float, description: str) -> Setting:
    return number(
        name,
        default,
        span="from 0 to 1",
        inside=lambda value: 0 <= value <= 1,
        description=description,
    )


EVERY = whole(
    "every",
    1,
    least=1,
    most=1_000_000,
    description="steps for which a selection or the shares are kept; 1 as published",
)

MSAM = (
    _rho(0.05),
    NO_WEIGHT,
    choice(
        "decompose",
        "share",
        allowed=("share", "present"),
        description="loss of a modality: its share of the loss, or the loss with it alone present",
    ),
    choice(
        "contribution",
        "accuracy",
        allowed=("accuracy", "neg_loss", "true_prob"),
        description="performance that the Shapley values are of",
    ),
    choice(
        "mask",
        "zero_input",
        allowed=("zero_input", "zero_feature", "mean_feature"),
        description="what stands for an absent modality",
    ),
    choice(
        "normalize",
        "clip",
        allowed=("clip", "raw", "softmax"),
        description="from Shapley values to shares; raw as published",
    ),
    choice(
        "scope",
        "all",
        allowed=("all", "dominant", "dominant+other"),
        description="which parameters are perturbed; all as published",
    ),
    choice(
        "empty",
        "evaluate",
        allowed=("evaluate", "zero"),
        description="performance with every modality masked: evaluated, or taken as zero",
    ),
    EVERY,
    _share("ema", 0.0, "share of the old shares in the new ones; 0 as published"),
)

MASAM = (
    _rho(0.5),
    POSITIVE_WEIGHT,
    _share("alpha", 0.3, "weight α of the loss decay against the alignment"),
    _share("beta", 0.9, "memory β of the losses' moving average"),
    choice(
        "mode",
        "paper",
        allowed=("paper", "official"),
        description="as published, or as the public code computes it",
    ),
    choice(
        "decay",
        "paper",
        allowed=("paper", "trend"),
        description="loss decay as published, or positive while a loss falls",
    ),
    choice("other_first", "no", allowed=YES_NO, description="step the shared parameters first"),
    choice("select", "yes", allowed=YES_NO, description="perturb the dominant encoder alone"),
    choice("scale", "yes", allowed=YES_NO, description="scale the perturbation by the alignment"),
    choice(
        "score",
        "aps",
        allowed=("aps", "ogm"),
        description="what the dominant encoder is the largest of: the published score, or the "
        "summed probability of the true class",
    ),
    choice(
        "direction",
        "fusion",
        allowed=("fusion", "difference", "orthogonal"),
        description="direction of the perturbation; fusion as published",
    ),
    choice(
        "negative",
        "signed",
        allowed=("signed", "clamp"),
        description="what a negative alignment does: downhill as published, or nothing",
    ),
    choice(
        "alignment",
        "parameters",
        allowed=("parameters", "feature"),
        description="where the alignment is taken; feature is cheaper and an approximation",
    ),
    EVERY,
)

METHODS: Mapping[str, Method] = {
    method.name: method
    for method in (
        Method(name="joint", description="the loss of the fused prediction alone"),
        Method(
            name="late",
            description="the fused loss plus the weighted sum of the unimodal losses",
            settings=(WEIGHT,),
        ),
        Method(
            name="sam",
            description="sharpness-aware minimization of all parameters",
            settings=(_rho(0.05), NO_WEIGHT),
        ),
        Method(
            name="asam",
            description="sharpness-aware minimization in the scale of the parameters",
            settings=(
                _rho(0.5),
                NO_WEIGHT,
                number(
                    "eta",
                    0.01,
                    span="of at least 0",
                    inside=lambda value: value >= 0,
                    description="added to each |θ|, so that zeros are perturbed as well",
                ),
            ),
        ),
        Method(
            name="msam",
            description="as sharpness-aware as the dominant modality's Shapley share",
            settings=MSAM,
        ),
        Method(
            name="masam",
            description="the dominant encoder perturbed as far as its gradients agree",
            settings=MASAM,
        ),
    )
}
