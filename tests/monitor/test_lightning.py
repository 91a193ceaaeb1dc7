"""The monitor in a real Lightning trainer."""

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.plugins import MixedPrecision
from torch.utils.data import DataLoader

from sharpscope.errors import MisuseError
from sharpscope.monitor.lightning import FlatnessCallback
from sharpscope.results.monitor import read_monitor
from tests.monitor.lit import Lit, left_by, loader, monitor_of, trained, trainer_of, watched
from tests.monitor.towers import Items, logits_loss, seed

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*`?isinstance.treespec, LeafSpec.`? is deprecated"),
]


def test_training_is_the_same_bit_for_bit(tmp_path: Path):
    monitor = monitor_of(when=7, measure=("trace", "lambda_max", "coupling"))
    without = left_by(*trained(max_epochs=5))
    assert left_by(*trained(monitor, max_epochs=5)) == without
    assert monitor.record.steps == [0, 7, 14, 21, 28, 35, 42, 49]
    assert monitor.record.epochs == [step / 10 for step in monitor.record.steps]
    assert not monitor.record.failures
    # The optimizer came with the trainer: momentum 0.9 at the rate after the fourth epoch.
    limits = monitor.record.course("ehr", "threshold")
    assert limits == pytest.approx([76, 76, 76, 760, 760, 760, 7600, 7600])


PRECISIONS: dict[str, dict[str, Any]] = {
    "bf16-mixed": {"precision": "bf16-mixed"},
    "bf16-true": {"precision": "bf16-true"},
    "16-mixed": {"plugins": [MixedPrecision("16-mixed", "cpu")]},
}


@pytest.mark.parametrize("name", PRECISIONS)
def test_it_measures_in_the_parameters_dtype(name: str, tmp_path: Path):
    seen: set[torch.dtype] = set()

    def loss(model: Any, batch: Any) -> Any:
        seen.add(model(batch["ehr"], batch["cxr"]).dtype)
        return logits_loss(model, batch)

    out = tmp_path / "run.jsonl"
    plain_run = monitor_of()
    trained(plain_run, max_steps=1)
    without = left_by(*trained(max_epochs=1, **PRECISIONS[name]))
    monitor = monitor_of(subject=lambda module: watched(module, loss), out=out)
    trainer, module = trained(monitor, max_epochs=1, **PRECISIONS[name])
    assert left_by(trainer, module) == without
    assert module.seen == {torch.float16 if name == "16-mixed" else torch.bfloat16}
    assert seen == {torch.float32}
    record = read_monitor(out)
    assert record.provenance["dtype"] == "float32"
    assert record.steps == [0, 10]
    assert not record.failures
    if name != "bf16-true":  # whose weights are rounded
        assert record.course("cxr", "trace")[0] == plain_run.record.course("cxr", "trace")[0]


def test_autocast_is_used_where_it_is_asked_for():
    monitor, full = monitor_of(autocast=torch.bfloat16), monitor_of()
    trained(monitor, full, max_steps=1)
    assert monitor.record.settings["autocast"] == "bfloat16"
    half, whole = (one.record.measurements[0]["loss"] for one in (monitor, full))
    assert half == pytest.approx(whole, rel=0.02)
    assert half != whole


def test_steps_are_those_of_the_optimizer():
    monitor = monitor_of(when=1)
    trained(monitor, accumulate_grad_batches=4)
    assert monitor.record.steps == [0, 1, 2, 3, 4, 5, 6]  # 4, 4 and 2 batches twice
    assert monitor.record.epochs == [0, 0.4, 0.8, 1, 1.4, 1.8, 2]


class ByHand(Lit):
    """Two optimizers, stepped by hand in every second batch."""

    def __init__(self):
        super().__init__()
        self.automatic_optimization = False

    def training_step(self, batch: Any, index: int) -> None:
        """Take both steps."""
        self.manual_backward(super().training_step(batch, index))
        if index % 2:
            optimizers: Any = self.optimizers()
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad()

    def configure_optimizers(self) -> Any:
        """Return one for each encoder."""
        parts = (self.net.ehr, self.net.cxr)
        return [torch.optim.SGD(part.parameters(), lr=0.1 * k) for k, part in enumerate(parts, 1)]


