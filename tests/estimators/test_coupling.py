"""Coupling of blocks against dense Hessians."""

import math
from typing import Any

import numpy as np
import pytest
import torch

import sharpscope as ss
from sharpscope.errors import MisuseError
from sharpscope.estimators import Coupling
from sharpscope.operators import DenseOperator
from sharpscope.results import Outcome
from tests import problems
from tests.subject.snapshot import photograph, same

H = torch.tensor([[2.0, 1.0, 0.0], [1.0, 3.0, -2.0], [0.0, -2.0, 5.0]], dtype=torch.float64)
FIRST = torch.tensor([True, False, False])


def test_a_matrix_of_three_rows():
    found = Coupling(rtol=0.03)(DenseOperator(H), {"a": FIRST, "b": ~FIRST})
    assert found.blocks["a"] == 4.0
    assert found.blocks["a+b"] == pytest.approx(1.0, abs=1e-12)  # 1² + 0²
    assert found.block_error["b"] is not None
    assert abs((found.blocks["b"] or 0) - 42) <= 4 * found.block_error["b"]  # 9 + 25 + 2 · 4
    assert found.share_error["a+b"] is not None
    assert abs((found.shares["a+b"] or 0) - 2 / 48) < 4 * found.share_error["a+b"] + 1e-12
    assert found.outcome is Outcome.CONVERGED
    apart = Coupling()(DenseOperator(torch.diag(torch.ones(3))), {"a": FIRST, "b": ~FIRST})
    assert (apart.shares["a+b"], apart.blocks["a+b"]) == (0.0, 0.0)
    assert apart.matvecs == 20


def test_errors_cover_the_truth_over_seeds():
    torch.manual_seed(0)
    a = torch.randn(20, 20, dtype=torch.float64)
    a = a + a.T
    rows = torch.arange(20) < 8
    block = a[rows][:, ~rows].square().sum().item()
    true = 2 * block / a.square().sum().item()
    away: list[float] = []
    for seed in range(60):
        found = Coupling(rtol=0.1, seed=seed)(DenseOperator(a), {"x": rows, "y": ~rows})
        away.append(((found.shares["x+y"] or 0) - true) / (found.share_error["x+y"] or 1))
    assert 0.7 < np.std(away) < 1.4
    assert abs(np.mean(away)) < 0.5


@pytest.mark.parametrize("name", ["layer_norm", "conv_batchnorm", "tied"])
def test_encoders_have_the_blocks_of_their_dense_hessian(name: str):
    model = problems.build(name)
    subject = problems.subject_of(model)
    before = photograph(model)
    found = ss.coupling(subject, rtol=0.1)
    same(model, before)
    names = subject.select("ehr+cxr").names
    dense = problems.oracle_of(model, names).hessian().detach()
    rows = subject.rows("ehr", "ehr+cxr")
    true = {
        "ehr": dense[rows][:, rows].square().sum().item(),
        "cxr": dense[~rows][:, ~rows].square().sum().item(),
        "ehr+cxr": dense[rows][:, ~rows].square().sum().item(),
    }
    for key, value in true.items():
        error = found.block_error[key]
        assert error is not None
        assert abs((found.blocks[key] or 0.0) - value) <= 5 * error + 1e-9 * sum(true.values())
    assert 0 <= (found.shares["ehr+cxr"] or 0.0) <= 1


def test_three_encoders_have_three_pairs_and_more_probes_extend():
    rows = [torch.arange(3) == place for place in range(3)]
    found = Coupling()(DenseOperator(H), dict(zip("abc", rows, strict=True)))
    assert list(found.shares) == ["a+b", "a+c", "b+c"]
    assert found.shares["b+c"] == pytest.approx(2 * 4 / (9 + 25 + 8))
    assert found.blocks["a+c"] == 0.0


def test_budget_time_and_what_is_not_finite():
    a = torch.randn(9, 9, dtype=torch.float64)
    rows = torch.arange(9) < 4
    blocks = {"a": rows, "b": ~rows}
    found = Coupling(rtol=1e-6, budget=30)(DenseOperator(a + a.T), blocks)
    assert (found.outcome, found.matvecs, found.probes) == (Outcome.BUDGET_SPENT, 30, 15)
    assert "every block between two encoders" in found.advice
    late = Coupling(rtol=1e-6, max_seconds=1e-9)(DenseOperator(a + a.T), blocks)
    assert (late.outcome, late.probes) == (Outcome.BUDGET_SPENT, 2)
    broken = Coupling()(DenseOperator(torch.full((9, 9), math.nan)), blocks)
    assert (broken.outcome, broken.shares["a+b"]) == (Outcome.NOT_FINITE, None)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rtol": 0}, "rtol must be a finite number above 0"),
        ({"budget": 3}, r"budget must be .* at least 4 \(products; two probes of two encoders\)"),
        ({"seed": -1}, "seed must be a whole number of at least 0"),
        ({"max_seconds": 0}, "max_seconds must be a finite number above 0"),
        ({"probes": 3}, r"probes is no setting \(of the coupling\)"),
    ],
)
def test_settings(settings: dict[str, Any], message: str):
    with pytest.raises(MisuseError, match=message):
        ss.coupling(problems.subject_of(problems.build("layer_norm")), **settings)


def test_what_has_no_pairs():
    subject = problems.subject_of(problems.build("layer_norm"))
    with pytest.raises(MisuseError, match="coupling is between encoders: name at least two"):
        ss.coupling(subject, ["ehr"])
    with pytest.raises(MisuseError, match="modality must be 'ehr', 'cxr' or 'shared'"):
        ss.coupling(subject, ["ehr", "all"])
    with pytest.raises(MisuseError, match="name at least two; got none"):
        Coupling()(DenseOperator(H), {})
    rows = {name: torch.arange(3) == place for place, name in enumerate("abc")}
    with pytest.raises(MisuseError, match="budget must be at least 6 products, two probes of each"):
        Coupling(budget=4)(DenseOperator(H), rows)


def test_a_part_without_parameters_and_a_text_for_a_list():
    class Bare(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.a(x) + self.b(x)

    data = [(torch.randn(4, 2), torch.randint(2, (4,)))]
    loss = torch.nn.functional.cross_entropy
    subject = ss.Subject(Bare(), data, loss=loss, encoders={"a": "a", "b": "b"})
    with pytest.raises(MisuseError, match="'shared' owns no parameter"):
        ss.coupling(subject, ["a", "shared"])
    with pytest.raises(MisuseError, match="modalities must be a list of names; got the text 'ab'"):
        ss.coupling(subject, "ab")
