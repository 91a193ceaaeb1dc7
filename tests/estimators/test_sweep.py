"""One sweep gives every block's trace, right and honest, and is taken where it is cheaper."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

import sharpscope as ss
from sharpscope.errors import MisuseError, SubjectError
from sharpscope.estimators import Sweep
from sharpscope.operators import DenseOperator, HessianOperator
from tests import problems
from tests.estimators.test_trace import DECAYING, NEGATIVE, with_spectrum

ONE_LARGE = torch.cat([torch.tensor([100.0, 1.0]), torch.full((58,), 0.01)])
SPECTRA = [DECAYING, NEGATIVE, ONE_LARGE, torch.linspace(-1, 1.5, 120)]


def halves(rows: int) -> dict[str, Tensor]:
    first = torch.arange(rows) % 3 == 0
    return {"ehr": first, "cxr": ~first}


def true_traces(matrix: Tensor, blocks: dict[str, Tensor]) -> dict[str, float]:
    return {name: matrix.diagonal()[rows].sum().item() for name, rows in blocks.items()}


@pytest.mark.parametrize("spectrum", SPECTRA)
def test_each_block_is_unbiased_and_its_interval_covers(spectrum: Tensor):
    matrix = with_spectrum(spectrum)
    blocks = halves(len(matrix))
    true, covered = true_traces(matrix, blocks), dict.fromkeys(blocks, 0)
    for seed in range(200):
        found = Sweep(rtol=0.2, seed=seed)(DenseOperator(matrix), blocks)
        for name, part in found.items():
            assert part.interval is not None
            covered[name] += part.interval[0] <= true[name] <= part.interval[1]
    assert all(0.90 <= count / 200 <= 1 for count in covered.values()), covered


def test_the_parts_add_up_to_the_whole():
    matrix = with_spectrum(NEGATIVE)
    found = Sweep(rtol=0.1)(DenseOperator(matrix), halves(len(matrix)))
    basis = next(iter(found.values())).deflated
    assert basis > 0
    whole = torch.tensor([part.terms for part in found.values()]).sum(0)
    exact = sum(part.exact_part for part in found.values())
    # Each probe's value of the whole is that of its blocks, and no block has another basis.
    assert sum(part.value or 0 for part in found.values()) == pytest.approx(
        whole.mean().item() + exact
    )
    full = Sweep(rtol=1e-9)(DenseOperator(matrix), halves(len(matrix)))
    total = sum(part.value or 0 for part in full.values())
    assert total == pytest.approx(matrix.trace().item())


def test_a_basis_of_the_whole_space_is_exact():
    matrix = with_spectrum(torch.linspace(-3, 3.3, 40))
    blocks = halves(40)
    found = Sweep(rtol=1e-6)(DenseOperator(matrix), blocks)
    assert {name: part.value for name, part in found.items()} == pytest.approx(
        true_traces(matrix, blocks)
    )


@pytest.mark.parametrize("modality", ["ehr", "cxr"])
def test_blocks_of_a_model_equal_the_dense_hessian(modality: str):
    model = problems.build("layer_norm")
    subject = problems.subject_of(model)
    found = ss.traces(subject, ["ehr", "cxr", "shared"], way="sweep", rtol=1e-8)
    assert list(found) == ["ehr", "cxr", "shared"]
    whole = ss.trace(subject, "all", rtol=1e-8)
    assert sum(part.value or 0 for part in found.values()) == pytest.approx(whole.value)
    part, alone = found[modality], ss.trace(subject, modality, rtol=1e-8)
    oracle = problems.oracle_of(model, subject.select(modality).names)
    assert part.value == pytest.approx(oracle.hessian().trace().item(), rel=1e-8)
    # All else that a record says of the block is what its own measurement says.
    for field in ("modality", "parameters", "samples", "loss_value", "normalized", "data_error"):
        mine, its = getattr(part, field), getattr(alone, field)
        assert mine == (pytest.approx(its, rel=1e-6) if isinstance(mine, float | dict) else its)
    assert part.settings["way"] == "one sweep"
    assert alone.settings["way"] == "by itself"
    assert "One sweep gave ehr, cxr, shared; the products counted are" in part.notes[-1]


def test_the_error_over_the_data_is_that_of_the_block():
    subject = problems.subject_of(problems.build("conv_batchnorm"))
    found = ss.traces(subject, way="sweep", rtol=1e-8)
    alone = ss.trace(subject, "cxr", rtol=1e-8)
    assert found["cxr"].data_error == pytest.approx(alone.data_error, rel=1e-6)


@pytest.mark.parametrize(
    ("settings", "outcome"),
    [
        ({"budget": 30, "rtol": 1e-6}, "budget_spent"),
        ({"probes": 7}, "completed"),
        ({"rtol": 0.3}, "converged"),
    ],
)
def test_outcomes(settings: Any, outcome: str):
    found = Sweep(**settings)(DenseOperator(with_spectrum(NEGATIVE)), halves(len(NEGATIVE)))
    assert {part.outcome for part in found.values()} == {outcome}
    spent = {part.matvecs for part in found.values()}
    assert len(spent) == 1
    assert spent.pop() <= settings.get("budget", 2000)


def test_what_is_not_finite_is_an_outcome():
    matrix = with_spectrum(NEGATIVE)
    matrix[0, 0] = torch.nan
    found = Sweep()(DenseOperator(matrix), halves(len(matrix)))
    assert {(part.outcome, part.value) for part in found.values()} == {("not_finite", None)}


class Views(nn.Module):
    """A small encoder for each of several views behind a common stem that nobody asks about."""

    def __init__(self, number: int):
        super().__init__()
        self.stem = nn.Linear(12, 12)
        self.encoders = nn.ModuleDict({f"view{i}": nn.Linear(12, 4) for i in range(number)})

    def forward(self, x: Tensor) -> list[Tensor]:
        seen = self.stem(x)
        return [encoder(seen) for encoder in self.encoders.values()]


def views(number: int, **settings: Any) -> ss.Subject:
    """Return views that share no more than a sum of their losses: no block disturbs another."""
    torch.manual_seed(2)
    model = Views(number)
    data = [(torch.randn(n, 12), torch.randn(n, 4)) for n in (8, 8, 3)]

    def loss(model: nn.Module, batch: Any) -> Tensor:
        return sum((functional.mse_loss(z, batch[1]) for z in model(batch[0])), torch.zeros(()))

    encoders = {name: f"encoders.{name}" for name in model.encoders}
    return ss.Subject(model, data, loss=loss, encoders=encoders, **settings)


def operations(subject: ss.Subject, **settings: Any) -> tuple[float, dict[str, Any]]:
    with FlopCounterMode(display=False) as counter:
        found = ss.traces(subject, rtol=0.05, **settings)
    return float(counter.get_total_flops()), found


def test_the_cheaper_way_is_taken_and_named():
    # Nothing is played back or kept: each product runs all views.
    plain: dict[str, Any] = {"replay": False, "memory": 0}
    chosen, found = operations(views(8, **plain))
    each, alone = operations(views(8, **plain), way="each")
    assert {part.settings["way"] for part in found.values()} == {"one sweep"}
    assert "One by one would take about" in found["view0"].notes[-1]
    assert chosen < each
    for name, part in alone.items():
        error = (part.standard_error or 0) + (found[name].standard_error or 0)
        assert part.value == pytest.approx(found[name].value, abs=4 * error)
    # The others stand still: nothing is left for a sweep to save.
    found = ss.traces(views(8), rtol=0.05)
    assert {part.settings["way"] for part in found.values()} == {"by itself"}
    # Two encoders, of which one stands still while the other is measured.
    found = ss.traces(problems.subject_of(problems.build("layer_norm")), rtol=0.05)
    assert {part.settings["way"] for part in found.values()} == {"by itself"}
    assert list(found) == ["ehr", "cxr"]


def test_the_trial_leaves_the_random_streams_alone():
    data = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(torch.randn(9, 12), torch.randn(9, 4)), batch_size=4
    )
    subject = views(2)
    subject.batches = subject._loader = data
    before = torch.get_rng_state()
    ss.traces(subject, rtol=0.3)
    assert torch.equal(torch.get_rng_state(), before)


def test_one_modality_needs_no_trial():
    found = ss.traces(views(1), rtol=0.3)
    assert found["view0"].settings["way"] == "by itself"


def test_wrong_names_are_refused():
    subject = views(2)
    with pytest.raises(MisuseError, match="way must be 'auto', 'each' or 'sweep'; got 'all'"):
        ss.traces(subject, way="all")
    with pytest.raises(MisuseError, match=r"modality must be .*\(of several encoders\)"):
        ss.traces(subject, ["views*"])
    with pytest.raises(MisuseError, match=r"rank is no setting \(of several encoders\)"):
        ss.traces(subject, rank=3)


def test_blocks_that_are_no_partition_are_refused():
    rows = torch.arange(60) < 20
    with pytest.raises(MisuseError, match="each row must be in one block; 40 are in none or in"):
        Sweep()(DenseOperator(with_spectrum(DECAYING)), {"ehr": rows})


def test_a_loader_that_raises_is_told_as_ever():
    class Broken(list[Any]):
        def __iter__(self) -> Any:
            raise OSError("no such scan")

    subject = views(2)
    subject.batches = subject._loader = Broken()
    with pytest.raises(SubjectError, match="batch 1: the loader raised OSError: no such scan"):
        ss.traces(subject)


def test_a_first_batch_that_cannot_be_tried_is_no_failure():
    model = nn.ModuleDict({"a": nn.Linear(3, 2), "b": nn.Linear(3, 2)})
    x = torch.randn(8, 3)
    masked, there = torch.full((8,), -100), torch.randint(0, 2, (8,))

    class Sum(nn.Module):
        def __init__(self):
            super().__init__()
            self.parts = model

        def forward(self, x: Tensor) -> Tensor:
            return self.parts["a"](x) + self.parts["b"](x)

    data, encoders = [(x, masked), (x, there)], {"a": "parts.a", "b": "parts.b"}
    subject = ss.Subject(Sum(), data, loss="cross_entropy", encoders=encoders)
    assert {part.settings["way"] for part in ss.traces(subject).values()} == {"by itself"}
    encoders = {"a+b": "parts.a", "b": "parts.b"}
    subject = ss.Subject(Sum(), data, loss="cross_entropy", encoders=encoders)
    assert list(ss.traces(subject)) == ["a+b", "b"]
    with pytest.raises(MisuseError, match=r"names of modalities without '\+'; got 'a\+b'"):
        ss.traces(subject, way="sweep")


def test_rows_of_the_parts_are_a_partition():
    subject = problems.subject_of(problems.build("tied"))
    rows = torch.stack([subject.rows(name, "all") for name in subject.parts])
    assert torch.equal(rows.sum(0), torch.ones(HessianOperator(subject, "all").dim).long())
    assert [int(n) for n in rows.sum(1)] == [subject.select(name).dim for name in subject.parts]
    assert subject.select("ehr+cxr+shared").names == subject.select("all").names
    assert subject.rows("cxr", "ehr+cxr").sum() == subject.select("cxr").dim
