"""Extreme eigenvalues against dense spectra."""

import pytest
import torch
from torch import Tensor

import sharpscope as ss
from sharpscope.errors import MisuseError
from sharpscope.estimators import Progress, TopEigenvalues
from sharpscope.operators import DenseOperator, Products
from tests import problems
from tests.estimators.test_trace import with_spectrum

SPECTRA = {
    "indefinite": torch.cat([torch.linspace(-4, 4, 200), torch.tensor([9.0, 11.0, -30.0])]),
    "negative": -torch.linspace(0.1, 7, 60),
    "positive": torch.linspace(0.1, 7, 60),
    "tiny": 1e-8 * torch.linspace(-1, 3, 60),
    "small": torch.tensor([1.0, -3.0, 2.0]),
}


@pytest.mark.parametrize("name", sorted(SPECTRA))
@pytest.mark.parametrize("k", [1, 3])
def test_both_ends_with_their_signs(name: str, k: int):
    spectrum = SPECTRA[name].double().sort(descending=True).values
    found = TopEigenvalues(k=k, rtol=1e-6)(DenseOperator(with_spectrum(spectrum)))
    scale = spectrum.abs().max().item()
    wanted = spectrum if 2 * k >= len(spectrum) else torch.cat([spectrum[:k], spectrum[-k:]])
    assert found.eigenvalues == pytest.approx(wanted.tolist(), abs=1e-6 * scale)
    assert list(found.eigenvalues) == sorted(found.eigenvalues, reverse=True)
    assert found.largest == pytest.approx(spectrum[0].item(), abs=1e-6 * scale)
    assert found.smallest == pytest.approx(spectrum[-1].item(), abs=1e-6 * scale)
    magnitude = spectrum[spectrum.abs().argmax()].item()
    assert found.largest_magnitude == pytest.approx(magnitude, abs=1e-6 * scale)
    assert max(found.residuals) <= 1e-6
    assert found.outcome == "converged"


def test_the_residual_is_that_of_the_vectors_returned():
    matrix = with_spectrum(SPECTRA["indefinite"])
    found = TopEigenvalues(k=2, rtol=1e-2, keep_vectors=True)(DenseOperator(matrix))
    assert found.vectors is not None
    vectors = torch.as_tensor(found.vectors)
    assert vectors.shape == (4, len(matrix))
    for vector, value, residual in zip(vectors, found.eigenvalues, found.residuals, strict=True):
        true = (matrix @ vector - value * vector).norm() / max(map(abs, found.eigenvalues))
        assert residual == pytest.approx(true.item(), rel=1e-3, abs=1e-12)
        assert vector.norm().item() == pytest.approx(1)


@pytest.mark.parametrize(
    ("spectrum", "k", "expected"),
    [
        ([2.0] * 9, 1, (2.0, 2.0)),
        ([0.0] * 9, 1, (0.0, 0.0)),
        ([5.0, 5.0, 5.0, 1.0, 1.0, 1.0, 1.0], 2, (5.0, 5.0, 1.0, 1.0)),
        ([-3.0], 1, (-3.0,)),
    ],
)
def test_repeated_eigenvalues_and_closed_subspaces(
    spectrum: list[float], k: int, expected: tuple[float, ...]
):
    found = TopEigenvalues(k=k)(DenseOperator(with_spectrum(torch.tensor(spectrum))))
    assert found.eigenvalues == pytest.approx(expected, abs=1e-9)
    assert found.outcome == "converged"


def test_a_spent_budget_says_so_and_keeps_inside_the_spectrum():
    spectrum = torch.linspace(-1, 1, 400)
    found = TopEigenvalues(rtol=1e-9, budget=12)(DenseOperator(with_spectrum(spectrum)))
    assert found.outcome == "budget_spent"
    assert found.matvecs == 12
    assert found.largest is not None
    assert 0 < found.largest <= 1 + 1e-12
    assert max(found.residuals) > 1e-9


def test_a_residual_below_rounding_is_an_outcome_of_its_own():
    matrix = with_spectrum(torch.linspace(-1, 3, 100)).float()
    found = TopEigenvalues(rtol=1e-9)(DenseOperator((matrix + matrix.T) / 2))
    assert found.outcome == "stagnated"
    assert found.largest == pytest.approx(3, rel=1e-5)
    assert "--dtype float64" in found.advice


def test_the_basis_stays_orthonormal_in_float32():
    # Without reorthogonalization, copies of the dominant eigenvalue would push others out.
    spectrum = torch.cat([torch.tensor([1000.0, 900.0]), torch.linspace(0, 1, 300)])
    matrix = with_spectrum(spectrum).float()
    found = TopEigenvalues(k=3, rtol=1e-5)(DenseOperator((matrix + matrix.T) / 2))
    assert found.eigenvalues[:3] == pytest.approx((1000, 900, 1), rel=2e-3)


