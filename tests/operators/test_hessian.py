"""The Hessian operator against a dense Hessian, finite differences and its own symmetry."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from sharpscope.errors import MisuseError, SubjectError
from sharpscope.estimators import Hutchinson, HutchPlusPlus, TopEigenvalues
from sharpscope.operators import HessianOperator
from sharpscope.subject import Subject
from tests import problems
from tests.oracles import Oracle, spectral_norm


@pytest.fixture(params=sorted(problems.PROBLEMS))
def case(request: pytest.FixtureRequest) -> tuple[HessianOperator, Oracle]:
    problem = problems.PROBLEMS[request.param]
    model = problems.build(request.param)
    operator = HessianOperator(problems.subject_of(model), problem.modality)
    return operator, problems.oracle_of(model, operator.selection.names)


def test_every_column_equals_the_dense_hessian(case: tuple[HessianOperator, Oracle]):
    operator, oracle = case
    dense = oracle.hessian()
    ours = operator.matmat(torch.eye(operator.dim, dtype=torch.float64))
    assert spectral_norm(dense) > 1e-3
    assert (ours - dense).abs().max() <= 1e-8 * spectral_norm(dense)


def test_products_equal_finite_differences(case: tuple[HessianOperator, Oracle]):
    operator, oracle = case
    norm = spectral_norm(oracle.hessian())
    for _ in range(3):
        vector = functional.normalize(torch.randn(operator.dim, dtype=torch.float64), dim=0)
        error = operator.matvec(vector) - oracle.difference(vector, 1e-5)
        assert error.norm() <= 1e-6 * norm


def test_products_are_symmetric(case: tuple[HessianOperator, Oracle]):
    operator, oracle = case
    v, w = torch.randn(2, operator.dim, dtype=torch.float64)
    hv, hw = operator.matmat(torch.stack([v, w], 1)).unbind(1)
    scale = spectral_norm(oracle.hessian()) * v.norm() * w.norm()
    assert abs(v @ hw - w @ hv) <= 1e-8 * scale


def test_trace_and_extremes_equal_the_dense_hessian(case: tuple[HessianOperator, Oracle]):
    operator, oracle = case
    dense = oracle.hessian()
    norm = spectral_norm(dense)
    exact = HutchPlusPlus(rank=operator.dim, budget=10 * operator.dim)(operator)
    assert exact.standard_error == 0
    assert exact.value == pytest.approx(dense.trace().item(), abs=1e-8 * norm)
    spectrum = torch.linalg.eigvalsh(dense)
    found = TopEigenvalues(rtol=1e-8)(operator)
    assert found.outcome == "converged"
    assert found.largest == pytest.approx(spectrum[-1].item(), abs=1e-8 * norm)
    assert found.smallest == pytest.approx(spectrum[0].item(), abs=1e-8 * norm)


def test_several_vectors_in_one_visit_equal_one_by_one():
    operator = HessianOperator(problems.subject_of(problems.build("conv_batchnorm")), "cxr")
    block = torch.randn(operator.dim, 3, dtype=torch.float64)
    one_by_one = torch.stack([operator.matvec(v) for v in block.unbind(1)], dim=1)
    torch.testing.assert_close(operator.matmat(block), one_by_one, rtol=0, atol=0)


def test_batches_of_any_size_give_the_same_product():
    model = problems.build("layer_norm")
    vector = None
    found: list[Tensor] = []
    for sizes in ((12,), (4, 4, 3, 1), (11, 1)):
        joined = [torch.cat(part) for part in zip(*problems.batches(), strict=True)]
        data = list(zip(*(part.split(sizes) for part in joined), strict=True))
        operator = HessianOperator(problems.subject_of(model, data=data), "ehr")
        vector = torch.ones(operator.dim, dtype=torch.float64) if vector is None else vector
        found.append(operator.matvec(vector))
    for other in found[1:]:
        torch.testing.assert_close(other, found[0], rtol=1e-10, atol=1e-12)


def test_float32_is_close_to_float64():
    model = problems.build("attention")
    double = HessianOperator(problems.subject_of(model), "ehr")
    single = HessianOperator(problems.subject_of(model, dtype="float32"), "ehr")
    vector = torch.randn(double.dim, dtype=torch.float32)
    assert single.matvec(vector).dtype == torch.float32
    error = (single.matvec(vector).double() - double.matvec(vector.double())).norm()
    assert error <= 1e-5 * double.matvec(vector.double()).norm()


class _Linear(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(3, 2)
        self.b = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.a(x) + torch.tanh(self.b(x))


def _data() -> list[tuple[Tensor, Tensor]]:
    return [(torch.randn(n, 3), torch.randn(n, 2)) for n in (3, 2)]


def test_a_loss_linear_in_the_selection_has_zero_products():
    subject = Subject(
        _Linear(),
        _data(),
        loss=lambda model, batch: model(batch[0]).mean(),
        encoders={"a": "a", "b": "b"},
    )
    operator = HessianOperator(subject, "a")
    assert operator.matvec(torch.randn(operator.dim)).abs().max() == 0
    found = Hutchinson()(operator)
    assert (found.value, found.standard_error) == (0.0, 0.0)
    assert found.outcome == "converged"


def test_parameters_partly_linear_keep_the_rest():
    subject = Subject(
        _Linear(),
        _data(),
        loss=lambda model, batch: model(batch[0]).mean(),
        encoders={"a": "a", "b": "b"},
        dtype="float64",
    )
    whole = HessianOperator(subject, "all")
    part = HessianOperator(subject, "b")
    block = whole.matmat(torch.eye(whole.dim, dtype=torch.float64))
    assert block[:8, :].abs().max() == 0
    torch.testing.assert_close(block[8:, 8:], part.matmat(torch.eye(8, dtype=torch.float64)))


def test_unused_parameters_are_named_in_the_result():
    subject = problems.subject_of(problems.build("unused_branch"))
    found = Hutchinson(probes=2)(subject, "ehr")
    assert any(
        "2 of the 4 parameter tensors have no effect on the loss and a zero block "
        "(ehr_model.unused.weight, ehr_model.unused.bias)" in note
        for note in found.notes
    )


def test_a_loss_that_never_reaches_the_selection_is_a_zero_block_with_a_message():
    model = _Linear()
    subject = Subject(
        model,
        _data(),
        loss=lambda m, batch: m.b(batch[0]).square().mean(),
        encoders={"a": "a", "b": "b"},
    )
    found = Hutchinson(probes=2)(subject, "a")
    assert found.value == 0
    assert any("2 of the 2 parameter tensors have no effect" in note for note in found.notes)


def test_frozen_parameters_are_measured_and_said():
    found = Hutchinson(probes=2)(problems.subject_of(problems.build("frozen")), "cxr")
    assert found.value != 0
    assert any("parameters are frozen; they were measured and given back" in n for n in found.notes)


class _Once(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.square()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        (x,) = ctx.saved_tensors
        return 2 * x * grad


class _Detached(_Once):
    """Its backward pass is not marked, and forgets that its slope depends on x."""

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        (x,) = ctx.saved_tensors
        return 2 * x.detach() * grad


class _Sound(_Once):
    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        (x,) = ctx.saved_tensors
        return 2 * x * grad


class _Through(nn.Module):
    """A linear layer and one more operation."""

    def __init__(self, operation: Callable[[Tensor], Tensor]):
        super().__init__()
        self.a = nn.Linear(3, 2)
        self.operation = operation

    def forward(self, x: Tensor) -> Tensor:
        return self.operation(self.a(x))


def _through(operation: Any) -> HessianOperator:
    # The sum makes the whole curvature come from the operation itself.
    subject = Subject(
        _Through(operation), _data(), loss=lambda m, b: m(b[0]).mean(), encoders={"a": "a"}
    )
    return HessianOperator(subject, "a")


def test_an_operation_without_second_derivative_is_named():
    with pytest.raises(SubjectError, match=r"_cdist_backward has no second derivative, so this l"):
        _through(lambda x: torch.cdist(x.tanh(), x)).matvec(torch.ones(8))


def test_a_function_differentiable_once_is_named_though_autograd_is_silent():
    with pytest.raises(SubjectError, match=r"^_Once has no second derivative, so this loss has"):
        _through(lambda x: _Once.apply(x).square()).matvec(torch.ones(8))


@pytest.mark.parametrize("function", [_Detached, _Once])
def test_a_function_that_loses_its_second_derivative_is_found_by_a_difference(function: Any):
    with pytest.raises(SubjectError, match=r"^_\w+ loses its second derivative without an error"):
        _through(function.apply).matvec(torch.ones(8))


def test_a_sound_custom_function_is_measured_and_said():
    operator = _through(_Sound.apply)
    plain = _through(torch.square)
    plain.subject.model.load_state_dict(operator.subject.model.state_dict())
    vector = torch.randn(8)
    data = operator.subject.batches
    plain.subject.batches = data
    torch.testing.assert_close(operator.matvec(vector), plain.matvec(vector))
    found = Hutchinson(probes=2)(operator)
    assert any(
        "custom autograd functions (_Sound); one product was compared" in n for n in found.notes
    )


def test_a_vector_of_another_length_is_refused():
    operator = HessianOperator(problems.subject_of(problems.build("tied")), "ehr")
    with pytest.raises(MisuseError, match=r"the shape \[60\] of the Selection; got \[7\]"):
        operator.matvec(torch.ones(7))
    with pytest.raises(MisuseError, match=r"the shape \[60, k\] of the Selection; got \[60\]"):
        operator.matmat(torch.ones(60))


def test_each_measurement_speaks_of_the_model_as_it_is_then():
    subject = problems.subject_of(problems.build("layer_norm"))
    operator = HessianOperator(subject, "ehr")
    first = Hutchinson(probes=2)(operator)
    with torch.no_grad():
        for p in subject.model.parameters():
            p.mul_(1.5)
    second = Hutchinson(probes=2)(operator)
    again = Hutchinson(probes=2)(HessianOperator(subject, "ehr"))
    assert (second.value, second.loss_value) == (again.value, again.loss_value)
    assert second.loss_value != first.loss_value


def test_a_bare_product_proves_stillness_once_and_a_measurement_each_time():
    walks: list[int] = []

    class Counted(list[Any]):
        def __iter__(self) -> Any:
            walks.append(1)
            return super().__iter__()

    data = Counted(problems.batches())
    operator = HessianOperator(problems.subject_of(problems.build("tied"), data=data), "ehr")
    vector = torch.ones(operator.dim)
    operator.matvec(vector)
    assert len(walks) == 4  # the proof, two gradients that replay is compared with, the product
    operator.matvec(vector)
    assert len(walks) == 5
    Hutchinson(probes=2)(operator)
    assert len(walks) == 5 + 3 + 1 + 1  # the proof, one block of two probes, the gradient
