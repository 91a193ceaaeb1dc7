"""The training methods by name, each with the settings that it adds."""

from collections.abc import Mapping
from dataclasses import dataclass

from sharpscope.recipes.settings import Setting, number


@dataclass(frozen=True, kw_only=True)
class Method:
    """A way to train.

    Args:
        name: Registered name.
        description: One line for people.
        trains_heads: Whether the unimodal heads are part of the training loss.
        settings: What the method adds to the settings that every recipe has.
    """

    name: str
    description: str
    trains_heads: bool
    settings: tuple[Setting, ...] = ()


METHODS: Mapping[str, Method] = {
    method.name: method
    for method in (
        Method(
            name="joint",
            description="the loss of the fused prediction alone",
            trains_heads=False,
        ),
        Method(
            name="late",
            description="the fused loss plus the weighted sum of the unimodal losses",
            trains_heads=True,
            settings=(
                number(
                    "unimodal_weight",
                    1.0,
                    span="of at least 0",
                    inside=lambda value: value >= 0,
                    description="weight λ of each unimodal loss",
                ),
            ),
        ),
    )
}
