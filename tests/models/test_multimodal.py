"""The model of several modalities: which parts run, how often, and on what."""

from collections import Counter

import pytest
import torch
from torch import Tensor, nn

from sharpscope.models import FUSIONS, MultimodalModel, PerceptronEncoder, build_fusion

INPUTS = {"x": torch.randn(6, 3), "y": torch.randn(6, 5), "target": torch.zeros(6)}


@pytest.fixture(params=list(FUSIONS))
def model(request: pytest.FixtureRequest) -> MultimodalModel:
    fusion = build_fusion(request.param, modalities=2, width=4, outputs=3)
    encoders = {"x": PerceptronEncoder((3,), width=4), "y": PerceptronEncoder((5,), width=4)}
    return MultimodalModel(encoders, fusion=fusion, width=4, outputs=3).eval()


def calls(model: MultimodalModel) -> Counter[str]:
    """Count from now on how often each part is called."""
    counts = Counter[str]()
    parts = {
        **{f"encoders.{name}": part for name, part in model.encoders.items()},
        **{f"heads.{name}": part for name, part in model.heads.items()},
        "fusion": model.fusion,
    }
    for name, part in parts.items():

        def count(module: nn.Module, inputs: object, output: Tensor, name: str = name) -> None:
            counts[name] += 1

        part.register_forward_hook(count)
    return counts


def test_outputs_come_from_one_pass(model: MultimodalModel):
    counts = calls(model)
    outputs = model.outputs(INPUTS)
    assert counts == Counter(["encoders.x", "encoders.y", "heads.x", "heads.y", "fusion"])
    assert torch.equal(outputs.fusion, model(INPUTS))
    for name in ("x", "y"):
        assert torch.equal(outputs.unimodal[name], model.unimodal(name, INPUTS))


def test_a_unimodal_output_runs_its_own_parts_alone(model: MultimodalModel):
    counts = calls(model)
    assert model.unimodal("y", {"y": INPUTS["y"]}).shape == (6, 3)
    assert counts == Counter(["encoders.y", "heads.y"])


def test_forward_is_fuse_of_features_in_any_order(model: MultimodalModel):
    features = model.features(INPUTS)
    assert list(features) == ["x", "y"]
    turned = {"y": features["y"], "x": features["x"]}
    assert torch.equal(model.fuse(turned), model(INPUTS))
    assert torch.equal(model.fuse(features), model(INPUTS))


def test_fusion_depends_on_every_modality(model: MultimodalModel):
    for name in ("x", "y"):
        changed = INPUTS | {name: INPUTS[name] + 1}
        assert not torch.equal(model(changed), model(INPUTS))


def test_one_modality_is_enough():
    fusion = build_fusion("concat", modalities=1, width=4, outputs=2)
    model = MultimodalModel({"x": nn.Linear(3, 4)}, fusion=fusion, width=4, outputs=2)
    assert model.outputs({"x": INPUTS["x"]}).fusion.shape == (6, 2)


def test_the_sum_of_logits_is_the_sum_of_the_heads():
    encoders = {"x": nn.Linear(3, 4), "y": nn.Linear(5, 4)}
    fusion = build_fusion("sum", modalities=2, width=4, outputs=2)
    outputs = MultimodalModel(encoders, fusion=fusion, width=4, outputs=2).outputs(INPUTS)
    assert torch.allclose(outputs.fusion, outputs.unimodal["x"] + outputs.unimodal["y"])
