"""Losses as (sum, weight): right whatever the batches, for classes and for labels."""

import pytest
import torch
from torch.nn import functional as F

from sharpscope.recipes import (
    build_dataset,
    build_model,
    losses,
    parse_recipe,
    total_of,
    training_losses,
)


@pytest.mark.parametrize("name", ["mfeat:fou+mor", "ehr-cxr:small"])
def test_uneven_batches_give_the_mean_over_all_items(name: str):
    recipe = parse_recipe(name, method="late")
    dataset = build_dataset(recipe)
    model = build_model(recipe, dataset).eval().double()
    split = dataset.splits["val"]
    batches = [
        {
            key: values.double() if values.is_floating_point() else values
            for key, values in b.items()
        }
        for b in split.batches(33)
    ]
    assert len(split) % 33
    whole = {key: torch.cat([b[key] for b in batches]) for key in batches[0]}
    outputs = model.outputs(whole)
    logits = {"fusion": outputs.fusion, **outputs.unimodal}
    assert list(losses(recipe, dataset)) == ["fusion", *dataset.modalities]
    for key, loss in losses(recipe, dataset).items():
        terms = [loss(model, batch) for batch in batches]
        mean = sum(term.item() for term, _ in terms) / sum(weight for _, weight in terms)
        if dataset.multilabel:
            wanted = F.binary_cross_entropy_with_logits(logits[key], whole["target"])
        else:
            wanted = F.cross_entropy(logits[key], whole["target"])
        assert mean == pytest.approx(wanted.item(), rel=1e-12)


def test_weights_count_items_and_labels():
    for name, weight in (("mfeat:mor", 7.0), ("ehr-cxr:small", 7.0 * 25)):
        recipe = parse_recipe(name)
        dataset = build_dataset(recipe)
        batch = dataset.splits["test"].batches(7)[0]
        model = build_model(recipe, dataset).eval()
        for loss in losses(recipe, dataset).values():
            assert loss(model, batch)[1] == weight


@pytest.mark.parametrize(("method", "unimodal"), [("joint", 0.0), ("late", 0.25)])
def test_the_total_adds_weighted_unimodal_losses(method: str, unimodal: float):
    settings = {"unimodal_weight": unimodal} if unimodal else {}
    recipe = parse_recipe("mfeat:fou+mor", method=method, settings=settings)
    dataset = build_dataset(recipe)
    model = build_model(recipe, dataset).eval()
    batch = dataset.splits["val"].batches(20)[0]
    parts = {name: loss(model, batch)[0] for name, loss in losses(recipe, dataset).items()}
    wanted = parts["fusion"] + unimodal * (parts["fou"] + parts["mor"])
    sums, weight = training_losses(recipe)(model, batch)
    assert list(sums) == (["fusion", "fou", "mor"] if unimodal else ["fusion"])
    total = total_of(sums, recipe.unimodal_weight)
    assert total.item() == pytest.approx(wanted.item(), rel=1e-6)
    assert weight == 20
