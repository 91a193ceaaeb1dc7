"""Interrupted runs go on as if they had not been; kept epochs; what is selected on validation."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from sharpscope.errors import CheckpointError, MisuseError
from sharpscope.recipes import METHODS, Recipe, Value, parse_recipe
from sharpscope.subject.rebuild import load_subject
from sharpscope.training import Epoch, Trained, save_checkpoint, train

QUICK = "mfeat:fou+mor"


def recipe_of(method: str = "late", epochs: int = 4, **settings: Any) -> Recipe:
    given: dict[str, Value] = {"batch_size": 128, "dropout": 0.3, **settings}
    return parse_recipe(QUICK, method=method, epochs=epochs, settings=given)


def same(one: Trained, other: Trained) -> bool:
    states: list[dict[str, Tensor]] = [run.model.state_dict() for run in (one, other)]
    return all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def untimed(history: tuple[Epoch, ...]) -> list[dict[str, Any]]:
    return [{k: v for k, v in vars(epoch).items() if k != "seconds"} for epoch in history]


class Interrupted(Exception):
    """Instead of a power cut."""


def interrupt(recipe: Recipe, out: Path, after: int) -> None:
    def stop(epoch: Epoch) -> None:
        if epoch.epoch == after:
            raise Interrupted

    with pytest.raises(Interrupted):
        train(recipe, out=out, progress=stop)


@pytest.mark.parametrize("method", METHODS)
def test_a_run_that_was_interrupted_goes_on_bit_for_bit(method: str, tmp_path: Path):
    recipe, out = (
        recipe_of(method, rho=0.3) if method not in ("joint", "late") else recipe_of(method),
        tmp_path / "a.pt",
    )
    whole = train(recipe)
    interrupt(recipe, out, after=2)
    torch.rand(5)
    again = train(recipe, out=out, resume=True)
    assert same(whole, again)
    assert untimed(whole.history) == untimed(again.history)
    assert whole.metrics == again.metrics
    assert [path.name for path in tmp_path.iterdir()] == ["a.pt.state"]
    save_checkpoint(out, again)
    assert [path.name for path in tmp_path.iterdir()] == ["a.pt"]


def test_a_run_killed_on_the_command_line_goes_on(tmp_path: Path):
    command = [sys.executable, "-m", "sharpscope_cli", "train", QUICK, "--method", "masam"]
    command += ["--epochs", "6", "--set", "batch_size=128", "--out", "a.pt", "--quiet"]
    root = Path(__file__).parents[2]
    places = os.pathsep.join([str(root), str(root / "cli")])
    environment = os.environ | {"PYTHONPATH": places, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, cwd=tmp_path, env=environment)
    deadline = time.monotonic() + 120
    while not (tmp_path / "a.pt.state").exists() and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "a.pt").exists()
    done = subprocess.run([*command, "--resume"], cwd=tmp_path, env=environment, check=False)
    assert done.returncode == 0
    found = torch.load(tmp_path / "a.pt", weights_only=True)
    whole = train(parse_recipe(QUICK, method="masam", epochs=6, settings={"batch_size": 128}))
    assert len(found["history"]) == 6
    for name, value in whole.model.state_dict().items():
        assert torch.equal(found["state_dict"][name], value)


def test_what_cannot_be_resumed_is_told(tmp_path: Path):
    recipe, out = recipe_of(), tmp_path / "a.pt"
    with pytest.raises(MisuseError, match=r"nothing to resume: no .* at .*a\.pt\.state"):
        train(recipe, out=out, resume=True)
    with pytest.raises(MisuseError, match="nothing to resume: no training state at out, which is"):
        train(recipe, resume=True)
    interrupt(recipe, out, after=1)
    with pytest.raises(MisuseError, match=r"another one: its lr is 0\.002, not 0\.1; repeat"):
        train(recipe_of(lr=0.1), out=out, resume=True)
    with pytest.raises(MisuseError, match="is another one: its method is 'late', not 'masam'"):
        train(recipe_of("masam"), out=out, resume=True)
    state = tmp_path / "a.pt.state"
    torch.save({"format": "x"}, state)
    with pytest.raises(CheckpointError, match="this is no training state: its format is 'x'"):
        train(recipe, out=out, resume=True)
    state.write_bytes(b"cut off")
    with pytest.raises(CheckpointError, match=r"a\.pt\.state cannot be read as a training state"):
        train(recipe, out=out, resume=True)
    with pytest.raises(MisuseError, match="keep_every keeps checkpoints beside out: name"):
        train(recipe, keep_every=2)
    with pytest.raises(MisuseError, match="keep_every must be a whole number of at least 1"):
        train(recipe, out=out, keep_every=0)


def test_kept_epochs_are_checkpoints_of_their_own(tmp_path: Path):
    recipe, out = recipe_of("joint"), tmp_path / "runs" / "a.pt"
    trained = train(recipe, out=out, keep_every=2)
    save_checkpoint(out, trained)
    names = sorted(path.name for path in out.parent.iterdir())
    assert names == ["a.epoch0002.pt", "a.epoch0004.pt", "a.pt"]
    kept = torch.load(out.parent / "a.epoch0002.pt", weights_only=True)
    assert kept["epoch"] == 2
    assert kept["metrics"]["val"] == trained.history[1].val
    for part in ("encoders", "fusion"):
        for name, value in getattr(trained.model, part).state_dict().items():
            last = torch.load(out.parent / "a.epoch0004.pt", weights_only=True)
            assert torch.equal(last["state_dict"][f"{part}.{name}"], value)
    assert load_subject(out.parent / "a.epoch0002.pt", samples=8).select("fou").dim > 0


def test_the_best_epoch_on_validation_is_kept_where_asked():
    settings = {"lr": 0.05, "patience": 2}
    last, best = (train(recipe_of("joint", 40, keep=keep, **settings)) for keep in ("last", "best"))
    scores = [epoch.score or 0.0 for epoch in last.history]
    assert scores == [epoch.score for epoch in best.history]
    assert best.metrics["val"]["fusion"]["accuracy"] == max(scores)
    assert last.metrics["val"]["fusion"]["accuracy"] == scores[-1] < max(scores)


def test_training_stops_when_patience_ends():
    recipe = recipe_of("joint", 40, lr=0.05, patience=2, keep="best")
    trained = train(recipe)
    scores = [epoch.score or 0.0 for epoch in trained.history]
    assert len(scores) < 40
    assert scores.index(max(scores)) == len(scores) - 3
    assert trained.metrics["val"]["fusion"]["accuracy"] == max(scores)


def test_the_test_split_decides_nothing(monkeypatch: pytest.MonkeyPatch):
    """Selection is the same whatever is in it."""
    from sharpscope.training import trainer

    recipe = recipe_of("joint", 6, lr=0.03, keep="best")
    build = trainer.build_dataset

    def spoiled(recipe: Recipe) -> Any:
        found = build(recipe)
        found.splits["test"].target.zero_()
        return found

    right = train(recipe)
    monkeypatch.setattr(trainer, "build_dataset", spoiled)
    assert same(right, train(recipe))
