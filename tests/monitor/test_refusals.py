"""What a monitor refuses at its door."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from sharpscope.errors import MisuseError, SubjectError
from sharpscope.monitor import FlatnessMonitor, LiveLine
from tests.monitor.nets import batches, net, subject

QUICK: dict[str, Any] = {"samples": 16, "products": 24, "rtol": 0.5}


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"measure": []}, "measure must name something: 'trace', 'lambda_max', 'alignment' or"),
        ({"measure": ["edge"]}, "measure must be 'trace', 'lambda_max', .* got 'edge'"),
        (
            {"when": "often"},
            "when must be 'auto', a number of steps, 'steps:N', 'epoch', .* 'often'",
        ),
        ({"when": 0}, "when must be a whole number of at least 1"),
        ({"when": "0"}, "when must be a whole number of at least 1"),
        ({"when": 5.0}, "when must be 'auto', a number of steps, 'steps:N', 'epoch', .* got 5.0"),
        ({"when": True}, "when must be 'auto', a number of steps, 'steps:N', 'epoch', .* got True"),
        ({"when": "log:1"}, "when='log:1' needs a factor above 1"),
        ({"budget": 0.0}, "budget must be a share of the training time, above 0 and at most 1"),
        ({"samples": 0}, "samples must be a whole number of at least 1"),
        ({"rtol": 0.0}, "rtol must be"),
        ({"trained": "sum"}, "trained must be 'fusion' or 'total'; got 'sum'"),
        ({"out": "run.json"}, "out must end in .jsonl; got run.json"),
        ({"sinks": ["run.txt"]}, "a sink must be a .csv file, a Sink or a function .* 'run.txt'"),
        ({"sinks": [3]}, "a sink must be a .csv file, a Sink or a function .* got int"),
        ({"sinks": [LiveLine]}, "a sink must be a .csv file, .* got the class LiveLine: call it"),
        ({"sinks": "run.txt"}, "a sink must be a .csv file, a Sink or a function .* 'run.txt'"),
        ({"sinks": 3}, "sinks must be a .csv file, a Sink or .*, or several; got int"),
        ({"sinks": None}, "sinks must be a .csv file, a Sink or .*, or several; got NoneType"),
    ],
)
def test_settings_that_cannot_be_meant(settings: dict[str, Any], sentence: str):
    with pytest.raises(MisuseError, match=sentence):
        FlatnessMonitor(subject(net()), **settings)


def test_what_is_no_subject_is_refused():
    with pytest.raises(
        MisuseError, match="subject must be a Subject, or a function from the model"
    ):
        FlatnessMonitor(3)  # pyright: ignore[reportArgumentType]
    with pytest.raises(
        MisuseError, match=r"got the module Net: wrap it in Subject\(model, batches"
    ):
        FlatnessMonitor(net())  # pyright: ignore[reportArgumentType]
    with pytest.raises(MisuseError, match="must return a Subject; it returned int"):
        FlatnessMonitor(lambda: 3).begin()  # pyright: ignore[reportArgumentType]
    with pytest.raises(
        MisuseError, match=r"autocast must be torch\.bfloat16 or torch\.float16; got"
    ):
        FlatnessMonitor(subject(net()), autocast=torch.float64).begin()
    with pytest.raises(MisuseError, match="loss 'total' needs a unimodal loss for each modality"):
        FlatnessMonitor(subject(net(), unimodal={}), trained="total").begin()
    with pytest.raises(SubjectError, match="the data is empty: the loader gave no batch"):
        FlatnessMonitor(subject(net(), data=[])).begin()

    def broken() -> Iterator[Any]:
        yield batches()[0]
        raise OSError("gone")

    class Loader:
        __iter__ = staticmethod(broken)

    with pytest.raises(SubjectError, match="the loader raised OSError: gone"):
        FlatnessMonitor(subject(net(), data=Loader())).begin()


def two(model: Any, data: Any, more: int = 3) -> Any:
    return subject(model, data=data)


def by_name(*, model: Any) -> Any:
    return subject(model)


@pytest.mark.parametrize(("factory", "needed"), [(two, "model, data"), (by_name, "model=")])
def test_a_function_that_cannot_be_called_is_refused_at_once(factory: Any, needed: str):
    told = (
        "is called with the model alone, or with nothing, and it needs "
        f"{needed}: wrap it in a lambda model"
    )
    with pytest.raises(MisuseError, match=told):
        FlatnessMonitor(factory)


def test_a_function_of_the_model_needs_one():
    model = net()
    of_model = FlatnessMonitor(lambda module: subject(module), ["lambda_max"], when=1, **QUICK)
    told = r"and was given no model: call begin\(model\) before the first step"
    with pytest.raises(MisuseError, match=told):
        of_model(1)
    with pytest.raises(MisuseError, match=told):
        of_model.begin()
    of_model.begin(model)
    assert of_model.record.steps == [0]

    def either(module: Any = model, *, seed: int = 0) -> Any:
        return subject(module)

    def named(*, seed: int = 0) -> Any:
        return subject(model)

    for factory in (either, named):
        monitor = FlatnessMonitor(factory, ["lambda_max"], when=1, **QUICK)
        monitor.begin()
        monitor.begin(model)
        assert monitor.record.steps == [0]


@pytest.mark.parametrize(
    ("optimizer", "got"),
    [
        ("sgd", "str"),
        (torch.optim.SGD, "the class SGD"),
        ({"ehr": torch.optim.SGD}, "dict"),
        ([None], "NoneType"),
        (0.1, "float"),
    ],
)
def test_what_is_no_optimizer_is_refused(optimizer: Any, got: str):
    told = rf"optimizer must be an optimizer such as torch.optim.SGD\(...\), or a list .* got {got}"
    with pytest.raises(MisuseError, match=told):
        FlatnessMonitor(subject(net()), optimizer=optimizer)
    monitor = FlatnessMonitor(subject(net()))
    for _ in range(2):
        with pytest.raises(MisuseError, match=told):
            monitor.begin(optimizer=optimizer)
        monitor.begin()


def test_a_step_is_a_whole_number():
    monitor = FlatnessMonitor(subject(net()), ["lambda_max"], when=2, **QUICK)
    wrong: Any
    for wrong in ("2", 2.0, torch.tensor(2), -1):
        with pytest.raises(MisuseError, match="step must be a whole number of at least 0; got"):
            monitor(wrong)
    monitor(np.int64(2))  # pyright: ignore[reportArgumentType]
    assert (monitor.record.steps, type(monitor.record.steps[0])) == ([2], int)
