"""How much each modality contributes: Shapley shares."""

from sharpscope.contribution.shapley import EXACT as EXACT
from sharpscope.contribution.shapley import NORMALIZE as NORMALIZE
from sharpscope.contribution.shapley import Performance as Performance
from sharpscope.contribution.shapley import Shapley as Shapley
from sharpscope.contribution.shapley import interactions as interactions
from sharpscope.contribution.shapley import shapley as shapley
from sharpscope.contribution.shapley import shares as shares
from sharpscope.contribution.shapley import subsets as subsets

__all__ = [
    "EXACT",
    "NORMALIZE",
    "Performance",
    "Shapley",
    "interactions",
    "shapley",
    "shares",
    "subsets",
]
