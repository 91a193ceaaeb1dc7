"""The hand-checked values of methods.md, sections 2 to 4."""

from typing import Any

import pytest
import torch
from torch import Tensor

from sharpscope.optim import ASAM, MASAM, MSAM, SAM, Losses
from sharpscope.optim.selection import Selection


def q2(start: tuple[float, ...] = (1.0, 3.0)) -> tuple[torch.nn.Parameter, Any]:
    """Return ½(4x² + y²) at (1, 3)."""
    theta = torch.nn.Parameter(torch.tensor(start, dtype=torch.float64))
    return theta, lambda: 2 * theta[0] ** 2 + 0.5 * theta[1] ** 2


def sgd(parameters: Any, **settings: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=0.1, **settings)


def close(found: Tensor, wanted: Any, tolerance: float = 1e-9) -> None:
    torch.testing.assert_close(
        found.detach(), torch.tensor(wanted, dtype=found.dtype), rtol=0, atol=tolerance
    )


def fixed(**values: float) -> Any:
    """Return a performance by the sorted names of what is present."""
    return lambda present: values["".join(sorted(present)) or "none"]


def giving(shares: dict[str, float]) -> Any:
    """Return an additive performance, whose Shapley values are these."""
    return lambda present: sum(shares[name] for name in present)


def test_sam():
    theta, loss = q2()
    step = SAM(sgd([theta]), rho=0.5).step(loss)
    close(theta, (0.44, 2.67))
    assert step.radius == pytest.approx(0.5)
    assert step.fusion == step.total == pytest.approx(6.5)


@pytest.mark.parametrize(
    ("eta", "wanted"), [(0.0, (0.518772, 2.562928)), (0.01, (0.517506, 2.562622))]
)
def test_asam(eta: float, wanted: tuple[float, float]):
    theta, loss = q2()
    ASAM(sgd([theta]), rho=0.5, eta=eta).step(loss)
    close(theta, wanted, 1e-6)


def test_asam_does_not_depend_on_how_scale_is_shared_between_layers():
    def function(scale: float) -> Tensor:
        torch.manual_seed(0)
        one = torch.nn.Parameter(torch.randn(3, dtype=torch.float64) * scale)
        two = torch.nn.Parameter(torch.randn(3, dtype=torch.float64) / scale)
        seen: list[Tensor] = []

        def loss() -> Tensor:
            seen.append(found := ((one * two).sum() - 1).square() + (one * two).pow(3).sum())
            return found

        ASAM(torch.optim.SGD([one, two], lr=0.0), rho=0.5, eta=0.0).step(loss)
        return seen[1].detach()  # at the perturbed point

    close(function(1.0), function(7.0).item(), 1e-9)


@pytest.mark.parametrize(("decay", "wanted"), [(0.0, 1.3775), (0.01, 1.3755)])
def test_msam_t1(decay: float, wanted: float):
    theta = torch.nn.Parameter(torch.tensor([2.0], dtype=torch.float64))
    other = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
    base = sgd([theta, other], weight_decay=decay)
    optimizer = MSAM(base, encoders={"a": theta, "b": other}, rho=0.1)
    step = optimizer.step(
        lambda: 1.5 * theta.square().sum(), performance=giving({"a": 0.75, "b": 0.25})
    )
    close(theta, [wanted])
    assert step.shares == pytest.approx({"a": 0.75, "b": 0.25})


@pytest.mark.parametrize(
    ("values", "wanted"),
    [({"a": 0.75, "b": 0.25}, (0.48, 2.6775)), ({"a": 0.4, "b": -0.1}, (0.386667, 2.66))],
)
def test_msam_t2(values: dict[str, float], wanted: tuple[float, float]):
    theta, loss = q2()
    other = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
    optimizer = MSAM(
        sgd([theta, other]), encoders={"a": theta, "b": other}, rho=0.5, normalize="raw"
    )
    step = optimizer.step(loss, performance=giving(values))
    close(theta, wanted, 1e-6)
    assert step.dominant == "a"


def p3(one: tuple[float, float], two: tuple[float, float]) -> tuple[list[Any], Any]:
    """Return problem P3 of section 3.7 with two targets."""
    encoders = [
        torch.nn.Parameter(torch.tensor(v, dtype=torch.float64)) for v in ((1.0, 0), (0, 0))
    ]
    targets = [torch.tensor(t, dtype=torch.float64) for t in (one, two)]

    def losses() -> Losses:
        return Losses(
            (encoders[0] + encoders[1]).square().sum() / 2,
            {
                name: (theta - target).square().sum() / 2
                for name, theta, target in zip("ab", encoders, targets, strict=True)
            },
        )

    return encoders, losses


