"""Data and models from recipes: what the names say, from streams of their own."""

import pytest
import torch
from torch import nn

from sharpscope.models import (
    ConcatFusion,
    ConvEncoder1d,
    ConvEncoder2d,
    MaxoutFusion,
    PerceptronEncoder,
    SumFusion,
    TransformerEncoder,
)
from sharpscope.recipes import Value, build_dataset, build_model, parse_recipe


@pytest.mark.parametrize(
    ("settings", "encoders", "fusion"),
    [
        ({}, (ConvEncoder2d, ConvEncoder1d), ConcatFusion),
        (
            {"series_encoder": "transformer", "image_encoder": "mlp", "fusion": "sum"},
            (PerceptronEncoder, TransformerEncoder),
            SumFusion,
        ),
        ({"fusion": "maxout", "modalities": "audio"}, (ConvEncoder1d,), MaxoutFusion),
    ],
)
def test_the_model_is_what_the_recipe_says(
    settings: dict[str, Value], encoders: tuple[type, ...], fusion: type
):
    recipe = parse_recipe("avdigits", settings={"width": 8, **settings})
    dataset = build_dataset(recipe)
    model = build_model(recipe, dataset)
    assert tuple(model.encoders) == tuple(dataset.modalities) == recipe.modalities
    assert tuple(type(encoder) for encoder in model.encoders.values()) == encoders
    assert isinstance(model.fusion, fusion)
    batch = dataset.splits["val"].batches(4)[0]
    assert model(batch).shape == (4, 10)
    assert next(iter(model.features(batch).values())).shape == (4, 8)


def test_dropout_reaches_the_encoders():
    recipe = parse_recipe("avdigits", settings={"dropout": 0.3})
    model = build_model(recipe, build_dataset(recipe))
    rates = {module.p for module in model.modules() if isinstance(module, nn.Dropout)}
    assert rates == {0.3}


def test_initial_values_depend_on_the_seed_alone():
    before = torch.get_rng_state()
    states = []
    for seed in (0, 0, 1):
        recipe = parse_recipe("mfeat:fou+mor", seed=seed)
        states.append(build_model(recipe, build_dataset(recipe)).state_dict())
        torch.rand(3)
    assert all(torch.equal(values, states[1][name]) for name, values in states[0].items())
    weight = "encoders.fou.layers.1.weight"
    assert not torch.equal(states[0][weight], states[2][weight])
    torch.set_rng_state(before)
    recipe = parse_recipe("mfeat:fou+mor")
    build_model(recipe, build_dataset(recipe))
    assert torch.equal(torch.get_rng_state(), before)


def test_an_encoder_starts_the_same_whichever_others_there_are():
    whole = parse_recipe("mfeat:fou+mor")
    alone = parse_recipe("mfeat:fou+mor", settings={"modalities": "mor"})
    one, two = (
        build_model(recipe, build_dataset(recipe)).encoders["mor"] for recipe in (whole, alone)
    )
    for first, second in zip(one.parameters(), two.parameters(), strict=True):
        assert torch.equal(first, second)


def test_runs_of_several_seeds_share_their_data():
    zero, one, other = (
        build_dataset(parse_recipe("mfeat:mor", seed=seed, settings={"data_seed": data_seed}))
        for seed, data_seed in ((0, 0), (1, 0), (0, 1))
    )
    target = zero.splits["train"].target
    assert torch.equal(target, one.splits["train"].target)
    assert not torch.equal(target, other.splits["train"].target)
