"""A ``sharpscope.toml`` is read as it is meant, or refused in a sentence that names the place."""

import sys
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from sharpscope.errors import MisuseError, SpecError
from sharpscope.subject.specs import read_spec

FULL = """
[model]
factory = "my_project.models:build"
kwargs = { hidden = 256, pad = "<pad>" }
state = "state_dict"
prefix = "model."
ignore = ["criterion", "*.old"]
[data]
kwargs = { root = "x" }
test = "my_project.data:test_loader"
train = { factory = "my_project.data:loader", kwargs = { split = "train" } }
[loss]
name = "bce_with_logits"
call = "whole"
target = "diagnosis"
[loss.unimodal]
ehr = "my_project.losses:ehr"
cxr = { factory = "my_project.losses:one", kwargs = { of = "cxr" } }
[metric]
name = "auprc"
[encoders]
ehr = "ehr_model"
cxr = ["cxr_model_spec", "cxr_proj.*"]
"""
LEAST = 'model.factory = "m:build"\n'


@pytest.fixture
def spec(tmp_path: Path):
    """Return a function that writes a spec and gives its path."""

    def write(text: str) -> Path:
        path = tmp_path / "sharpscope.toml"
        path.write_text(text)
        return path

    return write


@pytest.fixture(autouse=True)
def _modules_as_before(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and "/pytest-" in str(
            sys.modules[name].__file__
        ):
            del sys.modules[name]


def test_everything_that_a_spec_can_say(spec: Any):
    read = read_spec(spec(FULL))
    assert read.model.target == "my_project.models:build"
    assert read.model.kwargs == {"hidden": 256, "pad": "<pad>"}
    assert (read.state, read.prefix, read.metric) == ("state_dict", "model.", "auprc")
    assert read.ignore == ("criterion", "*.old")
    assert list(read.data) == ["train", "test"]
    assert read.data["train"].kwargs == {"root": "x", "split": "train"}
    assert read.data["test"].kwargs == {"root": "x"}
    assert read.loss is not None
    assert (read.loss.name, read.loss.call, read.loss.target) == (
        "bce_with_logits", "whole", "diagnosis",
    )  # fmt: skip
    assert read.loss.build() == "bce_with_logits"
    one = read.unimodal["cxr"].factory
    assert one is not None
    assert (one.key, one.target, one.kwargs) == (
        "loss.unimodal.cxr.factory", "my_project.losses:one", {"of": "cxr"},
    )  # fmt: skip
    assert read.encoders == {"ehr": ("ehr_model",), "cxr": ("cxr_model_spec", "cxr_proj.*")}
    assert len(read.sha256) == 64


def test_the_least_that_a_spec_must_say(spec: Any):
    read = read_spec(spec(LEAST))
    assert (read.loss, read.data, read.encoders, read.unimodal) == (None, {}, {}, {})


def test_factory_alone_means_test(spec: Any):
    read = read_spec(spec(LEAST + 'data.factory = "m:loader"'))
    assert [(split, made.key) for split, made in read.data.items()] == [("test", "data.factory")]


def refused(path: Path, error: type[Exception] = SpecError) -> str:
    with pytest.raises(error) as caught:
        read_spec(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


CONTENTS = [
    ("[modle]", "unknown section [modle]; did you mean 'model'?; there are model, data, loss, "
     "metric, encoders"),
    (LEAST + "model.kwarg = 1", "unknown key model.kwarg; did you mean 'kwargs'?; [model] takes "
     "factory, kwargs, state, prefix, ignore"),
    (LEAST + "model.ignore = []", "model.ignore must be a module path or a glob in quotes, or a "
     "list of them; got []"),
    (LEAST + "data.tset = 1", "unknown key data.tset; did you mean 'test'?; [data] takes train, "
     "val, test, factory, kwargs"),
    (LEAST + "loss.weight = 1", "unknown key loss.weight; [loss] takes name, factory, kwargs, "
     "call, target, unimodal"),
    ("model = 3", "[model] must be a table; got 3"),
    ("model.factory = 3", "model.factory must be text in quotes; got 3"),
    ('model.factory = "build.py"', 'model.factory must be "module:function", such as '
     "\"my_project.models:build\"; got 'build.py'"),
    (LEAST + "model.kwargs = 3", "model.kwargs must be a table such as { hidden = 256 }; got 3"),
    (LEAST + "model.state = []", "model.state must be text in quotes; got []"),
    ("[model]", "[model] has no factory, the function that builds the model"),
    (LEAST + 'data.test = "m"', 'data.test must be "module:function", such as '
     "\"my_project.models:build\"; got 'm'"),
    (LEAST + "data.test = {}", "[data.test] has no factory"),
    (LEAST + 'data.test = "m:f"\ndata.factory = "m:f"', "data.factory alone means test, and "
     "data.test is there too"),
    (LEAST + 'loss.name = "crossentropy"', "loss.name must be 'cross_entropy', 'bce_with_logits' "
     "or 'mse'; got 'crossentropy'; did you mean 'cross_entropy'?"),
    (LEAST + 'loss.name = "mse"\nloss.call = "star"', "loss.call must be 'args', 'kwargs' or "
     "'whole'; got 'star'; did you mean 'args'?"),
    (LEAST + 'loss.name = "mse"\nloss.factory = "m:f"', "[loss] has a name and a factory: delete "
     "one of them"),
    (LEAST + 'loss.call = "args"', "[loss] has neither a name nor a factory"),
    (LEAST + 'loss.unimodal.cxr = "mse"', "loss.unimodal.cxr = 'mse' would be the loss of the "
     'fused output: name a "module:function" that returns callable(model, batch) for this '
     "modality alone"),
    (LEAST + "loss.unimodal.cxr = {}", "[loss.unimodal.cxr] has no factory"),
    (LEAST + "loss.unimodal = 1", "[loss.unimodal] must be a table; got 1"),
    (LEAST + "encoders.cxr = []", "encoders.cxr must be a module path or a glob in quotes, or a "
     "list of them; got []"),
    (LEAST + 'encoders.cxr = ["a", 1]', "encoders.cxr must be a module path or a glob in quotes, "
     "or a list of them; got ['a', 1]"),
    (LEAST + 'metric.name = "acc"', "metric.name must be 'accuracy' or 'auprc'; got 'acc'; did you "
     "mean 'accuracy'?"),
    ('model.factory = "<module:function>"', "model.factory is not filled in yet: replace "
     '"<...>" in each line marked "<- fill in"'),
    (LEAST + 'data.test = "<x>"\nloss.name = "<y>"\nencoders."<m>" = "<p>"',
     "data.test, loss.name and [encoders] are not filled in yet: replace \"<...>\" in each line "
     'marked "<- fill in"'),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), CONTENTS)
def test_what_is_wrong_is_named_with_its_place(spec: Any, text: str, message: str):
    path = spec(text)
    assert refused(path) == f"{path}: {message}"


def test_a_spec_without_a_model(spec: Any):
    path = spec("[data]")
    assert refused(path) == f"{path} has no section [model], whose factory builds the model"


def test_no_toml_names_the_line(spec: Any):
    path = spec("[model]\nfactory = my_project\n")
    assert refused(path) == f"{path} is not TOML: Invalid value (at line 2, column 11)"
    path.write_bytes(b"\xff")
    assert refused(path).startswith(f"{path} is not TOML: 'utf-8' codec can't decode byte 0xff")


def test_no_such_spec(spec: Any):
    path = spec(LEAST).with_name("sharpscop.toml")
    assert refused(path, MisuseError) == (
        f"no such spec file: {path}; did you mean 'sharpscope.toml'?"
    )
    path = path.parent / "nowhere" / "x.toml"
    assert refused(path, MisuseError) == f"no such spec file: {path}"


def test_a_spec_that_cannot_be_read(spec: Any, monkeypatch: pytest.MonkeyPatch):
    path = spec(LEAST)

    def refuse(*_: Any):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert refused(path) == f"cannot read {path}: Permission denied"


def test_a_loss_factory_returns_a_loss(tmp_path: Path, spec: Any):
    (tmp_path / "own_code_f.py").write_text(
        "from torch import nn\nfrom torch.nn import functional as F\n"
        "def module(): return nn.CrossEntropyLoss()\n"
        "def function(): return F.mse_loss\n"
        "def number(): return 3\n"
        "def own():\n    return lambda model, batch: 0\n"
    )
    text = LEAST + 'loss.factory = "own_code_f:{0}"\nloss.unimodal.cxr = "own_code_f:{0}"\n'

    def losses(name: str):
        read = read_spec(spec(text.format(name)))
        assert read.loss is not None
        return read.loss, read.unimodal["cxr"]

    loss, _ = losses("module")
    assert isinstance(loss.build(), nn.CrossEntropyLoss)
    loss, unimodal = losses("own")
    assert callable(loss.build())
    assert callable(unimodal.build())
    for name in ("module", "function"):
        with pytest.raises(SpecError) as caught:
            losses(name)[1].build()
        assert str(caught.value).endswith(
            "must return a callable(model, batch) for 'cxr' alone; a torch loss would be the loss "
            "of the fused output"
        )
    with pytest.raises(SpecError) as caught:
        losses("number")[0].build()
    assert str(caught.value).endswith(
        "must return a torch loss or a callable(model, batch); it returned int"
    )
