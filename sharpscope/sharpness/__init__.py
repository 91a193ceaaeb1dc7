"""Stage 3: sharpness from losses around the parameters: Keskar's Q, balls, generalization gap."""

from sharpscope.sharpness.ball import BallSharpness as BallSharpness
from sharpscope.sharpness.gap import GeneralizationGap as GeneralizationGap
from sharpscope.sharpness.keskar import KeskarSharpness as KeskarSharpness

__all__ = ["BallSharpness", "GeneralizationGap", "KeskarSharpness"]