def test_a_product_that_is_not_finite_is_an_outcome():
    class Broken(DenseOperator):
        def products(self, vectors: Tensor, others: Tensor | None = None) -> Products:
            found = super().products(vectors, others)
            return Products(found.columns * float("nan"), found.forms, found.weights)

    found = TopEigenvalues()(Broken(torch.eye(5)))
    assert found.outcome == "not_finite"
    assert (found.eigenvalues, found.largest, found.smallest) == ((), None, None)


def test_progress_is_told_and_the_time_limit_ends(monkeypatch: pytest.MonkeyPatch):
    class Slow(DenseOperator):
        now = 0.0

        def products(self, vectors: Tensor, others: Tensor | None = None) -> Products:
            self.now += vectors.shape[1]
            return super().products(vectors, others)

    operator = Slow(with_spectrum(torch.linspace(-1, 1, 300)))
    monkeypatch.setattr("sharpscope.estimators.cost.time.perf_counter", lambda: operator.now)
    seen: list[Progress] = []
    found = TopEigenvalues(rtol=1e-9, max_seconds=20)(operator, watcher=seen.append)
    assert found.outcome == "budget_spent"
    assert found.seconds <= 20 + 2
    assert [p.products for p in seen][:3] == [1, 2, 3]
    assert seen[0].seconds_left is None
    assert seen[1].seconds_left is not None


def test_data_errors_are_those_of_the_batches_quotients():
    subject = problems.subject_of(problems.build("layer_norm"))
    found = TopEigenvalues(rtol=1e-8, keep_vectors=True)(subject, "ehr")
    assert found.vectors is not None
    assert found.data_errors is not None
    weights = torch.tensor(problems.SIZES, dtype=torch.float64)
    for row, value, error in zip(found.vectors, found.eigenvalues, found.data_errors, strict=True):
        vector = torch.as_tensor(row)
        quotients: list[float] = []
        for batch in problems.batches():
            alone = problems.subject_of(subject.model, data=[batch])
            from sharpscope.operators import HessianOperator

            quotients.append((vector @ HessianOperator(alone, "ehr").matvec(vector)).item())
        residual = weights * (torch.tensor(quotients, dtype=torch.float64) - value)
        count = len(weights)
        expected = (count / (count - 1) * residual.square().sum()).sqrt() / weights.sum()
        assert error == pytest.approx(expected.item(), rel=1e-6)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"k": 0}, "k must be a whole number of at least 1; got 0"),
        ({"rtol": 0.0}, "rtol must be a finite number above 0; got 0.0"),
        ({"budget": 3}, r"budget must be a whole number of at least 4 \(products; 2 check the"),
        ({"max_seconds": -1.0}, "max_seconds must be a finite number above 0; got -1.0"),
        ({"seed": -1}, "seed must be a whole number of at least 0; got -1"),
    ],
)
def test_settings_are_checked_at_the_door(settings: dict[str, float], sentence: str):
    with pytest.raises(MisuseError, match=sentence):
        TopEigenvalues(**settings)  # pyright: ignore[reportArgumentType]


def test_no_more_eigenvalues_than_rows():
    with pytest.raises(
        MisuseError, match=r"^k must be at most 3, the rows of the operator; got 4$"
    ):
        TopEigenvalues(k=4)(DenseOperator(torch.eye(3)))


def test_no_more_eigenvalues_than_parameters_whatever_the_budget():
    subject = problems.subject_of(problems.build("layer_norm"))
    dim = subject.select("ehr").dim
    for k in (dim + 1, 10**6):
        with pytest.raises(MisuseError, match=f"^k must be at most {dim}, the parameters of 'ehr'"):
            ss.eigenvalues(subject, "ehr", k=k)
    with pytest.raises(MisuseError, match=r"^k must be a whole number of at least 1; got 1\.5$"):
        ss.eigenvalues(subject, "ehr", k=1.5)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("spectrum", "k"),
    [
        ([5, 5, 5, 4, 4, 4, 3, 3, 3, 0, 0, 0], 2),
        ([5, 5, 5, 4, 4, 4, 3, 3, 3, 0, 0, 0], 3),
        ([5, 3, -2, -2, 0, 0, 0, 0], 2),
        ([5, 5, 4, 3, 2] + [1] * 11, 2),
    ],
)
def test_k_repeated_eigenvalues_are_found_where_subspaces_close(spectrum: list[float], k: int):
    found = TopEigenvalues(k=k)(DenseOperator(torch.diag(torch.tensor(spectrum).double())))
    ordered = sorted(spectrum, reverse=True)
    assert found.eigenvalues == pytest.approx(ordered[:k] + ordered[-k:], abs=1e-9)
