"""Graphs are kept while they fit; the products are the same either way."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from sharpscope.operators import HessianOperator
from sharpscope.operators.graphs import Graph, Kept, graph_bytes
from tests import problems


class Calls(nn.Module):
    """Counts how often the model runs."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, *inputs: Tensor) -> Tensor:
        RUNS.append(1)  # not an attribute: a model held still gets its attributes back
        return self.model(*inputs)


RUNS: list[int] = []


@pytest.fixture(autouse=True)
def _from_zero():
    RUNS.clear()


def operator(name: str = "conv_batchnorm", **settings: Any) -> HessianOperator:
    model = Calls(problems.build(name))
    encoders = {"ehr": "model.ehr_model", "cxr": "model.cxr_model"}
    subject = problems.subject_of(model, encoders=encoders, **settings)
    return HessianOperator(subject, problems.PROBLEMS[name].modality)


@pytest.mark.parametrize("name", problems.PROBLEMS)
def test_products_do_not_depend_on_what_is_kept(name: str):
    found: list[Tensor] = []
    for memory in (10**9, 0, 2 * 10**4):
        chosen = operator(name, memory=memory)
        vectors = torch.randn(chosen.dim, 3, generator=torch.Generator().manual_seed(0)).double()
        with chosen.session():
            found += [chosen.matmat(vectors) for _ in range(2)]
    for columns in found[1:]:
        torch.testing.assert_close(columns, found[0], rtol=1e-12, atol=1e-14)


def test_a_kept_graph_runs_no_model():
    chosen = operator(memory=10**9)
    vector = torch.ones(chosen.dim)
    with chosen.session():
        chosen.matvec(vector)
        before = len(RUNS)
        chosen.matvec(vector)
        chosen.gradient()
        assert len(RUNS) == before


def test_without_memory_each_product_runs_the_model_once_a_batch():
    chosen = operator(memory=0)
    with chosen.session():
        chosen.matvec(torch.ones(chosen.dim))
        before = len(RUNS)
        chosen.matmat(torch.ones(chosen.dim, 5))
        assert len(RUNS) - before == len(problems.SIZES)


def test_what_does_not_fit_is_rebuilt():
    chosen = operator(memory=10**9)
    vector = torch.ones(chosen.dim)
    with chosen.session():
        chosen.matvec(vector)
        assert chosen._kept is not None
        size = graph_bytes(chosen._kept.graphs[0].gradient, chosen.selection.parameters)
    chosen.subject.memory = int(size * (2 * 1.3 + 2.1)) + 2000  # two of the four, and room to work
    with chosen.session():
        chosen.matvec(vector)
        before = len(RUNS)
        chosen.matvec(vector)
        assert chosen._kept is not None
        assert len(chosen._kept.graphs) == 2
        assert len(RUNS) - before == 2


def test_nothing_is_kept_between_sessions_and_bare_products():
    chosen = operator(memory=10**9)
    vector = torch.ones(chosen.dim)
    for _ in range(2):
        before = len(RUNS)
        chosen.matvec(vector)
        assert len(RUNS) - before >= len(problems.SIZES)
    with torch.no_grad():
        next(iter(chosen.subject.model.parameters())).mul_(1.5)
    changed = chosen.matvec(vector)
    fresh = HessianOperator(chosen.subject, "cxr").matvec(vector)
    torch.testing.assert_close(changed, fresh)


def test_graph_bytes_count_each_storage_once():
    weight = torch.ones(10, requires_grad=True)
    x = torch.ones(1000, 10)
    squares = (x @ weight) ** 2
    (gradient,) = torch.autograd.grad(squares.sum(), weight, create_graph=True)
    counted = graph_bytes([gradient, None], [weight])
    # x itself, x @ weight and what it is squared from or to.
    entry = x.element_size()
    assert entry * (10_000 + 1000) <= counted <= entry * (10_000 + 5 * 1000)


def test_graphs_are_kept_from_the_first_batch_on():
    def graph(number: int, size: int) -> Graph:
        leaf = torch.ones(size, requires_grad=True)
        (gradient,) = torch.autograd.grad((leaf**3).sum(), leaf, create_graph=True)
        return Graph(number, [gradient], 1.0, functional.relu(leaf).sum())

    kept = Kept(memory=200_000, batches=3)
    assert kept.offer(graph(1, 100), [])
    assert not kept.offer(graph(2, 100_000), [])
    assert not kept.offer(graph(3, 100), [])  # the third would leave a gap
    assert [g.number for g in kept.graphs] == [1]
    assert not kept.all
