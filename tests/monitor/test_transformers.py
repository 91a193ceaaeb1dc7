"""The monitor in the real Trainer of transformers."""

import importlib
import json
import sys
from pathlib import Path
from types import MethodType
from typing import Any

import pytest
import torch
from accelerate.utils.operations import convert_outputs_to_fp32
from transformers import Trainer

import sharpscope as ss
from sharpscope.errors import MisuseError
from sharpscope.monitor.transformers import FlatnessCallback
from sharpscope.results.monitor import read_monitor
from tests.monitor.bert import Captions, Pair, loss_of
from tests.monitor.hugging import left_by, monitor_of, trained, trainer_of, watched

pytestmark = pytest.mark.filterwarnings("ignore:.*'pin_memory' argument is set as true")


def test_training_is_the_same_bit_for_bit(tmp_path: Path):
    monitor = monitor_of(when=7, measure=("trace", "lambda_max", "coupling"))
    without = left_by(trained(tmp_path, num_train_epochs=5))
    assert left_by(trained(tmp_path, monitor, num_train_epochs=5)) == without
    assert monitor.record.steps == [0, 7, 14, 21, 28, 35, 42, 49]
    assert monitor.record.epochs == [step / 10 for step in monitor.record.steps]
    assert not monitor.record.failures
    absent = monitor.record.settings["absent"]
    assert absent["threshold of text"] == "AdamW has no threshold in terms of the Hessian alone"


def test_the_optimizer_inside_accelerates_has_a_threshold(tmp_path: Path):
    monitor = monitor_of()
    trained(tmp_path, monitor, optim="sgd", max_steps=10)
    assert monitor.record.course("text", "threshold") == [200, None]  # the rate ends at 0


def test_it_measures_in_the_parameters_dtype_under_bf16(tmp_path: Path):
    seen: dict[str, set[torch.dtype]] = {"training": set(), "measuring": set()}

    def noting(self: Any, model: Any, inputs: Any, **rest: Any) -> Any:
        # Of a layer: accelerate gives float32 back of what the model itself returns.
        handle = model.head.register_forward_hook(
            lambda _, __, logits: seen["training"].add(logits.dtype)
        )
        loss = Trainer.compute_loss(self, model, inputs, **rest)
        handle.remove()
        return loss

    def loss(model: Any, batch: Any) -> Any:
        seen["measuring"].add(model(**batch)["logits"].dtype)
        seen["measuring"].add(model.text_of(batch["input_ids"]).dtype)
        return loss_of(model, batch)

    kind = type("Noting", (Trainer,), {"compute_loss": noting})
    out = tmp_path / "run.jsonl"
    full = monitor_of()
    trained(tmp_path, full, max_steps=1)
    without = left_by(trained(tmp_path, bf16=True, num_train_epochs=1))
    monitor = monitor_of(subject=lambda model: watched(model, loss), out=out)
    assert left_by(trained(tmp_path, monitor, kind=kind, bf16=True, num_train_epochs=1)) == without
    assert seen == {"training": {torch.bfloat16}, "measuring": {torch.float32}}
    record = read_monitor(out)
    assert record.provenance["dtype"] == "float32"
    assert record.steps == [0, 10]
    assert record.course("text", "trace")[0] == full.record.course("text", "trace")[0]


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_accelerates_autocast_is_taken_off_and_put_back(kind: torch.dtype):
    # As in Accelerator.prepare_model, which takes float16 on a GPU alone.
    model: Any = Pair().eval()
    batch = Captions().batches()[0]
    whole = ss.trace(watched(model), "text", probes=2).value
    plainly = model(**batch)["loss"]
    model._original_forward = model.forward
    cast = torch.autocast("cpu", dtype=kind)(model.forward.__func__)
    model.forward = MethodType(convert_outputs_to_fp32(cast), model)
    inside = model(**batch)["loss"]
    assert inside != plainly
    assert ss.trace(watched(model), "text", probes=2).value == whole
    assert model(**batch)["loss"] == inside


def test_another_forward_of_the_models_own_is_left_alone():
    model: Any = Pair()
    whole = ss.trace(watched(model), "text", probes=2).value
    forward = model.forward
    model._original_forward = lambda **_: 1 / 0
    model.forward = lambda **batch: forward(**batch)  # knows nothing of the one above
    assert ss.trace(watched(model), "text", probes=2).value == whole


