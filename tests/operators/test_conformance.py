"""What every operator on a subject must do; a new one joins by a line in ``OPERATORS``."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from sharpscope.errors import SubjectError
from sharpscope.estimators import Hutchinson, HutchPlusPlus, TopEigenvalues, XTrace
from sharpscope.operators import (
    FiniteDifferenceHessian,
    GaussNewtonOperator,
    HessianOperator,
)
from tests import problems
from tests.oracles import Oracle, spectral_norm


@dataclass(frozen=True)
class Member:
    """An operator, its dense oracle, and how close to it what share of float64 columns comes."""

    build: Callable[..., Any]
    dense: Callable[[Oracle], Tensor]
    rtol: float
    columns: float = 1.0


OPERATORS = {
    "hessian": Member(HessianOperator, Oracle.hessian, 1e-8),
    "gauss-newton": Member(GaussNewtonOperator, lambda oracle: gauss_newton(oracle), 1e-8),
    # A step that crosses a kink of ReLU or MaxOut finds its jump.
    "finite-difference": Member(FiniteDifferenceHessian, Oracle.hessian, 1e-6, 0.85),
}


def gauss_newton(oracle: Oracle) -> Tensor:
    """Return ``Jᵀ (∂²L/∂z²) J`` in float64, each entry of the Jacobian by its own gradient."""
    ehr, cxr, target = (torch.cat(part) for part in zip(*problems.batches(), strict=True))
    logits = oracle.model(ehr.double(), cxr.double())
    rows: list[Tensor] = []
    for entry in logits.reshape(-1):
        found: Any = torch.autograd.grad(
            entry, oracle.parameters, retain_graph=True, materialize_grads=True, allow_unused=True
        )
        rows.append(torch.cat([g.reshape(-1) for g in found]))
    jacobian = torch.stack(rows)
    outputs = logits.detach().requires_grad_()
    (slope,) = torch.autograd.grad(
        functional.cross_entropy(outputs, target), outputs, create_graph=True
    )
    bend = torch.stack(
        [
            torch.autograd.grad(s, outputs, retain_graph=True)[0].reshape(-1)
            for s in slope.reshape(-1)
        ]
    )
    return jacobian.T @ bend @ jacobian


@pytest.fixture(params=sorted(OPERATORS))
def member(request: pytest.FixtureRequest) -> Member:
    return OPERATORS[request.param]


def operator_on(member: Member, name: str, **settings: Any) -> tuple[Any, Oracle]:
    model = problems.build(name)
    operator = member.build(
        problems.subject_of(model, **settings), problems.PROBLEMS[name].modality
    )
    return operator, problems.oracle_of(model, operator.selection.names)


@pytest.mark.parametrize("name", problems.PROBLEMS)
def test_columns_equal_the_dense_matrix(member: Member, name: str):
    operator, oracle = operator_on(member, name)
    dense = member.dense(oracle)
    with operator.session():
        ours = operator.matmat(torch.eye(operator.dim, dtype=torch.float64))
    assert spectral_norm(dense) > 1e-3
    close = (ours - dense).norm(dim=0) <= member.rtol * spectral_norm(dense)
    assert close.double().mean() >= member.columns


@pytest.mark.parametrize("settings", [{"memory": 0}, {"replay": False}, {"memory": 10**5}])
def test_memory_and_replay_change_no_number(member: Member, settings: dict[str, Any]):
    operator, _ = operator_on(member, "attention_not_selected")
    tight, _ = operator_on(member, "attention_not_selected", **settings)
    vectors = torch.randn(operator.dim, 2, dtype=torch.float64)
    with operator.session(), tight.session():
        for _ in range(2):
            one, other = operator.matmat(vectors), tight.matmat(vectors)
            assert (one - other).norm() <= 1e-9 * one.norm()


def test_forms_and_cross_forms_add_up_to_the_products(member: Member):
    operator, _ = operator_on(member, "layer_norm")
    vectors = torch.randn(operator.dim, 3, dtype=torch.float64)
    others = torch.randn(2, operator.dim, dtype=torch.float64)
    found = operator.products(vectors, others)
    assert found.weights.tolist() == list(problems.SIZES)
    torch.testing.assert_close(found.quadratic, (vectors * found.columns).sum(0))
    cross = found.cross.sum(0) / found.weights.sum()
    torch.testing.assert_close(cross, others @ found.columns)


def test_several_vectors_in_one_pass_equal_one_by_one(member: Member):
    operator, _ = operator_on(member, "conv_batchnorm")
    vectors = torch.randn(operator.dim, 3, dtype=torch.float64)
    together = operator.matmat(vectors)
    for index in range(3):
        torch.testing.assert_close(operator.matvec(vectors[:, index]), together[:, index])


def test_zero_and_scaled_vectors(member: Member):
    operator, _ = operator_on(member, "tied")
    vector = torch.randn(operator.dim, dtype=torch.float64)
    zero, one, large = operator.matmat(
        torch.stack([0 * vector, vector, 1e6 * vector], dim=1)
    ).unbind(1)
    assert not zero.any()
    assert (large - 1e6 * one).norm() <= max(1e-12, 10 * member.rtol) * large.norm()


def test_float32_is_near_float64(member: Member):
    exact, _ = operator_on(member, "tied")
    single, _ = operator_on(member, "tied", dtype="float32")
    vector = torch.randn(exact.dim, dtype=torch.float64)
    one, other = exact.matvec(vector), single.matvec(vector.float())
    differences = member.build is FiniteDifferenceHessian
    assert other.dtype == (torch.float64 if differences else torch.float32)
    assert (one - other).norm() <= (1e-6 if differences else 1e-5) * one.norm()


def test_a_trained_float32_encoder_has_its_trace_by_every_operator_of_the_hessian():
    """Finite differences in float32 gave up to three times the trace of trained encoders."""
    model = problems.build("group_norm")
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(200):
        for ehr, cxr, target in problems.batches():
            optimizer.zero_grad()
            functional.cross_entropy(model(ehr, cxr), target).backward()
            optimizer.step()
    subject = problems.subject_of(model, dtype=None)
    traces = [
        HutchPlusPlus(rank=10**4, budget=10**4)(build(subject, "cxr")).value or 0.0
        for build in (HessianOperator, FiniteDifferenceHessian)
    ]
    assert traces[1] == pytest.approx(traces[0], rel=0.02)


def test_the_model_comes_back(member: Member):
    model = problems.build("conv_batchnorm")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    data = [p.data_ptr() for p in model.parameters()]
    operator = member.build(problems.subject_of(model), "cxr")
    operator.matvec(torch.ones(operator.dim))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert [p.data_ptr() for p in model.parameters()] == data
    assert model.training


def test_estimators_take_it_and_name_it(member: Member):
    operator, oracle = operator_on(member, "tied")
    trace = HutchPlusPlus(rank=operator.dim, budget=10**4)(operator)
    true = member.dense(oracle)
    assert trace.value == pytest.approx(true.trace().item(), rel=max(1e-7, member.rtol))
    assert trace.settings["operator"] == operator.name
    ends = TopEigenvalues(rtol=max(1e-6, 10 * member.rtol))(operator)
    assert ends.largest == pytest.approx(torch.linalg.eigvalsh(true)[-1].item(), rel=1e-3)


@pytest.mark.parametrize("estimator", [HutchPlusPlus, Hutchinson, XTrace, TopEigenvalues])
def test_a_default_device_of_the_user_changes_nothing(member: Member, estimator: Any):
    """On ``meta`` there are no numbers: whatever was made there by oversight cannot come back."""
    operator, _ = operator_on(member, "conv_batchnorm")
    plain = estimator(rtol=0.3)(operator).to_dict()
    with torch.device("meta"):
        found = estimator(rtol=0.3)(operator).to_dict()
    assert [found.get(name) for name in ("value", "eigenvalues", "largest")] == [
        plain.get(name) for name in ("value", "eigenvalues", "largest")
    ]


def test_the_gauss_newton_matrix_has_no_negative_eigenvalue():
    operator, _ = operator_on(OPERATORS["gauss-newton"], "layer_norm")
    hessian, _ = operator_on(OPERATORS["hessian"], "layer_norm")
    eye = torch.eye(operator.dim, dtype=torch.float64)
    assert torch.linalg.eigvalsh(operator.matmat(eye))[0] > -1e-12
    assert torch.linalg.eigvalsh(hessian.matmat(eye))[0] < -1e-6


KNOWN: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "squared": lambda z, t: functional.mse_loss(z, functional.one_hot(t, 3).to(z)),
    "squared, as a module": lambda z, t: nn.MSELoss()(z, functional.one_hot(t, 3).to(z)),
    "several labels": lambda z, t: functional.binary_cross_entropy_with_logits(
        z, functional.one_hot(t, 3).to(z)
    ),
    "two of them": lambda z, t: (
        nn.CrossEntropyLoss()(z, t) + 0.3 * functional.mse_loss(input=z.tanh(), target=0 * z)
    ),
}


@pytest.mark.parametrize("name", KNOWN)
def test_gauss_newton_of_a_linear_model_is_its_hessian(name: str):
    model = nn.Linear(15, 3)
    data = [(e.flatten(1), t) for e, _, t in problems.batches()]

    def loss(model: nn.Module, batch: Any) -> Tensor:
        return KNOWN[name](model(batch[0]), batch[1])

    settings: dict[str, Any] = {"data": data, "loss": loss, "encoders": {"x": "weight"}}
    subject = problems.subject_of(model, **settings)
    eye = torch.eye(45, dtype=torch.float64)
    found, true = (
        kind(subject, "x").matmat(eye) for kind in (GaussNewtonOperator, HessianOperator)
    )
    if name == "two of them":  # the second output is made of the first, and not linear
        assert (found - true).norm() > 1e-3 * true.norm()
        assert torch.linalg.eigvalsh(found)[0] > -1e-12
    else:
        torch.testing.assert_close(found, true)


@pytest.mark.parametrize(
    "loss",
    [
        lambda model, batch: model(*batch[:2]).square().mean(),
        lambda model, batch: (
            functional.cross_entropy(model(*batch[:2]), batch[2])
            + 0.1 * sum(p.square().sum() for p in model.ehr_model.parameters())
        ),
    ],
)
def test_a_loss_beyond_the_known_ones_is_refused(loss: Any):
    operator = GaussNewtonOperator(
        problems.subject_of(problems.build("layer_norm"), loss=loss), "ehr"
    )
    with pytest.raises(
        SubjectError,
        match="batch 1: the Gauss-Newton matrix is that of losses made of cross_entropy, "
        "binary_cross_entropy_with_logits, mse_loss alone, and this one depends",
    ):
        operator.matvec(torch.ones(operator.dim))


def test_a_loss_that_never_reaches_the_selection_has_zero_products(member: Member):
    def loss(model: nn.Module, batch: Any) -> Tensor:
        logits = model.get_parameter("fusion.weight")[:, :3]
        return functional.cross_entropy(logits, torch.tensor([0, 1, 2]))

    operator = member.build(problems.subject_of(problems.build("layer_norm"), loss=loss), "ehr")
    assert not operator.matvec(torch.ones(operator.dim)).any()


class OnceDifferentiable(torch.autograd.Function):
    """A sigmoid whose backward pass is not recorded."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx.save_for_backward(x)
        return x.sigmoid()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        (x,) = ctx.saved_tensors
        return grad * x.sigmoid() * (1 - x.sigmoid())


