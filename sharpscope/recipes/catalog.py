"""Which settings a recipe has, and their defaults for each data set."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sharpscope.datasets import DatasetEntry
from sharpscope.datasets.noise import NOISE_KINDS
from sharpscope.models import ENCODERS, FUSIONS
from sharpscope.recipes.methods import Method
from sharpscope.recipes.settings import Setting, Value, choice, number, whole

COMMON = (
    Setting(
        name="modalities",
        description="modalities to train on, joined by +; empty is all of the preset",
        type="text",
        default="",
    ),
    choice(
        "fusion",
        "concat",
        allowed=tuple(FUSIONS),
        description="late (concat, sum) or early (maxout)",
    ),
    whole("width", 32, least=1, most=4096, description="numbers in each encoder's embedding"),
    number(
        "dropout",
        0.0,
        span="from 0 to below 1",
        inside=lambda value: 0 <= value < 1,
        description="share of activations set to zero in training",
    ),
    choice("optimizer", "adamw", allowed=("adamw", "sgd"), description="base optimizer"),
    number(
        "lr",
        2e-3,
        span="above 0",
        inside=lambda value: value > 0,
        description="learning rate at the start; it falls to 0 along a cosine",
    ),
    number(
        "momentum",
        0.9,
        span="from 0 to below 1",
        inside=lambda value: 0 <= value < 1,
        description="of sgd; adamw ignores it",
    ),
    number(
        "weight_decay",
        0.01,
        span="of at least 0",
        inside=lambda value: value >= 0,
        description="decoupled (adamw) or added to the gradient (sgd)",
    ),
    whole(
        "batch_size", 64, least=2, most=1_000_000, description="items per step; BatchNorm needs 2"
    ),
    whole(
        "patience",
        0,
        least=0,
        most=1_000_000,
        description="epochs without a better validation score after which training stops; 0: never",
    ),
    choice(
        "keep",
        "last",
        allowed=("last", "best"),
        description="weights of the last epoch, or of the one with the best validation score",
    ),
    number(
        "label_noise",
        0.0,
        span="from 0 to below 1",
        inside=lambda value: 0 <= value < 1,
        description="share of the training labels that are made wrong",
    ),
    choice(
        "noise_kind",
        "symmetric",
        allowed=NOISE_KINDS,
        description="wrong labels are any other class, or the next one",
    ),
    whole(
        "data_seed",
        0,
        least=0,
        most=2**63 - 1,
        description="validation split, order and noise of the data; apart from the recipe's seed, "
        "so that runs of several seeds share their data",
    ),
)


@dataclass(frozen=True, kw_only=True)
class Defaults:
    """What a data set asks for that others do not.

    Args:
        epochs: Passes over the training split.
        settings: Defaults that differ from those of the setting.
    """

    epochs: int
    settings: Mapping[str, Value] = field(default_factory=dict[str, Value])


DEFAULTS: Mapping[str, Defaults] = {
    "avdigits": Defaults(epochs=15),
    "emoji": Defaults(epochs=15, settings={"dropout": 0.2}),
    "mfeat": Defaults(epochs=30),
    "ehr-cxr": Defaults(epochs=10, settings={"series_encoder": "transformer", "dropout": 0.2}),
}


def available(entry: DatasetEntry, preset: str, method: Method) -> dict[str, Setting]:
    """Return the settings of a recipe by name: common ones, encoders that it has, the method's."""
    kinds = {entry.kinds[name] for name in entry.modalities(preset)}
    encoders = [
        choice(
            f"{kind}_encoder",
            next(iter(ENCODERS[kind])),
            allowed=tuple(ENCODERS[kind]),
            description=f"encoder of {kind} inputs",
        )
        for kind in ENCODERS
        if kind in kinds
    ]
    return {setting.name: setting for setting in (*COMMON, *encoders, *method.settings)}
