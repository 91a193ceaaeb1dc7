"""Our trainer under watch: the same training to the bit, a file beside the checkpoint."""

from pathlib import Path
from typing import Any

import pytest
import torch

from sharpscope.monitor import beside, monitor_of
from sharpscope.recipes import parse_recipe
from sharpscope.results import load
from sharpscope.training import save_checkpoint, train
from tests.monitor.nets import randomness, same

QUICK: dict[str, Any] = {"samples": 32, "products": 24, "rtol": 0.5}


def recipe(method: str, epochs: int = 2, **settings: str) -> Any:
    own = {"width": "4", "dropout": "0.3", "batch_size": "50"}
    return parse_recipe(
        "mfeat:fou+mor", method=method, epochs=epochs, seed=1, settings=own | settings
    )


@pytest.mark.parametrize("method", ["joint", "late", "sam", "msam", "masam"])
def test_training_goes_on_bit_for_bit(method: str):
    chosen = recipe(method)
    torch.manual_seed(7)
    plain = train(chosen)
    before = randomness()
    torch.manual_seed(7)
    monitor = monitor_of(chosen, when=10, **QUICK)
    watched = train(chosen, watch=monitor)
    assert randomness() == before
    assert same(dict(watched.model.state_dict()), dict(plain.model.state_dict()))
    assert [e.losses for e in watched.history] == [e.losses for e in plain.history]
    assert monitor.record.steps == list(range(0, 53, 10))
    assert monitor.record.ended
    absent = monitor.record.settings["absent"]
    assert ("alignment" in absent) == (not chosen.trains_heads)


def test_a_run_that_is_taken_up_goes_on_with_its_file(tmp_path: Path):
    chosen, out = recipe("late", epochs=3), tmp_path / "late.pt"
    whole = monitor_of(chosen, when="epoch", measure=["lambda_max"], **QUICK)
    save_checkpoint(tmp_path / "whole.pt", train(chosen, watch=whole))

    class Stop(Exception):
        pass

    def stop(epoch: Any) -> None:
        if epoch.epoch == 2:
            raise Stop

    how: dict[str, Any] = {"when": "epoch", "measure": ["lambda_max"], "out": beside(out), **QUICK}
    with pytest.raises(Stop):
        train(chosen, out=out, progress=stop, watch=monitor_of(chosen, **how))
    monitor = monitor_of(chosen, **how)
    train(chosen, out=out, resume=True, watch=monitor)
    found = load(beside(out))
    assert found == monitor.record
    assert monitor.record.epochs == [0.0, 1.0, 2.0, 3.0]
    assert monitor.record.course("mor", "lambda_max") == pytest.approx(
        whole.record.course("mor", "lambda_max"), rel=0.05
    )


def test_thresholds_of_the_recipes_optimizer():
    monitor = monitor_of(
        recipe("late", optimizer="sgd", lr="0.1"), when=26, measure=["lambda_max"], **QUICK
    )
    train(recipe("late", optimizer="sgd", lr="0.1"), watch=monitor)
    values = monitor.record.course("fou", "threshold")
    # 2 (1 + 0.9) / 0.1 less the weight decay, and more as the rate falls along its cosine.
    assert values[0] == pytest.approx(38.0 - 0.01)
    assert values[0] is not None
    assert values[1] is not None
    assert values[1] > 1.5 * values[0]
