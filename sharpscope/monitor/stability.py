"""How sharp a minimum an optimizer can stay in."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from sharpscope.monitor.measuring import Measuring
from sharpscope.monitor.optimizers import plain, stepped


def threshold(optimizer: Any, parameters: Iterable[Tensor]) -> float | str:
    """Return the largest λ_max at which steps on a quadratic stay bounded, or why there is none.

    ``2 / η`` for gradient descent, ``2 (1 + μ) / (η (1 − d))`` with heavy-ball momentum μ and
    dampening d, ``2 (1 + μ) / (η (1 + 2μ))`` with Nesterov's, each less the weight decay, which
    adds itself to the Hessian. Of full batches: noise makes it smaller. It is one for λ_max of the
    loss that is trained, and of no other.

    Args:
        optimizer: What steps the model; of several, the one that steps the encoder tells.
        parameters: Of one encoder.

    Source: Cohen, Kaur, Li, Kolter and Talwalkar, 2021, arXiv 2103.00065, appendix B.

    Example:
        >>> import torch
        >>> w = torch.nn.Parameter(torch.zeros(1))
        >>> threshold(torch.optim.SGD([w], lr=0.5, momentum=0.5), [w])
        6.0
    """
    wanted = {id(parameter) for parameter in parameters}
    given = plain(optimizer)
    if not given:
        return "no optimizer was given"
    stepping = given if len(given) == 1 else [one for one in given if wanted & stepped([one])]
    if not stepping:
        return "none of the optimizers steps its parameters"
    if len(stepping) > 1:
        return "several optimizers step its parameters"
    (inner,) = stepping
    kind = type(inner)
    if kind is not torch.optim.SGD:
        return f"{kind.__name__} has no threshold in terms of the Hessian alone"
    groups = [g for g in inner.param_groups if wanted & {id(p) for p in g["params"]}]
    covered = {id(p) for group in groups for p in group["params"]}
    if not groups or not wanted <= covered:
        return "the optimizer does not step all of its parameters"
    found = {_of_group(group) for group in groups}
    if len(found) > 1:
        return "its parameters have different learning rates or weight decays"
    value = found.pop()
    return "its learning rate is 0" if value is None else value


def thresholds(optimizer: Any, measuring: Measuring) -> dict[str, float | str]:
    """Return the threshold of each encoder, or why it has none."""
    of = measuring.subject.owners.of
    return {name: threshold(optimizer, of(name).values()) for name in measuring.modalities}


def reasons(optimizer: Any, measuring: Measuring) -> dict[str, str]:
    """Return why encoders have no threshold."""
    found = thresholds(optimizer, measuring)
    return {f"threshold of {n}": told for n, told in found.items() if isinstance(told, str)}


def _of_group(group: dict[str, Any]) -> float | None:
    rate, momentum = float(group["lr"]), float(group["momentum"])
    if rate == 0:
        return None
    if group["nesterov"]:
        edge = 2 * (1 + momentum) / (rate * (1 + 2 * momentum))
    else:
        # The first step of the buffer is not dampened, which does not matter in the long run.
        dampening = float(group["dampening"]) if momentum else 0.0
        edge = 2 * (1 + momentum) / (rate * (1 - dampening)) if dampening < 1 else float("inf")
    return edge - float(group["weight_decay"])
