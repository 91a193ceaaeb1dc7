"""Heads that training left alone are fitted, and nothing else moves."""

import torch
from torch.nn import functional as F

from sharpscope.recipes import build_dataset, build_model, parse_recipe
from sharpscope.training import fit_heads
from sharpscope.training.heads import PENALTY


def test_only_heads_move_and_they_reach_the_minimum():
    recipe = parse_recipe("mfeat:fou+mor")
    dataset = build_dataset(recipe)
    model = build_model(recipe, dataset).train()
    before = {name: values.clone() for name, values in model.state_dict().items()}
    split = dataset.splits["train"]
    fit_heads(model, split)
    for name, values in model.state_dict().items():
        assert torch.equal(values, before[name]) != name.startswith("heads."), name
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(module.training for module in model.modules())
    model.eval()
    features = model.features(split.inputs)
    for name, head in model.heads.items():
        parameters = list(head.parameters())
        loss = F.cross_entropy(head(features[name].detach()), split.target)
        loss = loss + PENALTY * sum(parameter.square().sum() for parameter in parameters)
        slopes = torch.autograd.grad(loss, parameters)
        assert max(slope.abs().max().item() for slope in slopes) < 5e-3
        assert loss.item() < 2.0  # ln 10 = 2.30 is chance


def test_the_fit_does_not_depend_on_where_the_heads_started():
    recipe = parse_recipe("mfeat:mor")
    dataset = build_dataset(recipe)
    model = build_model(recipe, dataset)
    states: list[torch.Tensor] = []
    for _ in range(2):
        torch.nn.init.normal_(next(model.heads.parameters()))
        fit_heads(model, dataset.splits["train"])
        states.append(next(model.heads.parameters()).detach().clone())
    assert torch.equal(states[0], states[1])
