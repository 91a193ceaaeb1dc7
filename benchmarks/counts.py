"""How many products each method needs for the same error, on each encoder; no clock is needed."""

import itertools
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.workload import ENCODERS, subject_of
from sharpscope.estimators import HutchPlusPlus
from sharpscope.estimators.probing import draw_block
from sharpscope.operators import HessianOperator, SymmetricOperator

RTOL, SEEDS = 0.01, 3
SIZES = (4, 5, 6, 8, 10, 13, 16, 20, 25, 32, 40, 50, 64)
PROBES, DRAWS = 96, 16


class Others:
    """The errors of the other methods at every size, from one set of products.

    Bases of fewer columns are spans of columns of one sketch ``AΩ = QR``, and all that a method
    needs of them is in the small matrices ``QᵀAQ``, R, ``QᵀΩ``, ``QᵀW`` and ``QᵀAW`` with the
    probes W. Errors are root mean squares over draws of columns.

    Args:
        operator: What is measured, inside its session.
    """

    def __init__(self, operator: SymmetricOperator):
        settings = HutchPlusPlus(seed=100)
        probes = draw_block(operator, settings, 0, PROBES)
        images = _images(operator, probes)
        self.plain = (probes.double() * images.double()).sum(0)
        sketch = draw_block(operator, settings, 0, SIZES[-1], "sketch")
        basis, triangle = torch.linalg.qr(_images(operator, sketch))
        self.triangle = triangle.double()
        inner = (basis.T @ _images(operator, basis)).double()
        self.inner = (inner + inner.T) / 2
        self.sketch, self.probes, self.images = (
            (basis.T @ columns).double() for columns in (sketch, probes, images)
        )
        # The best estimate that these products give.
        rest = self._forms(torch.eye(SIZES[-1], dtype=torch.float64))
        self.trace = self.inner.trace().item() + rest.mean().item()

    def hutchinson(self, error: float) -> float:
        """Return the products of plain probes, by their sample variance, PyHessian's way."""
        return max(2.0, self.plain.var().item() / (error * self.trace) ** 2)

    def thirds(self, error: float) -> float:
        """Return the products of Hutch++ as published: a third each for sketch, basis, probes."""

        def squared(size: int, columns: Tensor) -> float:
            inside = torch.linalg.qr(self.triangle[:, columns]).Q
            return self._forms(inside).var().item() / size

        return 3 * _reaching(error, self._errors(squared))

    def xtrace(self, error: float) -> float:
        """Return the products of XTrace, two a probe; its error as sharpscope reports it."""

        def squared(size: int, columns: Tensor) -> float:
            inside, triangle = torch.linalg.qr(self.triangle[:, columns])
            inner, probes = inside.T @ self.inner @ inside, inside.T @ self.sketch[:, columns]
            inverse = torch.linalg.inv(triangle.T)
            lost = inverse / inverse.norm(dim=0)
            kept = probes - lost * (lost * probes).sum(0)
            terms = inner.trace() - (lost * (inner @ lost)).sum(0) + (probes * triangle).sum(0)
            terms += (kept * (inner @ kept)).sum(0) - 2 * (kept * triangle).sum(0)
            return 2 * terms.var().item() / size

        return 2 * _reaching(error, self._errors(squared))

    def _errors(self, squared: Callable[[int, Tensor], float]) -> dict[int, float]:
        generator = torch.Generator().manual_seed(0)
        found: dict[int, float] = {}
        for size in SIZES:
            draws = [torch.randperm(SIZES[-1], generator=generator)[:size] for _ in range(DRAWS)]
            mean = math.fsum(squared(size, columns) for columns in draws) / DRAWS
            found[size] = math.sqrt(mean) / abs(self.trace)
        return found

    def _forms(self, inside: Tensor) -> Tensor:
        """Return the forms of the probes outside a basis, given within the sketch's."""
        probes, images = inside.T @ self.probes, inside.T @ self.images
        inner = inside.T @ self.inner @ inside
        return self.plain - 2 * (probes * images).sum(0) + (probes * (inner @ probes)).sum(0)


def count(folder: Path, *, quick: bool, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Return the products of each method at the error that the adaptive one achieved."""
    rows: list[dict[str, Any]] = []
    for workload, modality in ENCODERS:
        say(f"count products: {workload}, {modality}")
        operator = HessianOperator(subject_of(workload, folder, quick=quick), modality)
        with operator.session():
            ours: list[Any] = [
                HutchPlusPlus(rtol=RTOL, seed=seed)(operator) for seed in range(SEEDS)
            ]
            others = Others(operator)
        error = _mean([run.standard_error / abs(run.value) for run in ours])
        rows.append(
            {
                "workload": workload,
                "modality": modality,
                "parameters": operator.dim,
                "trace": _mean([run.value for run in ours]),
                "relative_error": error,
                "adaptive": _mean([run.matvecs for run in ours]),
                "deflated": _mean([run.deflated for run in ours]),
                "hutchinson": others.hutchinson(error),
                "hutch++ thirds": others.thirds(error),
                "xtrace": others.xtrace(error),
            }
        )
    return rows


def _images(operator: SymmetricOperator, vectors: Tensor) -> Tensor:
    return torch.cat([operator.matmat(block) for block in vectors.split(8, dim=1)], dim=1)


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)


def _reaching(error: float, found: Mapping[int, float]) -> float:
    """Return the size at which an error is reached, by powers between the sizes tried."""
    pairs = sorted(found.items())
    if pairs[0][1] <= error:
        return float(pairs[0][0])
    for (few, larger), (many, smaller) in itertools.pairwise(pairs):
        # Beyond the last size the power of the last step goes on, at least that of plain probes.
        if smaller <= error or many == pairs[-1][0]:
            slope = math.log(many / few) / max(1e-9, math.log(larger / smaller))
            slope = slope if smaller <= error else min(2.0, slope)
            return few * (larger / error) ** slope
    raise AssertionError("no sizes")
