"""How much each modality contributes: Shapley shares."""

from sharpscope.contribution.shapley import Shapley as Shapley
from sharpscope.contribution.shapley import interactions as interactions
from sharpscope.contribution.shapley import shapley as shapley
from sharpscope.contribution.shapley import shares as shares

__all__ = ["Shapley", "interactions", "shapley", "shares"]