def test_finite_differences_measure_what_has_no_second_derivative():
    def loss(function: Callable[[Tensor], Tensor]) -> Any:
        return lambda model, batch: functional.cross_entropy(function(model(*batch[:2])), batch[2])

    def subject(function: Any) -> Any:
        return problems.subject_of(problems.build("layer_norm"), loss=loss(function))

    vector = torch.ones(HessianOperator(subject(torch.sigmoid), "ehr").dim, dtype=torch.float64)
    true = HessianOperator(subject(torch.sigmoid), "ehr").matvec(vector)
    with pytest.raises(SubjectError, match=r"--operator fd"):
        HessianOperator(subject(OnceDifferentiable.apply), "ehr").matvec(vector)
    found = FiniteDifferenceHessian(subject(OnceDifferentiable.apply), "ehr").matvec(vector)
    assert (found - true).norm() <= 1e-5 * true.norm()


def test_the_gauss_newton_matrix_refuses_what_loses_its_second_derivative():
    def loss(model: nn.Module, batch: Any) -> Tensor:
        logits = model(*batch[:2])
        return functional.cross_entropy(logits + OnceDifferentiable.apply(logits), batch[2])

    operator = GaussNewtonOperator(
        problems.subject_of(problems.build("layer_norm"), loss=loss), "ehr"
    )
    with pytest.raises(SubjectError, match=r"batch 1: .*second derivative.*--operator fd"):
        operator.matvec(torch.ones(operator.dim))


