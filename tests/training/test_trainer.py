"""The trainer: repeatable, quiet about the world, and obedient to every setting."""

import json
from typing import Any

import pytest
import torch
from torch import Tensor

from sharpscope.errors import SharpscopeError
from sharpscope.recipes import METHODS, Value, parse_recipe
from sharpscope.training import Epoch, Trained, train
from sharpscope.training.run import cuts as cuts_of

QUICK = "mfeat:fou+mor"


def quick(
    settings: dict[str, Value] | None = None,
    *,
    method: str = "late",
    seed: int = 0,
    epochs: int = 2,
) -> Trained:
    """Train the smallest recipe for a moment."""
    recipe = parse_recipe(QUICK, method=method, seed=seed, epochs=epochs, settings=settings)
    return train(recipe)


def same(one: dict[str, Tensor], two: dict[str, Tensor]) -> bool:
    """Say whether two states agree to the last bit."""
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize(
    ("recipe", "method"),
    [(QUICK, method) for method in METHODS]
    + [("ehr-cxr:small", "late"), ("ehr-cxr:small", "masam")],
)
def test_a_repeated_run_is_bit_identical(recipe: str, method: str):
    runs: list[Trained] = []
    for _ in range(2):
        torch.rand(7)  # the global state differs and must not matter
        runs.append(train(parse_recipe(recipe, method=method, epochs=1)))
    assert same(runs[0].model.state_dict(), runs[1].model.state_dict())
    assert runs[0].metrics == runs[1].metrics


def test_another_seed_is_another_run():
    assert not same(quick().model.state_dict(), quick(seed=1).model.state_dict())


def test_the_global_random_state_is_untouched():
    before = torch.get_rng_state()
    quick({"dropout": 0.5})
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("base", "settings"),
    [
        ({}, {"lr": 0.01}),
        ({}, {"weight_decay": 0.5}),
        ({}, {"batch_size": 32}),
        ({}, {"dropout": 0.5}),
        ({}, {"unimodal_weight": 0.5}),
        ({}, {"optimizer": "sgd"}),
        ({}, {"data_seed": 1}),
        ({"optimizer": "sgd"}, {"momentum": 0.0}),
        ({"optimizer": "sgd"}, {"weight_decay": 0.5}),
        ({}, {"fusion": "maxout"}),
        ({}, {"width": 8}),
    ],
)
def test_every_setting_changes_the_run(base: dict[str, Value], settings: dict[str, Value]):
    plain, other = quick(base, epochs=1), quick(base | settings, epochs=1)
    assert plain.metrics["train"]["fusion"] != other.metrics["train"]["fusion"]


def test_late_with_weight_zero_is_joint():
    zero, joint = quick({"unimodal_weight": 0.0}), quick(method="joint")
    for part in ("encoders", "fusion"):
        one, two = (getattr(run.model, part).state_dict() for run in (zero, joint))
        assert same(one, two)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("method", ["joint", "late"])
@pytest.mark.parametrize("fusion", ["concat", "sum", "maxout"])
def test_training_learns(optimizer: str, method: str, fusion: str):
    rate = 0.05 if optimizer == "sgd" else 0.005
    settings: dict[str, Value] = {"optimizer": optimizer, "fusion": fusion, "lr": rate}
    trained = quick(settings, method=method, epochs=4)
    assert trained.history[-1].loss < 0.7 * trained.history[0].loss
    for output, metrics in trained.metrics["test"].items():
        assert metrics["accuracy"] > 0.5, output  # chance is 0.1


def test_progress_is_told_each_epoch():
    told: list[Epoch] = []
    trained = train(parse_recipe(QUICK, epochs=3), progress=told.append)
    assert tuple(told) == trained.history
    assert [entry.epoch for entry in told] == [1, 2, 3]
    assert {entry.epochs for entry in told} == {3}
    assert 0 < told[0].seconds <= told[2].seconds <= trained.seconds


def test_what_watches_takes_no_time_of_training(monkeypatch: pytest.MonkeyPatch):
    now = [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])

    class Slow:
        def begin(self, *_: Any, **__: Any) -> None:
            now[0] += 100.0

        def __call__(self, step: int | None = None, *, epoch: float | None = None) -> None:
            now[0] += 100.0

        def epoch(self, number: int) -> None:
            now[0] += 100.0

        def close(self, *, ended: bool = True) -> None:
            now[0] += 100.0

    def ended(epoch: Epoch) -> None:
        now[0] += 7.0

    trained = train(parse_recipe(QUICK, epochs=2), watch=Slow(), progress=ended)
    assert now[0] > 2000.0
    assert [epoch.seconds for epoch in trained.history] == [0.0, 7.0]
    assert trained.seconds == 14.0


def test_the_result_is_ready_to_use():
    trained = quick()
    assert not any(module.training for module in trained.model.modules())
    assert all(parameter.grad is None for parameter in trained.model.parameters())
    assert list(trained.metrics) == ["train", "val", "test"]
    assert json.loads(json.dumps(trained.metrics)) == trained.metrics


@pytest.mark.parametrize(
    ("items", "size", "cuts"),
    [
        (6, 3, [(0, 3), (3, 6)]),
        (8, 3, [(0, 3), (3, 6), (6, 8)]),
        (7, 3, [(0, 3), (3, 7)]),
        (3, 5, [(0, 3)]),
        (1, 5, [(0, 1)]),
    ],
)
def test_one_item_left_over_joins_the_batch_before(
    items: int, size: int, cuts: list[tuple[int, int]]
):
    assert cuts_of(items, size) == cuts


def test_a_batch_size_that_leaves_one_item_trains():
    assert 1350 % 71 == 1  # the training items of mfeat
    assert len(quick({"batch_size": 71}, epochs=1).history) == 1


def test_a_diverging_run_says_so():
    with pytest.raises(
        SharpscopeError,
        match=r"^training diverged: the loss of epoch \d is (nan|inf); lower the setting lr, "
        r"now 1e\+30$",
    ):
        quick({"optimizer": "sgd", "lr": 1e30})


def test_all_settings_of_a_run_are_in_its_recipe():
    stored: Any = quick({"dropout": 0.25}).recipe.to_dict()
    assert stored["settings"]["dropout"] == 0.25
    assert stored["method"] == "late"
