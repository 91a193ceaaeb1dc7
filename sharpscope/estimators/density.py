"""Spectral density by stochastic Lanczos quadrature."""

import math
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from scipy.linalg import eigh_tridiagonal
from scipy.special import ndtr
from torch import Tensor

from sharpscope.checks import at_least, positive
from sharpscope.estimators.common import as_operator, record
from sharpscope.estimators.cost import BLOCK, Meter, Watcher
from sharpscope.estimators.counting import Quadrature, over_runs
from sharpscope.estimators.statistics import Spread, data_error_of_probes, mean
from sharpscope.operators import SymmetricOperator
from sharpscope.results import DensityResult, Outcome
from sharpscope.streams import rademacher, stream
from sharpscope.subject import Subject

# Of the range of the spectrum: σ² = 1e-5 where that is [-1, 1], as Ghorbani et al. have it; and of
# the range over the steps, about how far apart nodes stand in its middle: with less, few runs draw
# a comb of them and no density.
_WIDTH, _APART = math.sqrt(1e-5) / 2, 0.64
_TAIL = 5.0  # widths beyond the outermost Ritz values
_NEAR_ZERO = 0.01  # of the largest |λ|
_NEGATIVE = 1e-3  # likewise: closer to 0, a sign is that of rounding
_CLOSE = 1e3  # roundings within which eigenvalues are the same
_MEMORY = 2**30  # bytes that the bases of runs side by side may take