@pytest.mark.parametrize(
    ("targets", "mode", "gammas", "epsilon", "wanted"),
    [
        (((0.4, -0.8), (0, -2)), "paper", (0.6, 0), 0.3, ((0.81, -0.08), (-0.1, -0.2))),
        (((0.4, -0.8), (0, -2)), "official", (0.6, 0), 0.3, ((0.78, -0.08), (-0.13, -0.2))),
        (((1.6, -0.8), (2, 0)), "paper", (-0.6, -1), 0.3, ((0.99, -0.08), (0.1, 0.0))),
        (((1.6, -0.8), (2, 0)), "official", (-0.6, -1), 0.5, ((0.86, -0.08), (0.05, 0.0))),
    ],
)
def test_masam_t1_and_t2(targets: Any, mode: str, gammas: Any, epsilon: float, wanted: Any):
    encoders, losses = p3(*targets)
    optimizer = MASAM(
        sgd(encoders), encoders=dict(zip("ab", encoders, strict=True)), rho=0.5, mode=mode
    )
    step = optimizer.step(losses)
    assert step.dominant == "a"
    assert step.alignment == pytest.approx(dict(zip("ab", gammas, strict=True)))
    assert step.radius == pytest.approx(epsilon)
    for theta, value in zip(encoders, wanted, strict=True):
        close(theta, value)


@pytest.mark.parametrize(("beta", "wanted"), [(0.9, (0, 0.05, 0, 0)), (0.5, (0, 0.25, 0.025, 0))])
def test_masam_t3(beta: float, wanted: tuple[float, ...]):
    selection = Selection(alpha=0.3, beta=beta)
    found = [selection.decays({"x": loss})["x"] for loss in (2.0, 1.5, 1.2, 1.4)]
    assert found == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize(
    ("slope", "beta", "decay", "wanted"),
    [
        (-0.01, 0.9, "paper", 0.0),
        (0.01, 0.9, "paper", 0.08),
        (-0.01, 0.3, "paper", 0.005714),
        (-0.01, 0.9, "trend", 0.1),
        (0.01, 0.9, "trend", 0.0),
    ],
)
def test_what_decay_makes_of_a_steady_loss(slope: float, beta: float, decay: str, wanted: float):
    selection = Selection(alpha=0.3, beta=beta, decay=decay)
    found = [selection.decays({"x": 9 + slope * step})["x"] for step in range(400)]
    assert found[-1] == pytest.approx(wanted, abs=1e-6)


def test_masam_t5():
    theta, loss = q2()
    optimizer = MASAM(sgd([theta]), encoders={"a": theta}, rho=0.5)
    step = optimizer.step(lambda: Losses(loss(), {"a": loss()}))
    close(theta, (0.04, 2.37))
    assert step.alignment["a"] == pytest.approx(1)


@pytest.mark.parametrize(
    ("mode", "gamma", "epsilon"),
    [
        ("paper", 0.8222, ((0.3677, 0.0), (0.0, 0.7354))),
        ("official", 0.8, ((0.5145, 0.0), (0.0, 0.8575))),
    ],
)
def test_masam_t6(mode: str, gamma: float, epsilon: Any):
    tensors = [torch.nn.Parameter(torch.zeros(2, dtype=torch.float64)) for _ in range(2)]
    fusion = torch.tensor([[1.0, 0.0], [0.0, 2.0]], dtype=torch.float64)
    alone = torch.tensor([[0.6, 0.8], [0.0, 1.0]], dtype=torch.float64)
    seen: list[list[Tensor]] = []

    def losses() -> Losses:
        seen.append([t.detach().clone() for t in tensors])
        both = torch.stack(tuple(tensors))
        return Losses((both * fusion).sum(), {"a": (both * alone).sum()})

    optimizer = MASAM(sgd(tensors), encoders={"a": tensors}, rho=1.0, mode=mode)
    step = optimizer.step(losses)
    for found, wanted in zip(seen[1], epsilon, strict=True):
        close(found, wanted, 1e-4)
    assert step.alignment["a"] == pytest.approx(gamma, abs=1e-4)
    assert step.radius == pytest.approx(0.8222 if mode == "paper" else 1.0, abs=1e-4)