def test_manual_optimization_counts_the_steps_of_all_optimizers():
    monitor = monitor_of(when=4, measure=["lambda_max"])
    trained(monitor, module=ByHand(), max_epochs=1)
    assert monitor.record.steps == [0, 4, 8]
    assert monitor.record.epochs == [0, 0.4, 0.8]
    # Each encoder has the threshold of the optimizer that steps it.
    assert monitor.record.course("ehr", "threshold") == pytest.approx([20.0] * 3)
    assert monitor.record.course("cxr", "threshold") == pytest.approx([10.0] * 3)


class Adversarial(ByHand):
    """Two optimizers, one of which steps twice in each batch: three steps."""

    def training_step(self, batch: Any, index: int) -> None:
        """Take all steps."""
        first, second = self.optimizers()  # pyright: ignore[reportGeneralTypeIssues]
        for optimizer in (first, first, second):
            optimizer.zero_grad()
            self.manual_backward(Lit.training_step(self, batch, index))
            optimizer.step()


@pytest.mark.parametrize(
    ("when", "steps"), [(5, [0, 6, 12, 15, 21, 27, 30]), ("log", [0, 3, 6, 9, 18])]
)
def test_steps_that_several_optimizers_pass_are_made_up_for(when: Any, steps: list[int]):
    monitor = monitor_of(when=when)
    trained(monitor, module=Adversarial(), max_epochs=1)
    assert monitor.record.steps == steps
    assert monitor.record.epochs == [step / 30 for step in steps]


def test_a_step_that_is_passed_after_a_resume_is_made_up_for(tmp_path: Path):
    trainer, _ = trained(module=Adversarial(), max_epochs=1)
    trainer.save_checkpoint(tmp_path / "one.ckpt")
    monitor = monitor_of(when=32)
    trainer_of(monitor).fit(Adversarial(), loader(), ckpt_path=tmp_path / "one.ckpt")
    assert monitor.record.steps == [33]


def test_epochs_end_where_they_end():
    monitor = monitor_of(when="epoch")
    trained(monitor, max_steps=25, max_epochs=9)
    assert monitor.record.steps == [0, 10, 20]  # the third one was cut short
    assert monitor.record.epochs == [0, 1, 2]
    assert monitor.record.ended


def test_a_data_set_without_a_length_has_whole_epochs():
    class Stream(torch.utils.data.IterableDataset[Any]):
        def __iter__(self) -> Any:
            return iter(Items().batches())

    monitor = monitor_of(when=5)
    trainer_of(monitor).fit(Lit(), DataLoader(Stream(), batch_size=None))
    assert monitor.record.steps == [0, 5, 10, 15, 20]
    assert monitor.record.epochs == [0, 0, 0, 1, 1]


@pytest.mark.filterwarnings("ignore:the monitor at step 10")
@pytest.mark.parametrize("how", ["raises", "not finite"])
def test_a_measurement_that_fails_is_logged_and_training_goes_on(how: str, tmp_path: Path):
    out = tmp_path / "run.jsonl"
    now: dict[str, Any] = {}

    def loss(model: Any, batch: Any) -> Any:
        if now["trainer"].global_step == 10:
            if how == "raises":
                raise ValueError("no such thing")
            return logits_loss(model, batch) * float("nan")
        return logits_loss(model, batch)

    monitor = monitor_of(subject=lambda module: watched(module, loss), out=out)
    without = left_by(*trained())
    seed()
    module, now["trainer"] = Lit(), trainer_of(monitor)
    now["trainer"].fit(module, loader())
    assert left_by(now["trainer"], module) == without
    record = read_monitor(out)
    assert record.steps == [0, 20]
    assert record.ended
    (failure,) = record.failures
    assert failure["step"] == 10
    assert ("no such thing" if how == "raises" else "not finite") in failure["reason"]


