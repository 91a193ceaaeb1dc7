"""What the MASAM paper proves and observes, on problems small enough to check."""

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from sharpscope.optim import MASAM, Losses


def quadratic(seed: int = 0) -> tuple[list[nn.Parameter], Any, Tensor]:
    """Return a strongly convex problem of two encoders, and the matrix of its fusion loss."""
    generator = torch.Generator().manual_seed(seed)
    root = torch.randn(6, 6, generator=generator, dtype=torch.float64)
    matrix = root @ root.T / 6 + 0.5 * torch.eye(6, dtype=torch.float64)
    target = torch.randn(6, generator=generator, dtype=torch.float64)
    goals = torch.randn(2, 3, generator=generator, dtype=torch.float64)
    encoders = [
        nn.Parameter(torch.randn(3, generator=generator, dtype=torch.float64) * 3) for _ in range(2)
    ]

    def losses() -> Losses:
        apart = torch.cat(tuple(encoders)) - target
        return Losses(
            apart @ matrix @ apart / 2,
            {n: (e - g).square().sum() / 2 for n, e, g in zip("ab", encoders, goals, strict=True)},
        )

    return encoders, losses, matrix


def total_gradient(encoders: list[nn.Parameter], losses: Any) -> float:
    """Return the norm of the gradient of the total loss."""
    found = losses()
    parts = torch.autograd.grad(found.total({"a": 1.0, "b": 1.0}), encoders)
    return torch.cat(parts).norm().item()


@pytest.mark.parametrize("rho", [0.01, 0.1, 1.0])
def test_lemma_1_the_perturbed_fusion_gradient_is_within_l_rho(rho: float):
    encoders, losses, matrix = quadratic()
    smoothness = torch.linalg.eigvalsh(matrix).max().item()
    seen: list[Tensor] = []

    def watched() -> Losses:
        found = losses()
        parts = torch.autograd.grad(found.fusion, encoders, retain_graph=True)
        seen.append(torch.cat(parts))
        return found

    base = torch.optim.SGD(encoders, lr=0.05)
    optimizer = MASAM(base, encoders=dict(zip("ab", encoders, strict=True)), rho=rho)
    for _ in range(20):
        seen.clear()
        step = optimizer.step(watched)
        plain, perturbed = seen
        apart = (perturbed - plain).norm().item()
        assert apart <= smoothness * step.radius * (1 + 1e-9)
        assert step.radius <= rho * (1 + 1e-9)


def converged(rho: Any, steps: int = 600) -> float:
    """Return the gradient norm of the total loss after steps of η = 0.3 / (1 + 0.05 t)."""
    encoders, losses, _ = quadratic()
    base = torch.optim.SGD(encoders, lr=0.3)
    schedule = torch.optim.lr_scheduler.LambdaLR(base, lambda step: 1 / (1 + 0.05 * step))
    optimizer = MASAM(base, encoders=dict(zip("ab", encoders, strict=True)), rho=rho, scale=False)
    for _ in range(steps):
        optimizer.step(losses)
        schedule.step()
    return total_gradient(encoders, losses)


def falling(step: int) -> float:
    """Return ρ = 1 / (1 + 0.05 t), for which Σηρ is finite."""
    return 1 / (1 + 0.05 * step)


def test_theorem_1_it_converges_where_the_sum_of_eta_rho_is_finite_and_not_where_it_is_not():
    """Ση = ∞ and η → 0 for both."""
    early, late = converged(falling, 300), converged(falling, 1200)
    assert late < 0.3 * early
    assert late < 0.05
    assert converged(1.0, 1200) > 0.9 * converged(1.0, 300) > 0.3


def alignment_of_the_weaker(scale: float, seed: int) -> float:
    """Return γ of the weaker encoder of linear late fusion, whose dominant logits are scaled."""
    generator = torch.Generator().manual_seed(seed)
    target = torch.randint(0, 3, (256,), generator=generator)
    shown = functional.one_hot(target, 3).double()
    strong, weak = (
        shown * signal + torch.randn(256, 3, generator=generator, dtype=torch.float64)
        for signal in (2.0, 0.7)
    )
    first = nn.Parameter(0.1 * torch.eye(3, dtype=torch.float64))
    second = nn.Parameter(0.3 * torch.eye(3, dtype=torch.float64))

    def losses() -> Losses:
        one, other = scale * (strong @ first), weak @ second
        entropy = functional.cross_entropy
        return Losses(
            entropy(one + other, target), {"s": entropy(one, target), "w": entropy(other, target)}
        )

    base = torch.optim.SGD([first, second], lr=0.0)
    return MASAM(base, encoders={"s": first, "w": second}).step(losses).alignment["w"]


def test_observation_1_the_weaker_encoder_leans_to_the_dominant_one():
    means = [
        sum(alignment_of_the_weaker(scale, seed) for seed in range(20)) / 20
        for scale in (1, 2, 4, 8, 16)
    ]
    assert all(later < earlier for earlier, later in itertools.pairwise(means)), means
    assert means[0] - means[-1] > 0.1, means
