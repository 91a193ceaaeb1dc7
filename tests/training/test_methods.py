"""The sharpness-aware methods in the trainer: settings, history, and what equals what."""

from typing import Any

import pytest
import torch
from torch.nn import functional

from sharpscope.errors import MisuseError, SharpscopeError
from sharpscope.recipes import METHODS, Value, build_dataset, build_model, parse_recipe
from sharpscope.training import Trained, train
from sharpscope.training.stepping import Stepper

QUICK = "mfeat:fou+mor"
SHARP = [name for name in METHODS if name not in ("joint", "late")]


def quick(method: str, epochs: int = 1, **settings: Any) -> Trained:
    given: dict[str, Any] = {"batch_size": 128, **settings}
    return train(parse_recipe(QUICK, method=method, epochs=epochs, settings=given))


def weights(trained: Trained) -> torch.Tensor:
    parts = [*trained.model.encoders.parameters(), *trained.model.fusion.parameters()]
    return torch.cat([p.detach().reshape(-1) for p in parts])


@pytest.mark.parametrize("method", SHARP)
def test_each_learns_and_says_what_it_did(method: str):
    trained = quick(method, epochs=4, lr=0.005)
    assert trained.history[-1].loss < 0.8 * trained.history[0].loss
    for output, metrics in trained.metrics["test"].items():
        assert metrics["accuracy"] > 0.4, output
    last = trained.history[-1]
    names = {"fou", "mor"}
    assert set(last.losses) - {"fusion"} == (names if method == "masam" else set())
    assert set(last.alignment) == (names if method == "masam" else set())
    assert set(last.scores) == (names if method == "masam" else set())
    assert set(last.shares) == (names if method == "msam" else set())
    if last.shares:
        assert sum(last.shares.values()) == pytest.approx(1)
    steps = -(-1350 // 128)
    assert sum(last.dominant.values()) == (steps if method in ("msam", "masam") else 0)


@pytest.mark.parametrize(
    ("method", "plain"), [("sam", "joint"), ("msam", "joint"), ("masam", "late")]
)
def test_at_radius_0_it_is_the_method_without(method: str, plain: str):
    zero, other = quick(method, rho=0.0), quick(plain)
    tolerance = 0.0 if method != "masam" else 1e-4  # AdamW enlarges rounding where gradients vanish
    assert (weights(zero) - weights(other)).abs().max() <= tolerance


def test_unimodal_losses_can_be_added_to_msam():
    alone, added = quick("msam"), quick("msam", unimodal_weight=1.0)
    assert set(added.history[0].losses) == {"fusion", "fou", "mor"}
    assert not torch.equal(weights(alone), weights(added))
    assert added.recipe.trains_heads
    assert not alone.recipe.trains_heads


OTHERS: list[tuple[str, dict[str, Value]]] = [
    ("sam", {"rho": 0.2}),
    ("asam", {"eta": 0.5}),
    ("msam", {"rho": 0.2}),
    ("msam", {"decompose": "present"}),
    ("msam", {"decompose": "present", "mask": "mean_feature", "unimodal_weight": 1.0}),
    ("msam", {"contribution": "true_prob"}),
    ("msam", {"mask": "zero_feature"}),
    ("msam", {"normalize": "softmax"}),
    ("msam", {"scope": "dominant"}),
    ("msam", {"empty": "zero"}),
    ("msam", {"every": 4}),
    ("msam", {"ema": 0.9}),
    ("masam", {"rho": 0.1}),
    ("masam", {"alpha": 1.0}),
    ("masam", {"beta": 0.1, "alpha": 0.9}),
    ("masam", {"mode": "official"}),
    ("masam", {"decay": "trend", "alpha": 0.9}),
    ("masam", {"other_first": "yes"}),
    ("masam", {"select": "no"}),
    ("masam", {"scale": "no"}),
    ("masam", {"score": "ogm"}),
    ("masam", {"direction": "difference"}),
    ("masam", {"alignment": "feature"}),
    ("masam", {"every": 5}),
    ("masam", {"unimodal_weight": 0.5}),
]


@pytest.mark.parametrize(("method", "settings"), OTHERS, ids=lambda v: str(v))
def test_every_setting_changes_the_run(method: str, settings: dict[str, Value]):
    base: dict[str, Any] = {"rho": 0.5}  # so that differences show in a few steps
    changed: dict[str, Any] = {**base, **settings}
    plain, other = quick(method, **base), quick(method, **changed)
    assert not torch.equal(weights(plain), weights(other))


def test_settings_out_of_range_are_told():
    for method, name, value, message in (
        ("sam", "rho", "-1", "setting rho must be a number of at least 0; got '-1'"),
        ("masam", "alpha", "2", "setting alpha must be a number from 0 to 1; got '2'"),
        ("masam", "select", "maybe", "setting select must be 'yes' or 'no'; got 'maybe'"),
        ("masam", "unimodal_weight", "0", "unimodal_weight must be a number above 0; got '0'"),
        ("msam", "alpha", "0.3", "with method msam must be .*; got 'alpha'"),
    ):
        with pytest.raises(MisuseError, match=message):
            parse_recipe(QUICK, method=method, settings={name: value})


def test_settings_that_exclude_each_other_are_told_before_training():
    told: list[Any] = []
    recipe = parse_recipe(
        QUICK, method="masam", settings={"mode": "official", "other_first": "yes"}
    )
    with pytest.raises(MisuseError, match="mode='official' is the public code as it is"):
        train(recipe, progress=told.append)
    assert told == []


def test_a_diverging_run_names_the_epoch_and_the_rate():
    with pytest.raises(SharpscopeError, match=r"diverged in epoch 1: .*; the setting lr is now"):
        quick("sam", optimizer="sgd", lr=1e30)


@pytest.mark.parametrize("mask", ["zero_input", "zero_feature", "mean_feature"])
def test_the_loss_with_one_modality_present_is_that_of_masking_the_other(mask: str):
    settings: dict[str, Value] = {"decompose": "present", "mask": mask, "unimodal_weight": 1.0}
    recipe = parse_recipe(QUICK, method="msam", settings=settings)
    dataset = build_dataset(recipe)
    model = build_model(recipe, dataset)
    stepper = Stepper(recipe, model, torch.optim.SGD(model.parameters(), lr=0.1))
    batch = dataset.splits["train"].batches(7)[0]
    found = stepper._forward_present(batch)(frozenset({"fou"}))
    inputs = dict(batch)
    if mask == "zero_input":
        inputs["mor"] = torch.zeros_like(batch["mor"])
    z = {name: encoder(inputs[name]) for name, encoder in model.encoders.items()}
    if mask != "zero_input":
        z["mor"] = (0.0 if mask == "zero_feature" else 1.0) * z["mor"].mean(0).repeat(7, 1)
    wanted = functional.cross_entropy(model.fusion(z), batch["target"])
    assert found.fusion.item() == pytest.approx(wanted.item(), rel=1e-6)
    alone = functional.cross_entropy(model.heads["fou"](z["fou"]), batch["target"])
    assert found.unimodal["fou"].item() == pytest.approx(alone.item(), rel=1e-6)