def test_steps_are_those_of_the_optimizer(tmp_path: Path):
    every, ends = monitor_of(when=1), monitor_of(when="epoch")
    trainer = trained(tmp_path, every, ends, gradient_accumulation_steps=4)
    # 4, 4 and 2 batches twice. The Trainer of 4.50 reckons without what is left over, and ends
    # after as many steps less.
    steps = trainer.state.global_step
    assert steps in (4, 6)
    assert every.record.steps == list(range(steps + 1))
    assert every.record.epochs == [0, 0.4, 0.8, 1, 1.4, 1.8, 2][: steps + 1]
    assert ends.record.steps == [0, 3, 6][: 1 + steps // 3]
    assert ends.record.epochs == [0, 1, 2][: 1 + steps // 3]


def test_epochs_end_where_they_end(tmp_path: Path):
    monitor = monitor_of(when="epoch")
    trained(tmp_path, monitor, max_steps=25)
    assert monitor.record.steps == [0, 10, 20]  # the third one was cut short
    assert monitor.record.epochs == [0, 1, 2]
    assert monitor.record.ended


@pytest.mark.filterwarnings("ignore:the monitor at step 10")
@pytest.mark.parametrize("how", ["raises", "not finite"])
def test_a_measurement_that_fails_is_logged_and_training_goes_on(how: str, tmp_path: Path):
    out = tmp_path / "run.jsonl"
    now: dict[str, Any] = {}

    def loss(model: Any, batch: Any) -> Any:
        if now["trainer"].state.global_step == 10:
            if how == "raises":
                raise ValueError("no such thing")
            return loss_of(model, batch) * float("nan")
        return loss_of(model, batch)

    without = left_by(trained(tmp_path))
    now["trainer"] = trainer_of(
        tmp_path, monitor_of(subject=lambda model: watched(model, loss), out=out)
    )
    now["trainer"].train()
    assert left_by(now["trainer"]) == without
    record = read_monitor(out)
    assert record.steps == [0, 20]
    assert record.ended
    (failure,) = record.failures
    assert failure["step"] == 10
    assert ("no such thing" if how == "raises" else "not finite") in failure["reason"]


def test_resume_goes_on_with_the_same_file(tmp_path: Path):
    out = tmp_path / "run.jsonl"
    saving = {"save_strategy": "steps", "save_steps": 15}
    trained(tmp_path, monitor_of(out=out, when=5), **saving)
    resumed = trainer_of(tmp_path, monitor_of(out=out, when=5), num_train_epochs=3)
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-15"))
    record = read_monitor(out)
    assert record.steps == [0, 5, 10, 15, 20, 25, 30]
    assert record.epochs == [0, 0.5, 1, 1.5, 2, 2.5, 3]
    kinds = [json.loads(line)["kind"] for line in out.read_text().splitlines()]
    assert (kinds.count("begin"), kinds.count("resume"), kinds.count("end")) == (1, 1, 2)
    with pytest.raises(MisuseError, match="holds a run already"):
        trained(tmp_path, monitor_of(out=out))


def test_a_trainer_may_train_twice(tmp_path: Path):
    monitor = monitor_of(out=tmp_path / "run.jsonl", when=5)
    trainer = trainer_of(tmp_path, monitor, save_strategy="steps", save_steps=10)
    trainer.train()
    trainer.train(resume_from_checkpoint=str(tmp_path / "checkpoint-10"))
    assert read_monitor(tmp_path / "run.jsonl").steps == [0, 5, 10, 15, 20]


def test_an_error_leaves_a_file_that_has_not_ended(tmp_path: Path):
    class Failing(Trainer):
        def training_step(self, *arguments: Any, **rest: Any) -> Any:
            if self.state.global_step == 6:
                raise RuntimeError("the disk is full")
            return super().training_step(*arguments, **rest)

    out = tmp_path / "run.jsonl"
    with pytest.raises(RuntimeError, match="the disk is full"):
        trained(tmp_path, monitor_of(out=out, when=5), kind=Failing)
    record = read_monitor(out)
    assert record.steps == [0, 5]
    assert not record.ended


def test_the_trainers_log_is_a_sink(tmp_path: Path):
    places: list[Any] = []
    monitor = monitor_of(sinks=[lambda numbers, step: places[0].log(numbers)])
    places.append(trainer_of(tmp_path, monitor, logging_strategy="no"))
    places[0].train()
    logged = [entry for entry in places[0].state.log_history if "sharpscope/text/trace" in entry]
    assert [entry["step"] for entry in logged] == [0, 10, 20]
    assert [entry["sharpscope/image/trace"] for entry in logged] == monitor.record.course(
        "image", "trace"
    )


def test_what_is_no_monitor_is_refused():
    subject: Any = watched(Pair())
    with pytest.raises(MisuseError, match=r"takes a FlatnessMonitor, .*; got Subject"):
        FlatnessCallback(subject)


def test_without_transformers_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    monkeypatch.delitem(sys.modules, "sharpscope.monitor.transformers")
    with pytest.raises(
        ImportError,
        match=r"transformers needs transformers: pip install 'sharpscope\[transformers\]'",
    ):
        importlib.import_module("sharpscope.monitor.transformers")
