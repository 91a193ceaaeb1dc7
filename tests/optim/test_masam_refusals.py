"""What MASAM refuses at the door."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from sharpscope.errors import MisuseError
from sharpscope.optim import MASAM, Losses
from tests.optim.nets import (
    Kind,
    batches,
    build,
    closure,
    masam,
    state_of,
)


@pytest.mark.parametrize("compiled", [False, True])
def test_a_unimodal_loss_that_depends_on_another_encoder_is_refused(compiled: bool):
    model = build(Kind(2))
    (batch,) = batches(Kind(2), 1)
    run: Any = torch.compile(model.outputs, backend="eager") if compiled else model.outputs
    before = state_of(model)

    def losses() -> Losses:
        outputs = run(batch)
        fused = functional.cross_entropy(outputs.fusion, batch["target"])
        return Losses(fused, {"ehr": fused * 2})

    with pytest.raises(
        MisuseError, match="unimodal loss of 'ehr' depends on the encoder 'cxr': MASAM needs"
    ):
        masam(model).step(losses)
    assert all(torch.equal(value, before[name]) for name, value in state_of(model).items())


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "rho": ({"rho": -0.1}, "rho must be a finite number of at least 0; got -0.1"),
    "schedule": ({"rho": lambda step: -1.0}, "rho must be a finite number of at least 0; got -1.0"),
    "alpha": ({"alpha": 1.5}, "alpha must be a number from 0 to 1; got 1.5"),
    "beta": ({"beta": "x"}, "beta must be a number from 0 to 1; got 'x'"),
    "mode": (
        {"mode": "offical"},
        "mode must be 'paper' or 'official'; got 'offical'; did",
    ),
    "decay": ({"decay": "x"}, "decay must be 'paper' or 'trend'"),
    "direction": ({"direction": "x"}, "direction must be 'fusion', 'difference' or 'orthogonal'"),
    "negative": ({"negative": "x"}, "negative must be 'signed' or 'clamp'"),
    "score": ({"score": "ogm"}, "score must be 'aps' or 'given'"),
    "every": ({"every": 0}, r"every must be a whole number of at least 1 \(steps\); got 0"),
    "official": ({"mode": "official", "other_first": True}, "public code as it is: leave other_fi"),
    "weight": ({"unimodal_weight": 0}, "unimodal_weight of 'ehr' must be above 0: MASAM compares"),
    "weights": ({"unimodal_weight": {"ehr": 1}}, "name every encoder .ehr, cxr.; got ehr"),
    "a weight": (
        {"unimodal_weight": {"ehr": 1, "cxr": -1}},
        r"unimodal_weight\['cxr'\] must be a finite number of at least 0; got -1",
    ),
    "alignment": ({"alignment": "x"}, "alignment must be 'parameters' or 'feature'; got 'x'"),
    "light": ({"alignment": "feature", "select": False}, "alignment='feature' selects one encod"),
    "clip": ({"clip_norm": 0}, "clip_norm must be a finite number above 0; got 0"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_settings_are_told(case: str):
    settings, message = BAD[case]
    model, (batch,) = build(Kind(2)), batches(Kind(2), 1)
    with pytest.raises(MisuseError, match=message):
        masam(model, **settings).step(closure(model, batch))


def test_bad_encoders_are_told():
    model = build(Kind(2))
    base = torch.optim.SGD(model.parameters(), lr=0.1)
    ehr, cxr = model.encoders["ehr"], model.encoders["cxr"]
    cases: list[tuple[Any, str]] = [
        ({}, "encoders must map each modality to its modules, .*; got nothing"),
        ([ehr, cxr], "encoders must map each modality to its modules, .*; got list"),
        ({"ehr": ehr, "cxr": [ehr, cxr]}, r"of shape \(5, 3\) is in two encoders, 'ehr' and 'cxr'"),
        ({"ehr": nn.Linear(2, 2)}, "'ehr' has no trainable parameter in the base optimizer"),
        ({"ehr": [ehr, nn.Linear(2, 2)]}, r"encoder 'ehr', of shape \(2, 2\), is not in the base"),
        (
            {"ehr": "encoders.ehr"},
            "'ehr' must be a module, a parameter, or a list of these; got str",
        ),
        ({"ehr": []}, "'ehr' must be a module, a parameter, or a list of these; got list"),
        ({"ehr": 3}, "'ehr' must be a module, a parameter, or a list of these; got int"),
        ({"shared": ehr}, "an encoder cannot be called 'shared'"),
    ]
    for encoders, message in cases:
        with pytest.raises(MisuseError, match=message):
            MASAM(base, encoders=encoders)
    no_optimizer: Any = model
    with pytest.raises(MisuseError, match=r"base must be a torch optimizer .*; got Net"):
        MASAM(no_optimizer, encoders={"ehr": ehr})
    with pytest.raises(MisuseError, match=r"step needs a closure .*; got list"):
        MASAM(base, encoders={"ehr": ehr}).step([])
