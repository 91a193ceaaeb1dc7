"""Stage 3: what each modality contributes: Shapley shares, gradient alignment, unimodal probes."""

from sharpscope.contribution.alignment import Alignment as Alignment
from sharpscope.contribution.alignment import alignments as alignments
from sharpscope.contribution.measured import Contribution as Contribution
from sharpscope.contribution.probe import probe as probe

__all__ = ["Alignment", "Contribution", "alignments", "probe"]
