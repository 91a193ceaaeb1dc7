"""Fusions against their formulas."""

import re

import pytest
import torch

from sharpscope.errors import MisuseError
from sharpscope.models import ConcatFusion, MaxoutFusion, SumFusion, build_fusion

FEATURES = {
    "a": torch.tensor([[1.0, 2.0], [0.0, -1.0]]),
    "b": torch.tensor([[3.0, 4.0], [5.0, 1.0]]),
}


def test_concat_is_linear_in_all_features():
    fusion = ConcatFusion(modalities=2, width=2, outputs=3)
    rows = torch.tensor([[1.0, 2.0, 3.0, 4.0], [0.0, -1.0, 5.0, 1.0]])
    wanted = rows @ fusion.classify.weight.T + fusion.classify.bias
    assert torch.allclose(fusion(FEATURES), wanted)


def test_sum_adds_logits_and_has_no_parameters():
    fusion = SumFusion()
    assert torch.equal(fusion(FEATURES), torch.tensor([[4.0, 6.0], [5.0, 0.0]]))
    assert not list(fusion.parameters())


def test_maxout_takes_the_largest_piece_of_each_unit():
    fusion = MaxoutFusion(modalities=2, width=2, outputs=3, hidden=5, pieces=2)
    rows = torch.tensor([[1.0, 2.0, 3.0, 4.0], [0.0, -1.0, 5.0, 1.0]])
    expanded = fusion.expand(rows)
    units = torch.maximum(expanded[:, 0::2], expanded[:, 1::2])
    assert torch.allclose(fusion(FEATURES), fusion.classify(units))
    assert not torch.equal(units, expanded[:, 0::2])


@pytest.mark.parametrize("name", ["concat", "sum", "maxout"])
def test_built_by_name(name: str):
    fusion = build_fusion(name, modalities=2, width=2, outputs=2)
    assert fusion(FEATURES).shape == (2, 2)


def test_unknown_name():
    sentence = "fusion must be 'concat', 'sum' or 'maxout'; got 'concut'; did you mean 'concat'?"
    with pytest.raises(MisuseError, match=f"^{re.escape(sentence)}$"):
        build_fusion("concut", modalities=2, width=2, outputs=2)
