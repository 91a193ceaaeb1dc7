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


def test_a_step_is_a_whole_number():
    monitor = FlatnessMonitor(subject(net()), ["lambda_max"], when=2, **QUICK)
    wrong: Any
    for wrong in ("2", 2.0, torch.tensor(2), -1):
        with pytest.raises(MisuseError, match="step must be a whole number of at least 0; got"):
            monitor(wrong)
    monitor(np.int64(2))  # pyright: ignore[reportArgumentType]
    assert (monitor.record.steps, type(monitor.record.steps[0])) == ([2], int)