def test_resume_goes_on_with_the_same_file(tmp_path: Path):
    out = tmp_path / "run.jsonl"
    trainer, _ = trained(monitor_of(out=out, when=5))
    trainer.save_checkpoint(tmp_path / "two.ckpt")
    resumed = trainer_of(monitor_of(out=out, when=5), max_epochs=4)
    resumed.fit(Lit(), loader(), ckpt_path=tmp_path / "two.ckpt")
    record = read_monitor(out)
    assert record.steps == [0, 5, 10, 15, 20, 25, 30, 35, 40]
    assert record.epochs == [0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4]
    kinds = [json.loads(line)["kind"] for line in out.read_text().splitlines()]
    assert (kinds.count("begin"), kinds.count("resume"), kinds.count("end")) == (1, 1, 2)
    with pytest.raises(MisuseError, match="holds a run already"):
        trained(monitor_of(out=out))


def test_the_same_monitor_takes_training_up_again(tmp_path: Path):
    monitor = monitor_of(when=5, out=tmp_path / "run.jsonl")
    trainer = trainer_of(monitor, max_epochs=1)
    module = Lit()
    trainer.fit(module, loader())
    trainer.save_checkpoint(tmp_path / "one.ckpt")
    trainer_of(monitor).fit(module, loader(), ckpt_path=tmp_path / "one.ckpt")
    trainer_of(monitor).fit(module, loader(), ckpt_path=tmp_path / "one.ckpt")  # once more
    assert read_monitor(tmp_path / "run.jsonl").steps == [0, 5, 10, 15, 20]
    with pytest.raises(MisuseError, match="a monitor watches one model: make another"):
        trainer_of(monitor).fit(Lit(), loader())


class Failing(Lit):
    """Breaks off."""

    def training_step(self, batch: Any, index: int) -> Any:
        """Raise in the seventh batch."""
        if index == 6:
            raise RuntimeError("the disk is full")
        return super().training_step(batch, index)


class TooEarly(Lit):
    """Breaks off before training begins."""

    def on_fit_start(self) -> None:
        """Raise."""
        raise RuntimeError("too early")


def test_an_exception_leaves_a_file_that_has_not_ended(tmp_path: Path):
    out = tmp_path / "run.jsonl"
    with pytest.raises(RuntimeError, match="the disk is full"):
        trained(monitor_of(out=out, when=5), module=Failing())
    record = read_monitor(out)
    assert record.steps == [0, 5]
    assert not record.ended


def test_an_exception_before_training_is_not_the_monitors(tmp_path: Path):
    out = tmp_path / "run.jsonl"
    with pytest.raises(RuntimeError, match="too early"):
        trainer_of(monitor_of(out=out)).fit(TooEarly(), loader())
    assert not out.exists()


def test_a_logger_of_lightning_is_a_sink(tmp_path: Path):
    logger = CSVLogger(tmp_path, name="", version="run")
    trained(monitor_of(sinks=[logger.log_metrics]), logger=logger, log_every_n_steps=1)
    lines = (tmp_path / "run" / "metrics.csv").read_text().splitlines()
    assert "sharpscope/ehr/trace" in lines[0].split(",")
    assert [line.split(",")[lines[0].split(",").index("step")] for line in lines[1:]] == [
        "0",
        "10",
        "20",
    ]


def test_a_subject_over_another_model_than_the_one_that_trains_is_told_of():
    other = Lit()
    monitor = monitor_of(subject=watched(other))
    with pytest.warns(UserWarning, match="the monitor measures a model that does not train"):
        trained(monitor, max_epochs=1)
    assert monitor.record.steps == [0, 10]
    trained(monitor, max_epochs=1)  # right for a moving average, so that another fit goes on


def test_what_is_no_monitor_is_refused():
    subject: Any = watched(Lit())
    with pytest.raises(MisuseError, match=r"takes a FlatnessMonitor, .*; got Subject"):
        FlatnessCallback(subject)


def test_without_lightning_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "lightning.pytorch", None)
    monkeypatch.delitem(sys.modules, "sharpscope.monitor.lightning")
    with pytest.raises(
        ImportError, match=r"lightning needs Lightning: pip install 'sharpscope\[lightning\]'"
    ):
        importlib.import_module("sharpscope.monitor.lightning")