def test_a_loss_for_the_log_alone_does_not_count():
    def loss(model: nn.Module, batch: Any) -> Tensor:
        logits = model(*batch[:2])
        functional.mse_loss(logits, logits.detach() + 1)
        with torch.no_grad():
            functional.mse_loss(logits, logits + 1)
        return functional.cross_entropy(logits, batch[2])

    one, other = (
        GaussNewtonOperator(problems.subject_of(problems.build("layer_norm"), **settings), "ehr")
        for settings in ({"loss": loss}, {})
    )
    vector = torch.ones(one.dim)
    torch.testing.assert_close(one.matvec(vector), other.matvec(vector))


def test_finite_differences_say_that_they_need_float64():
    def loss(model: nn.Module, batch: Any) -> Tensor:
        weight = torch.ones(problems.CLASSES, dtype=torch.float32)
        return functional.cross_entropy(model(*batch[:2]), batch[2], weight=weight)

    subject = problems.subject_of(problems.build("layer_norm"), loss=loss, dtype="float32")
    operator = FiniteDifferenceHessian(subject, "ehr")
    with pytest.raises(SubjectError, match=r"\(finite differences are taken in float64: float32"):
        operator.matvec(torch.ones(operator.dim))


def test_a_value_changed_in_place_is_told_in_one_sentence(member: Member):
    def loss(model: nn.Module, batch: Any) -> Tensor:
        hidden = model(*batch[:2]).sigmoid()
        total = functional.cross_entropy(hidden, batch[2])
        hidden.mul_(2)
        return total

    operator = member.build(problems.subject_of(problems.build("tied"), loss=loss), "ehr")
    with pytest.raises(SubjectError, match=r"no gradient: .* modified by an inplace operation"):
        operator.matvec(torch.ones(operator.dim))
