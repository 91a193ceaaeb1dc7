"""A subject is rebuilt from a recipe or a spec, and every missing piece is named."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from sharpscope.errors import CheckpointError, MisuseError, SpecError
from sharpscope.subject.rebuild import load_model, load_subject
from sharpscope.subject.specs import read_spec

CODE = """
import torch
from torch import nn
from torch.nn import functional as F

class Two(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.ehr_model = nn.Linear(3, hidden)
        self.cxr_model = nn.Sequential(nn.Linear(5, hidden), nn.BatchNorm1d(hidden))
        self.head = nn.Linear(2 * hidden, 2)
    def forward(self, ehr, cxr):
        return self.head(torch.cat([self.ehr_model(ehr), self.cxr_model(cxr)], 1))

def build(hidden=4):
    return Two(hidden)

def number():
    return 3

def loader(items=6, batch_size=4):
    g = torch.Generator().manual_seed(0)
    ehr, cxr = torch.randn(items, 3, generator=g), torch.randn(items, 5, generator=g)
    target = torch.arange(items) % 2
    cuts = [slice(i, i + batch_size) for i in range(0, items, batch_size)]
    return [(ehr[c], cxr[c], target[c]) for c in cuts]

def fixed():
    return loader()

def generator():
    yield from loader()

def any_size(**kwargs):
    return loader(**kwargs)

def ehr_loss():
    def loss(model, batch):
        return F.mse_loss(model.ehr_model(batch[0]), torch.zeros(len(batch[0]), 4))
    return loss
"""

SPEC = """
[model]
factory = "{module}:build"
[data]
test = "{module}:loader"
[loss]
name = "cross_entropy"
[encoders]
ehr = "ehr_model"
cxr = "cxr_model"
"""


class Foreign:
    """A folder with somebody's own code, a checkpoint and a spec."""

    def __init__(self, folder: Path, module: str):
        self.folder, self.module = folder, module
        (folder / f"{module}.py").write_text(CODE)
        self.spec = folder / "sharpscope.toml"
        self.write(SPEC)
        self.path = folder / "theirs.pt"
        torch.manual_seed(0)
        self.model = __import__(module).build()
        torch.save({"state_dict": self.model.state_dict(), "epoch": 3}, self.path)

    def write(self, text: str):
        self.spec.write_text(text.replace("{module}", self.module))

    def refused(
        self, error: type[Exception] | tuple[type[Exception], ...] = SpecError, **options: Any
    ) -> str:
        with pytest.raises(error) as caught:
            load_subject(self.path, self.spec, **options)
        assert "\n" not in str(caught.value)
        return str(caught.value)


@pytest.fixture
def foreign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    module = f"own_code_{abs(hash(tmp_path))}"
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    with torch.random.fork_rng():
        yield Foreign(tmp_path, module)
    sys.modules.pop(module)


def test_an_epoch_that_only_the_name_tells(foreign: Foreign):
    path = foreign.folder / "ep7.pt"
    torch.save(foreign.model.state_dict(), path)
    subject = load_subject(path, foreign.spec)
    assert subject.provenance["epoch"] == 7
    assert "The file stores no epoch: 7 is from its name." in subject.notes


def loss_of(model: nn.Module, batches: Any) -> float:
    """Return the mean cross entropy over all items, written out."""
    total = sum(F.cross_entropy(model(*b[:-1]), b[-1], reduction="sum").item() for b in batches)
    return total / sum(len(b[-1]) for b in batches)


def mean_loss(subject: Any, name: str = "fusion") -> float:
    """Return the subject's own mean loss."""
    with torch.no_grad():
        sums = [subject.loss(name)(subject.model, batch) for batch in subject.walk()]
    return sum(float(s.total) for s in sums) / sum(s.weight for s in sums)


def test_a_foreign_checkpoint_becomes_the_subject_it_was(foreign: Foreign):
    subject = load_subject(foreign.path, foreign.spec)
    batches = __import__(foreign.module).loader()
    assert subject.model.training, "flags stay as the factory left them"
    subject.model.eval()
    assert mean_loss(subject) == pytest.approx(loss_of(foreign.model.eval(), batches), rel=1e-6)
    assert subject.parts == ("ehr", "cxr", "shared")
    assert subject.select("ehr").dim == 16
    facts = subject.provenance
    assert (facts["split"], facts["spec"], facts["epoch"]) == ("test", str(foreign.spec), 3)
    assert not any("from its name" in note for note in subject.notes)
    assert facts["spec_sha256"] == read_spec(foreign.spec).sha256
    assert len(facts["checkpoint_sha256"]) == 64


def test_samples_batch_size_and_dtype_reach_the_subject(foreign: Foreign):
    subject = load_subject(foreign.path, foreign.spec, samples=5, batch_size=2, dtype="float64")
    batches = list(subject.walk())
    assert [len(batch[-1]) for batch in batches] == [2, 2, 1]
    assert batches[0][0].dtype == torch.float64
    foreign.write(SPEC.replace("loader", "any_size"))
    subject = load_subject(foreign.path, foreign.spec, batch_size=3)
    assert [len(batch[-1]) for batch in subject.walk()] == [3, 3]


def test_a_unimodal_loss_of_the_spec(foreign: Foreign):
    foreign.write(SPEC + '[loss.unimodal]\nehr = "{module}:ehr_loss"\n')
    subject = load_subject(foreign.path, foreign.spec)
    batches = __import__(foreign.module).loader()
    every = torch.cat([foreign.model.ehr_model(batch[0]) for batch in batches])
    assert mean_loss(subject, "ehr") == pytest.approx(every.square().mean().item(), rel=1e-6)


def test_call_and_target_of_the_spec_reach_the_loss(foreign: Foreign):
    foreign.write(SPEC.replace('"cross_entropy"', '"cross_entropy"\ncall = "args"\ntarget = "t"'))
    subject = load_subject(foreign.path, foreign.spec)
    subject.model.eval()
    ehr, cxr, target = __import__(foreign.module).loader()[0]
    found = subject.loss("fusion")(subject.model, {"ehr": ehr, "cxr": cxr, "t": target})
    wanted = F.cross_entropy(subject.model(ehr, cxr), target, reduction="sum")
    assert torch.equal(found.total, wanted)


def test_the_split_is_train_or_the_only_one_or_the_one_asked_for(foreign: Foreign):
    two = SPEC.replace("[loss]", 'train = "{module}:fixed"\n[loss]')
    foreign.write(two)
    assert load_subject(foreign.path, foreign.spec).provenance["split"] == "train"
    subject = load_subject(foreign.path, foreign.spec, split="test")
    assert subject.provenance["split"] == "test"
    assert foreign.refused(MisuseError, split="val") == (
        f"{foreign.spec} has no split 'val', only train, test: add val = \"module:function\" to "
        "[data]"
    )
    assert foreign.refused(MisuseError, split="tset") == (
        "split must be 'train', 'val' or 'test'; got 'tset'; did you mean 'test'?"
    )


def test_the_model_alone_needs_no_data_no_loss_and_no_encoders(foreign: Foreign):
    foreign.write('[model]\nfactory = "{module}:build"\n')
    loaded = load_model(foreign.path, foreign.spec)
    assert loaded.encoders == {}
    for (name, own), theirs in zip(
        loaded.model.state_dict().items(), foreign.model.state_dict().values(), strict=True
    ):
        assert torch.equal(own, theirs), name


MISSING = [
    ("[data]\ntest = \"{module}:loader\"\n", 'names no data: add [data] with test = '
     '"module:function", which returns the batches'),
    ("[loss]\nname = \"cross_entropy\"\n", 'names no loss: add [loss] with name = '
     '"cross_entropy", "bce_with_logits" or "mse", or a factory'),
    ("[encoders]\nehr = \"ehr_model\"\ncxr = \"cxr_model\"\n", "names no encoders: add [encoders] "
     'with a line modality = "module path" for each'),
]  # fmt: skip


@pytest.mark.parametrize(("section", "message"), MISSING)
def test_a_section_that_is_needed_is_named(foreign: Foreign, section: str, message: str):
    foreign.write(SPEC.replace(section, ""))
    assert foreign.refused() == f"{foreign.spec} {message}"


RETURNS = [
    (":build", ":number", {}, 'model.factory = "{0}:number" must return a torch.nn.Module; it '
     "returned int"),
    (":loader", ":number", {}, 'data.test = "{0}:number" must return a loader or a list of '
     "batches; it returned int"),
    (":loader", ":generator", {}, 'data.test = "{0}:generator" returned a generator, which can be '
     "walked only once: return a DataLoader or a list"),
    (":loader", ":fixed", {"batch_size": 2}, 'data.test = "{0}:fixed" takes no batch_size, so the '
     "batches are as it makes them: leave --batch-size out, or give the function that argument"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "options", "message"), RETURNS)
def test_a_factory_that_gives_the_wrong_thing_is_named(
    foreign: Foreign, old: str, new: str, options: Any, message: str
):
    foreign.write(SPEC.replace(old, new))
    assert foreign.refused(**options) == f"{foreign.spec}: {message.format(foreign.module)}"


def test_a_batch_size_below_one(foreign: Foreign):
    assert foreign.refused(MisuseError, batch_size=0) == (
        "batch_size must be a whole number of at least 1; got 0"
    )


def test_a_wrong_architecture_names_the_file(foreign: Foreign):
    foreign.write(SPEC.replace(':build"', ':build"\nkwargs = { hidden = 3 }'))
    message = foreign.refused(CheckpointError)
    assert message.startswith(f"{foreign.path} does not fit the model: tensors different 9 (")
    assert "'ehr_model.weight' is [4, 3] in the file and [3, 3] in the model" in message


def test_state_and_prefix_of_the_spec_are_used(foreign: Foreign):
    state = {f"net.{name}": value for name, value in foreign.model.state_dict().items()}
    torch.save({"ema": state | {"criterion.w": torch.ones(2)}, "model": {"x": torch.ones(2)}},
               foreign.path)  # fmt: skip
    foreign.write(SPEC.replace("[data]", 'state = "ema"\nprefix = "net."\n[data]'))
    loaded = load_model(foreign.path, foreign.spec)
    assert torch.equal(loaded.model.get_parameter("head.bias"), foreign.model.head.bias)


def test_notes_tell_what_was_changed_while_loading(foreign: Foreign):
    torch.save(foreign.model.half(), foreign.path)
    loaded = load_model(foreign.path, foreign.spec, trust=True)
    assert loaded.notes == (
        "10 tensors stored as float16 were loaded as float32.",
        "The checkpoint was trusted: its pickle was run.",
    )
    assert loaded.provenance["notes"] == list(loaded.notes)


def test_messages_name_the_spec_that_was_read_whatever_it_is_called(foreign: Foreign):
    foreign.spec = foreign.folder / "mine.toml"
    foreign.write(SPEC)
    with pytest.raises(MisuseError) as caught:
        load_subject(foreign.path, foreign.spec).loss("total")
    assert str(caught.value).endswith(f": add [loss.unimodal] to {foreign.spec}")
    foreign.write(SPEC.replace('"cxr_model"', '"cxr_modle"'))
    assert foreign.refused().startswith(
        f"{foreign.spec}: encoder pattern 'cxr_modle' of 'cxr' matches no parameter; did you mean "
        "'cxr_model'?"
    )
    foreign.write(SPEC.replace('"cxr_model"', '"ehr_model"'))
    assert foreign.refused().startswith(
        f"{foreign.spec}: parameter 'ehr_model.weight' is owned twice, by 'ehr' and by 'cxr'"
    )
    for line in ('state = "ema"', 'prefix = "net."', "kwargs = { hidden = 3 }"):
        foreign.write(SPEC.replace(':build"', f':build"\n{line}'))
        assert str(foreign.spec) in foreign.refused((SpecError, CheckpointError))
        assert "sharpscope.toml" not in foreign.refused((SpecError, CheckpointError))