@dataclass(frozen=True, kw_only=True)
class SpectralDensity:
    """Estimate ``φ(λ) = (1/n) Σ_i N(λ; λ_i, σ²)`` over the n eigenvalues of a symmetric operator.

    Each run is a Lanczos recurrence of m steps from a random unit vector: the eigenvalues θ of its
    tridiagonal matrix and the squared first entries τ of their eigenvectors are the nodes and
    weights of a Gauss quadrature, exact for polynomials up to degree 2m - 1. The density is the
    mean over runs, and their spread its error.

    Args:
        steps: Lanczos steps m of each run, fully reorthogonalized.
        runs: Random starts; at least 2, for an error.
        sigma: Width σ of the Gaussian, in the unit of the eigenvalues; by default 0.64 / m of
            the range of the Ritz values (1 % of it with 64 steps), and 0.16 % at least.
        points: Eigenvalues at which the density is given.
        budget: Products that may be spent, ``steps · runs`` at most.
        max_seconds: Seconds that may be spent; runs then end after fewer steps.
        seed: Names the random starts; more runs extend the draws.

    Raises:
        MisuseError: If a setting is out of its range.

    Source: Golub and Welsch (1969); Ubaru, Chen and Saad (2017); for networks Ghorbani, Krishnan
    and Xiao, 2019, arXiv 1901.10159.

    Example:
        >>> import torch
        >>> from sharpscope.estimators import SpectralDensity
        >>> from sharpscope.operators import DenseOperator
        >>> found = SpectralDensity(steps=3, runs=2)(DenseOperator(torch.diag(torch.arange(3.0))))
        >>> round(found.trace, 4), round(float(found.largest), 4)
        (3.0, 2.0)
    """

    steps: int = 64
    runs: int = 8
    sigma: float | None = None
    points: int = 2048
    budget: int = 2000
    max_seconds: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        at_least("steps", self.steps, 2)
        at_least("runs", self.runs, 2, "two make a standard error")
        at_least("points", self.points, 16)
        at_least("budget", self.budget, 4, "products; two runs of two steps")
        at_least("seed", self.seed, 0)
        if self.sigma is not None:
            positive("sigma", self.sigma)
        if self.max_seconds is not None:
            positive("max_seconds", self.max_seconds)

    def __call__(
        self,
        target: Subject | SymmetricOperator,
        modality: str | None = None,
        *,
        loss: str | None = None,
        watcher: Watcher | None = None,
    ) -> DensityResult:
        """Return the density of an operator, or of a subject's Hessian on ``modality``."""
        operator = as_operator(target, modality, loss)
        meter = Meter(self.budget, self.max_seconds, watcher)
        # A budget for fewer products makes the runs shorter before it makes them fewer.
        count = min(self.runs, self.budget // 2)
        wanted = min(self.steps, operator.dim)
        steps = min(wanted, self.budget // count)
        with operator.session():
            found = _Runs(operator, self.seed, meter, count, steps)
            finite = found.grow()
            return self._result(found, finite, shortened=steps < wanted or count < self.runs)

    def _result(self, runs: "_Runs", finite: bool, *, shortened: bool) -> DensityResult:
        operator, meter = runs.operator, runs.meter
        report = operator.report()
        outcome = Outcome.BUDGET_SPENT if shortened or runs.late else Outcome.COMPLETED
        if not finite:
            outcome = Outcome.NOT_FINITE
        numbers = _numbers(runs, self) if finite else _nothing()
        return DensityResult(
            outcome=outcome,
            method="stochastic Lanczos quadrature",
            notes=report.notes,
            **numbers,
            **record(operator, report, meter, asdict(self)),
        )


@dataclass
class _Run:
    """One Lanczos recurrence."""

    next: Tensor
    rows: Tensor
    alpha: list[float] = field(default_factory=list[float])
    beta: list[float] = field(default_factory=list[float])
    closed: bool = False
    exact: bool = False


class _Runs:
    """Recurrences that go side by side, so that one visit of a batch serves all of them."""

    def __init__(
        self, operator: SymmetricOperator, seed: int, meter: Meter, count: int, steps: int
    ):
        self.operator, self.seed, self.meter = operator, seed, meter
        self.count, self.steps = count, steps
        self.late = False
        self.forms: list[Tensor] = []
        self.batch_weights = torch.zeros(0)
        self.spread = Spread(rademacher=True)
        self.done: list[_Run] = []

    def grow(self) -> bool:
        """Make all steps of all runs; return whether every product was finite."""
        operator = self.operator
        one = self.steps * operator.dim * torch.finfo(operator.dtype).bits // 8
        together = max(1, min(BLOCK, self.count, _MEMORY // max(1, one)))
        for first in range(0, self.count, together):
            group = [self._start(n) for n in range(first, min(first + together, self.count))]
            for step in range(self.steps):
                awake = [run for run in group if not run.closed]
                enough = step >= 2 and len(self.done) + len(group) >= 2
                self.late |= self.meter.late and enough
                if not awake or self.late:
                    break
                if not self._step(awake, first=step == 0):
                    return False
            for run in group:
                run.rows = run.rows[:0]  # only the recurrence is needed from here on
            if self.late and len(self.done) >= 2:
                break  # what was cut short would be averaged with what was not
            self.done += group
            if self.late:
                break
        return True

    def _start(self, number: int) -> _Run:
        operator = self.operator
        signs = rademacher(operator.dim, stream(self.seed, "density", number))
        start = signs.to(operator.device, operator.dtype) / math.sqrt(operator.dim)
        return _Run(start, start.new_empty(self.steps, operator.dim))

    def _step(self, runs: list[_Run], *, first: bool) -> bool:
        vectors = torch.stack([run.next for run in runs], 1)
        products = self.meter.timed(self.operator, vectors)
        self.meter.tell(self.steps * self.count)
        if first:
            self.forms.append(products.forms)
            self.batch_weights = products.weights
            self.operator.check_random(vectors, products.columns)
            root = math.sqrt(self.operator.dim)
            self.spread.add(root * vectors, root * products.columns)
        if not bool(torch.isfinite(products.columns).all()):
            return False
        for run, image, form in zip(
            runs, products.columns.unbind(1), products.quadratic.tolist(), strict=True
        ):
            _extend(run, image, form)
        return True


def _extend(run: _Run, image: Tensor, form: float) -> None:
    """Add one step to a recurrence; twice is enough (Kahan, Parlett)."""
    size = len(run.alpha)
    run.rows[size] = run.next
    run.alpha.append(form)
    basis = run.rows[: size + 1]
    for _ in range(2):
        image = image - basis.T @ (basis @ image)
    beta = image.double().norm().item()
    scale = max(*map(abs, run.alpha), *run.beta, beta)
    if beta <= 32 * torch.finfo(image.dtype).eps * scale:
        run.closed = run.exact = True  # the start lies in an invariant subspace
    elif size + 1 == len(run.rows):
        run.closed = True
    else:
        run.beta.append(beta)
        run.next = image / beta


def _quadrature(run: _Run) -> tuple[np.ndarray, np.ndarray]:
    """Return nodes and weights: eigenvalues, and squared first entries of eigenvectors."""
    size = len(run.alpha)
    found: Any = eigh_tridiagonal(np.array(run.alpha), np.array(run.beta[: size - 1]))
    return found[0], found[1][0] ** 2


def _numbers(runs: _Runs, settings: SpectralDensity) -> dict[str, Any]:
    """Return the density and what is read off it, each with its spread over runs."""
    pairs = [_quadrature(run) for run in runs.done]
    longest = max(len(theta) for theta, _ in pairs)
    nodes, weights = np.full((2, len(pairs), longest), np.nan)
    for place, (theta, tau) in enumerate(pairs):
        nodes[place, : len(theta)], weights[place, : len(tau)] = theta, tau
    smallest, largest = float(np.nanmin(nodes)), float(np.nanmax(nodes))
    most = max(abs(smallest), abs(largest))
    span = largest - smallest
    if span <= _CLOSE * torch.finfo(runs.operator.dtype).eps * most:
        span = most or 1.0  # one eigenvalue, many times over
    exact = all(run.exact for run in runs.done)  # their nodes are the eigenvalues
    sigma = settings.sigma or (_WIDTH if exact else max(_WIDTH, _APART / longest)) * span
    grid = np.linspace(smallest - _TAIL * sigma, largest + _TAIL * sigma, settings.points)
    curves = np.stack([_smoothed(grid, theta, tau, sigma) for theta, tau in pairs])
    rules = [
        Quadrature(theta, tau, exact=run.exact)
        for run, (theta, tau) in zip(runs.done, pairs, strict=True)
    ]
    negative = over_runs([rule.below(-_NEGATIVE * most) for rule in rules])
    near = over_runs([rule.within(_NEAR_ZERO * most) for rule in rules])
    dim = runs.operator.dim
    forms = torch.cat(runs.forms, 1) * dim
    traced = mean(torch.tensor([run.alpha[0] * dim for run in runs.done], dtype=torch.float64))
    # Few forms of a skewed spectrum know their spread badly; their images know it better.
    error = max(traced.error, math.sqrt(runs.spread.variance() / traced.count))
    return {
        "grid": grid,
        "density": curves.mean(0),
        "density_error": curves.std(0, ddof=1) / math.sqrt(len(curves)),
        "sigma": sigma,
        "nodes": nodes,
        "weights": weights,
        "largest": largest,
        "smallest": smallest,
        "trace": traced.value,
        "trace_error": error,
        "data_error": data_error_of_probes(
            forms, runs.batch_weights, torch.zeros_like(forms[:, 0])
        ),
        **dict(zip(("negative", "negative_error", "negative_bounds"), negative, strict=True)),
        **dict(zip(("near_zero", "near_zero_error", "near_zero_bounds"), near, strict=True)),
    }


def _smoothed(grid: np.ndarray, theta: np.ndarray, tau: np.ndarray, sigma: float) -> np.ndarray:
    """Return means over the cells of the grid, which miss nothing between its points."""
    step = grid[1] - grid[0]
    edges = np.append(grid - step / 2, grid[-1] + step / 2)
    below = ndtr((edges[:, None] - theta) / sigma) @ tau
    return np.diff(below) / step


def _nothing() -> dict[str, Any]:
    """Return the numbers of a measurement that met a product that is not finite."""
    empty = np.empty(0)
    return {
        **dict.fromkeys(("grid", "density", "density_error"), empty),
        **{name: np.empty((0, 0)) for name in ("nodes", "weights")},
        "sigma": float("nan"),
        **dict.fromkeys(
            (
                "largest", "smallest", "trace", "trace_error", "data_error", "negative",
                "negative_error", "negative_bounds", "near_zero", "near_zero_error",
                "near_zero_bounds",
            )
        ),
    }  # fmt: skip
