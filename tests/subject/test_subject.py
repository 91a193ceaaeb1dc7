"""The Subject: arguments at the door, losses by name, compiled models, dtypes."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import Parameter, functional

from sharpscope.errors import MisuseError, SubjectError
from sharpscope.estimators import Hutchinson
from sharpscope.operators import HessianOperator
from sharpscope.subject import Subject
from tests import problems
from tests.subject.restless import data, measure, restless, subject_over


def test_the_repr_counts_parameters():
    assert repr(subject_over(restless())) == "Subject(a 16, shared 18 parameters)"
    assert subject_over(restless()).parts == ("a", "shared")


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"data": 3}, "batches must be a loader or a list of batches; got int"),
        ({"loss": "msee"}, "loss must be 'cross_entropy', .*; got 'msee'; did you mean 'mse'"),
        ({"loss": 3}, "loss must be a name, a torch loss or a callable"),
        ({"call": "star"}, "call must be 'args', 'kwargs' or 'whole'; got 'star'"),
        ({"samples": 0}, "samples must be a whole number of at least 1; got 0"),
        ({"dtype": "float16"}, "dtype must be 'float32' or 'float64'; got 'float16'; did you mean"),
        ({"dtype": torch.bfloat16}, "dtype must be 'float32' or 'float64'; got 'bfloat16'"),
        ({"device": "gpu"}, "device must be cpu, cuda or cuda:N; got 'gpu'"),
        ({"encoders": {}}, "encoders must name at least one modality"),
        ({"unimodal": {"b": abs}}, "a modality of unimodal must be 'a'; got 'b'"),
    ],
)
def test_arguments_that_cannot_be_meant(settings: dict[str, Any], sentence: str):
    with pytest.raises(MisuseError, match=sentence):
        subject_over(restless(), **settings)


def test_a_data_set_is_no_loader():
    items = torch.utils.data.TensorDataset(*data()[0])
    with pytest.raises(MisuseError, match="a loader or a list of batches; got TensorDataset"):
        subject_over(restless(), data=items)


def test_a_model_is_a_module():
    with pytest.raises(MisuseError, match="model must be a torch module; got function"):
        Subject(functional.relu, [], loss="mse", encoders={"a": "x"})  # pyright: ignore[reportArgumentType]


def test_cuda_that_is_not_there(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(MisuseError, match="device cuda:1 was asked for and CUDA is not there; use"):
        subject_over(restless(), device="cuda:1")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(MisuseError, match="device cuda:2 was asked for and there are 2 of them"):
        subject_over(restless(), device="cuda:2")
    assert subject_over(restless(), device="cuda").device.type == "cuda"


def _with_parameter(parameter: Any) -> nn.Module:
    model = restless()
    model.first.register_parameter("odd", parameter)
    return model


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (
            lambda: nn.ModuleDict({"first": nn.LazyLinear(2)}),
            "'first.weight' has no shape yet: run",
        ),
        (
            lambda: nn.ModuleDict({"first": nn.Linear(2, 2, device="meta")}),
            "'first.weight' is on the meta device: load weights first",
        ),
        (
            lambda: _with_parameter(Parameter(torch.ones(2, dtype=torch.complex64))),
            "'first.odd' is complex, and only real ones are measured",
        ),
        (
            lambda: _with_parameter(Parameter(torch.tensor([1.0, torch.nan, torch.inf]))),
            "'first.odd' holds 2 NaN or infinite of 3 entries: the model has diverged, meas",
        ),
    ],
)
def test_parameters_that_cannot_be_measured(model: Any, sentence: str):
    with pytest.raises(SubjectError, match=f"parameter {sentence}"):
        subject_over(model())


def test_integer_and_empty_parameters_do_no_harm():
    model = _with_parameter(Parameter(torch.ones(2).int(), requires_grad=False))
    model.register_parameter("empty", Parameter(torch.empty(0)))
    assert torch.equal(measure(subject_over(model)), measure(subject_over(restless())))
    assert measure(subject_over(model), "all").shape == (34,)


def _unimodal(model: Any, batch: Any) -> Tensor:
    return model.first(batch[0]).square().mean()


def test_losses_by_name():
    subject = subject_over(restless(), unimodal={"a": _unimodal}, unimodal_weight=0.5)
    fusion, total, alone = (subject.census(n).loss_value for n in ("fusion", "total", "a"))
    assert total == pytest.approx(fusion + 0.5 * alone, rel=1e-6)
    with pytest.raises(
        MisuseError, match="loss must be 'fusion', 'a' or 'total'; got 'totla'; did"
    ):
        subject.loss("totla")


@pytest.mark.parametrize("name", ["total", "a"])
def test_a_loss_without_its_unimodal_part(name: str):
    with pytest.raises(MisuseError, match=f"loss '{name}' needs a unimodal loss for each modality"):
        HessianOperator(subject_over(restless()), "a", loss=name)


def test_a_total_needs_every_modality():
    encoders = {"a": "first", "b": "last"}
    subject = subject_over(restless(), encoders=encoders, unimodal={"a": _unimodal})
    assert subject.census("a").loss_value > 0
    with pytest.raises(MisuseError, match="loss 'total' needs a unimodal loss for each"):
        subject.loss("total")


def test_samples_and_mapping_batches():
    subject = subject_over(restless(), samples=5)
    assert (subject.census().samples, subject.census().batches) == (5, 2)
    named = [{"x": x, "goal": y} for x, y in data()]
    model = restless()
    mapping = subject_over(model, data=named, target="goal")
    assert mapping.census().loss_value == subject_over(model).census().loss_value


def test_no_notes_for_a_plain_model_and_one_for_half_and_mixed():
    assert subject_over(restless()).notes == ()
    half = subject_over(restless().bfloat16())
    assert half.notes == ("The model holds bfloat16 parameters; it was measured in float32.",)
    mixed = restless()
    mixed.first.double()
    subject = subject_over(mixed)
    assert subject.notes == (
        "The model holds float32, float64 parameters; it was measured in float64.",
    )
    assert subject.dtype == torch.float64
    told = subject_over(restless(), provenance={"notes": ("read from a file",)})
    assert told.notes == ("read from a file",)
    found = Hutchinson(probes=2)(half, "a")
    assert half.notes[0] in found.notes
    assert found.provenance["dtype"] == "float32"


def test_a_half_model_gives_the_product_of_its_values_in_float32():
    model = restless().bfloat16()
    wide = restless().bfloat16().float()
    torch.testing.assert_close(measure(subject_over(model)), measure(subject_over(wide)))


def _compiled_whole(model: nn.Module) -> Any:
    return torch.compile(model, backend="eager")


def _compiled_inside(model: Any) -> Any:
    model.ehr_model = torch.compile(model.ehr_model, backend="eager")
    return model


def _compiled_in_place(model: nn.Module) -> Any:
    model.get_submodule("ehr_model").compile(backend="eager")
    return model


def _parallel(model: nn.Module) -> Any:
    return nn.DataParallel(model)


@pytest.mark.parametrize("wrap", [_compiled_whole, _compiled_inside, _compiled_in_place, _parallel])
def test_a_compiled_model_gives_the_product_of_the_plain_one(wrap: Any):
    plain = problems.subject_of(problems.build("layer_norm"))
    wrapped = wrap(problems.build("layer_norm"))
    inputs = [part.double() for part in problems.batches()[0][:2]]
    if wrap is not _parallel:
        with torch.no_grad():
            wrapped.eval().double()(*inputs)  # compiled code exists before the measurement
    subject = problems.subject_of(wrapped.float().train())
    if wrap is _compiled_in_place:
        compiled = vars(wrapped.ehr_model)["_compiled_call_impl"]
    ours, exact = (HessianOperator(s, "ehr") for s in (subject, plain))
    vector = torch.ones(exact.dim, dtype=torch.float64)
    assert ours.selection.names == exact.selection.names
    torch.testing.assert_close(ours.matvec(vector), exact.matvec(vector))
    assert subject.model.training
    if wrap is _compiled_in_place:
        assert vars(wrapped.ehr_model)["_compiled_call_impl"] is compiled  # pyright: ignore[reportPossiblyUnboundVariable]


def test_blocks_nest_and_end_together():
    model = restless()
    subject = subject_over(model, dtype="float64")
    with subject.still():
        place = model.first.weight.data_ptr()
        with subject.still():
            assert not model.training
            assert model.first.weight.data_ptr() == place  # not copied once more
        assert not model.training
        assert model.first.weight.dtype == torch.float64
    assert model.training
    assert model.first.weight.dtype == torch.float32
    with pytest.raises(ZeroDivisionError), subject.still(), subject.still():
        raise ZeroDivisionError
    assert model.training


def test_gradients_reach_the_selection_alone():
    model = restless()
    subject = subject_over(model)
    with subject.studying(subject.select("*.bias")):
        studied = [name for name, p in model.named_parameters() if p.requires_grad]
    assert studied == ["first.bias", "norm.bias", "last.bias"]


def test_provenance_reaches_the_result():
    subject = subject_over(restless(), provenance={"checkpoint_sha256": "abc"}, dtype="float64")
    found = Hutchinson(probes=2)(subject, "a").provenance
    assert found["checkpoint_sha256"] == "abc"
    assert found["data_fingerprint"] == subject.census().fingerprint
    assert (found["batches"], found["device"], found["dtype"]) == (2, "cpu", "float64")
    assert set(found["versions"]) == {"sharpscope", "torch", "numpy"}
