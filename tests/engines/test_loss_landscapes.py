"""Our points by loss-landscapes: the native values to rounding, the model given back."""

import importlib.metadata
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import sharpscope as ss
from sharpscope.engines.loss_landscapes.library import library
from sharpscope.errors import MisuseError
from sharpscope.landscape import Landscape
from sharpscope.results import load
from sharpscope.subject import Subject
from tests import problems
from tests.subject.snapshot import photograph, same

THEIRS: dict[str, Any] = {"engine": "loss-landscapes"}


@pytest.mark.parametrize("name", problems.PROBLEMS)
def test_points_are_the_native_ones(name: str):
    model, modality = problems.build(name), problems.PROBLEMS[name].modality
    before = photograph(model)
    ours, theirs = (
        ss.landscape(problems.subject_of(model), modality, shape=(3, 5), **settings)
        for settings in ({}, THEIRS)
    )
    same(model, before)
    np.testing.assert_allclose(theirs.values, ours.values, rtol=1e-10)
    assert theirs.values[2, 1] == theirs.loss_value == ours.loss_value


@pytest.mark.parametrize("axes", ["eigen", "encoders", "line"])
def test_all_axes_in_the_dtype_of_the_model(axes: str):
    model = problems.build("conv_batchnorm")
    settings: dict[str, Any] = {"shape": (3, 3), "axes": axes, "statistics": "frozen"}
    if axes == "line":
        settings |= {"shape": (5,), "through": [problems.build("conv_batchnorm")]}
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
    modality = "ehr+cxr" if axes == "encoders" else "cxr"
    ours, theirs = (
        ss.landscape(problems.subject_of(model, dtype="float32"), modality, **settings, **more)
        for more in ({}, THEIRS)
    )
    np.testing.assert_allclose(theirs.values, ours.values, rtol=2e-6)
    assert theirs.x.tolist() == ours.x.tolist()


def test_what_the_result_says(tmp_path: Path):
    subject = problems.subject_of(problems.build("layer_norm"))
    found = ss.landscape(subject, "ehr", shape=(3,), **THEIRS)
    assert found.method == "loss on random directions, by loss-landscapes"
    assert found.provenance["versions"]["loss-landscapes"] == "3.0.6"
    assert found.settings["engine"] == "loss-landscapes"
    assert found.replayed == ()
    assert found.evaluations == 2
    assert any("displaced and measured by loss-landscapes" in note for note in found.notes)
    assert load(found.save(tmp_path / "found.json")) == found


def test_between_checkpoints_its_statistics_stay():
    model, other = problems.build("conv_batchnorm"), problems.build("conv_batchnorm")
    with torch.no_grad():
        other.get_parameter("cxr_model.0.weight").mul_(1.5)
    choices: list[dict[str, Any]] = [THEIRS, {"statistics": "frozen"}]
    found = [
        Landscape(shape=(5,), axes="line", **settings)(
            problems.subject_of(model), "cxr", through=[other]
        )
        for settings in choices
    ]
    np.testing.assert_allclose(found[0].values, found[1].values, rtol=1e-10)


def test_weights_and_what_is_not_finite_are_ours():
    class Root(nn.Module):
        def __init__(self):
            super().__init__()
            self.x = nn.Parameter(torch.ones(1, 2))

        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            return torch.log(self.x.sum() * batch)

    def loss(model: Any, batch: torch.Tensor) -> Any:
        return model(batch).sum(), float(batch[0] > 1)

    data = [torch.full((1,), 2.0), torch.full((1,), 1.0), torch.full((1,), 3.0)]
    ours, theirs = (
        Landscape(shape=(9,), span=4.0, normalize="none", **settings)(
            Subject(Root(), data, loss=loss, encoders={"x": "x"}), "x"
        )
        for settings in ({}, THEIRS)
    )
    assert not np.isfinite(theirs.values).all()
    np.testing.assert_allclose(theirs.values, ours.values, rtol=1e-5)


def test_an_error_in_between_gives_the_model_back():
    model = problems.build("layer_norm")
    before, calls = photograph(model), [0]

    def loss(model: nn.Module, batch: Any) -> Any:
        calls[0] += 1
        if calls[0] == 14:
            raise ValueError("out of luck")
        return functional.cross_entropy(model(*batch[:2]), batch[2])

    with pytest.raises(ValueError, match="out of luck"):
        ss.landscape(problems.subject_of(model, loss=loss), "ehr", shape=(3, 3), **THEIRS)
    same(model, before)


@pytest.mark.parametrize("settings", [{"metric": "accuracy"}, {"statistics": "recalibrated"}])
def test_what_it_cannot_do(settings: dict[str, Any]):
    with pytest.raises(MisuseError) as caught:
        Landscape(**settings, **THEIRS)
    assert str(caught.value) == (
        "engine 'loss-landscapes' measures losses with the statistics that are there: leave out "
        "metric and statistics='recalibrated', or take engine='native'"
    )


def test_an_unknown_engine():
    with pytest.raises(MisuseError, match=r"engine must be 'native' or 'loss-landscapes'"):
        Landscape(engine="losslandscapes")


def test_not_installed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "loss_landscapes", None)
    for ask in (library, lambda: Landscape(**THEIRS)):
        with pytest.raises(MisuseError) as caught:
            ask()
        assert str(caught.value) == (
            "engine 'loss-landscapes' needs loss-landscapes 3.0.6: pip install \".[engines]\" in "
            "the folder of sharpscope"
        )
    assert Landscape().engine == "native"


def test_another_version(monkeypatch: pytest.MonkeyPatch):
    known = importlib.metadata.version
    monkeypatch.setattr(
        sys.modules[library.__module__],
        "version",
        lambda name: "2.1" if name == "loss-landscapes" else known(name),
    )
    with pytest.raises(MisuseError) as caught:
        Landscape(**THEIRS)
    assert str(caught.value) == (
        "engine 'loss-landscapes' needs loss-landscapes 3.0.6; 2.1 is installed: pip install "
        "loss-landscapes==3.0.6"
    )
