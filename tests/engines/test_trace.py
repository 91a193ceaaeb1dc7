"""PyHessian's trace with our statistics, against dense Hessians."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sharpscope.engines import PyHessianOperator, PyHessianTrace
from sharpscope.estimators import Progress
from sharpscope.results import Outcome, load
from sharpscope.subject import Subject
from tests import problems
from tests.engines.quadratics import quadratic


def dense_trace(name: str) -> float:
    model = problems.build(name)
    selection = problems.subject_of(model).select(problems.PROBLEMS[name].modality)
    return problems.oracle_of(model, selection.names).hessian().trace().item()


@pytest.mark.parametrize("name", ["conv_batchnorm", "tied", "frozen"])
def test_trace_lies_within_its_error(name: str):
    subject = problems.subject_of(problems.build(name))
    found = PyHessianTrace(probes=60)(subject, problems.PROBLEMS[name].modality)
    assert found.value is not None
    assert found.standard_error is not None
    assert found.interval is not None
    assert abs(found.value - dense_trace(name)) <= 4 * found.standard_error
    assert found.interval[0] < found.value < found.interval[1]
    assert (found.outcome, found.probes, found.matvecs) == (Outcome.COMPLETED, 60, 60)
    assert (found.method, found.settings["operator"]) == ("pyhessian hutchinson", "pyhessian")


def test_diagonal_hessian_is_exact():
    found = PyHessianTrace()(quadratic([1.0, -3.0, 0.5]), "x")
    assert found.value == pytest.approx(-1.5, rel=1e-12)
    assert found.standard_error == pytest.approx(0, abs=1e-12)
    assert (found.outcome, found.matvecs) == (Outcome.CONVERGED, 10)


def test_statistics_are_those_of_the_terms():
    found = PyHessianTrace(probes=12)(problems.subject_of(problems.build("maxout")), "cxr")
    terms = torch.tensor(found.terms, dtype=torch.float64)
    assert found.value == pytest.approx(terms.mean().item())
    assert found.standard_error == pytest.approx(terms.std().item() / math.sqrt(12))
    assert found.data_error is None


def test_stops_on_the_standard_error():
    found = PyHessianTrace(rtol=0.3)(problems.subject_of(problems.build("conv_batchnorm")), "cxr")
    assert found.outcome is Outcome.CONVERGED
    assert found.value is not None
    assert found.standard_error is not None
    assert found.standard_error <= 0.3 * abs(found.value)
    assert found.probes > 10


def test_stops_on_the_budget_and_on_the_time():
    subject = problems.subject_of(problems.build("conv_batchnorm"))
    spent = PyHessianTrace(rtol=1e-6, budget=13)(subject, "cxr")
    assert (spent.outcome, spent.matvecs) == (Outcome.BUDGET_SPENT, 13)
    late = PyHessianTrace(rtol=1e-6, max_seconds=1e-3)(subject, "cxr")
    assert (late.outcome, late.matvecs) == (Outcome.BUDGET_SPENT, 2)


def test_a_negative_trace_does_not_end_it():
    subject = _saddle()
    assert len(_bare(subject, seed=5, maxIter=100)) == 2  # its own rule ends at once
    found = PyHessianTrace(rtol=0.05)(subject, "x")
    assert found.value is not None
    assert found.standard_error is not None
    assert found.outcome is Outcome.CONVERGED
    assert found.probes > 10
    assert abs(found.value + 40) <= 4 * found.standard_error


def test_seed_decides_and_more_probes_extend_the_draws():
    subject = problems.subject_of(problems.build("maxout"))
    first = PyHessianTrace(probes=5, seed=7)(subject, "cxr")
    torch.rand(3)  # the user's own draws change nothing
    longer = PyHessianTrace(probes=11, seed=7)(subject, "cxr")
    other = PyHessianTrace(probes=5, seed=8)(subject, "cxr")
    assert longer.terms[:5] == first.terms
    assert set(first.terms).isdisjoint(other.terms)


def test_bare_pyhessian_draws_the_same_probes():
    subject = problems.subject_of(problems.build("maxout"))
    found = PyHessianTrace(probes=11)(subject, "cxr")
    (seed,) = (
        int(note.split("manual_seed(")[1].split(")")[0])
        for note in found.notes
        if "manual_seed(" in note
    )
    values = _bare(subject, seed=seed, modality="cxr", maxIter=11, tol=float("-inf"))
    assert found.terms == pytest.approx(values, rel=1e-12)


def test_a_product_that_is_not_finite_is_an_outcome():
    def loss(model: nn.Module, batch: Tensor) -> Tensor:
        w: Any = model.weight
        return ((w - w.detach()).abs() ** 1.5).sum() + (w**2).sum()

    model = nn.Linear(2, 1, bias=False)
    subject = Subject(model, [torch.zeros(1)], loss=loss, encoders={"x": "weight"})
    found = PyHessianTrace()(subject, "x")
    assert (found.outcome, found.value, found.matvecs) == (Outcome.NOT_FINITE, None, 2)


def test_notes_name_the_faults_and_the_versions():
    found = PyHessianTrace(probes=2)(quadratic([1.0, 2.0]), "x")
    notes = " ".join(found.notes)
    assert "stopping rule is switched off" in notes
    assert "no error over batches" in notes
    assert found.provenance["versions"]["pyhessian"] == "0.1"


def test_progress_is_told_and_the_result_is_stored(tmp_path: Any):
    seen: list[Progress] = []
    found = PyHessianTrace(probes=12)(quadratic([1.0, 2.0]), "x", watcher=seen.append)
    assert [entry.products for entry in seen] == [2, 10, 12]
    assert load(found.save(tmp_path / "trace.json")) == found


def _saddle() -> Subject:
    """A dense 30 x 30 Hessian with trace -40."""
    generator = torch.Generator().manual_seed(2)
    matrix = torch.randn(30, 30, generator=generator, dtype=torch.float64)
    matrix = matrix + matrix.T
    matrix -= torch.eye(30, dtype=torch.float64) * (matrix.trace() + 40) / 30

    def loss(model: nn.Module, batch: Tensor) -> Tensor:
        w: Any = model.weight
        return 0.5 * (w @ matrix @ w.T).sum()

    model = nn.Linear(30, 1, bias=False).double()
    return Subject(model, [torch.zeros(1)], loss=loss, encoders={"x": "weight"})


def _bare(subject: Subject, *, seed: int, modality: str = "x", **settings: Any) -> list[float]:
    """Return what PyHessian's own trace finds, with nothing of ours around it but the model."""
    operator = PyHessianOperator(subject, modality)
    with operator.session():
        hessian = operator.hessian()
        torch.manual_seed(seed)
        return hessian.trace(**settings)
