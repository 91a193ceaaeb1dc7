"""SAM and ASAM: the gradient at the worst point near by."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from sharpscope.optim.arithmetic import Gradients, displaced, norm, to_length
from sharpscope.optim.door import Rho, radius, radius_or_schedule
from sharpscope.optim.losses import Losses, floats
from sharpscope.optim.records import Step
from sharpscope.optim.wrapper import Wrapper


class SAM(Wrapper[Step]):
    """Sharpness-aware minimization: the step of the gradient at the top of a small climb.

    ``ε = ρ ∇L(θ) / ‖∇L(θ)‖`` over all parameters together, ``θ ← θ - η ∇L(θ + ε)``. With unimodal
    losses, ``L = L_fuse + Σ_m λ_m L_m``. Two forward and two backward passes.

    Args:
        base: Any torch optimizer, which holds the parameters.
        encoders: Names for the unimodal losses; not needed without them.
        rho: ρ, the radius, or a function from the number of the step to it.
        unimodal_weight: λ, one number or one for each modality.
        clip_norm: Largest norm of the final gradient.
        process_group: The processes that train together; all of torch.distributed by default.
        local: Whether each process climbs along its own gradient (m-sharpness).

    Raises:
        MisuseError: If an argument is not allowed.

    Source: Foret, Kleiner, Mobahi and Neyshabur, 2021, arXiv 2010.01412, equation 2.

    Example:
        >>> import torch, sharpscope as ss
        >>> x = torch.nn.Parameter(torch.tensor([1.0, 3.0]))
        >>> optimizer = ss.optim.SAM(torch.optim.SGD([x], lr=0.1), rho=0.5)
        >>> step = optimizer.step(lambda: (torch.tensor([2.0, 0.5]) * x**2).sum())
        >>> x.data, step.radius
        (tensor([0.4400, 2.6700]), 0.5)
    """

    def __init__(
        self,
        base: Optimizer,
        *,
        encoders: Mapping[str, Any] | None = None,
        rho: Rho = 0.05,
        unimodal_weight: float | Mapping[str, float] = 1.0,
        clip_norm: float | None = None,
        process_group: Any = None,
        local: bool = False,
    ):
        self.rho = radius_or_schedule("rho", rho)
        super().__init__(
            base,
            encoders=encoders or {},
            unimodal_weight=unimodal_weight,
            clip_norm=clip_norm,
            process_group=process_group,
            local=local,
        )

    def _step(self) -> Step:
        seen: list[Losses] = []

        def work(losses: Losses) -> list[Gradients]:
            seen.append(losses)
            return [self._grad(losses.total(self.weights))]

        (own,) = self._passes.first(work)
        reduced = self._reduced(own)
        climb, length = self._ascent(self._for_radius(own, reduced))
        values = self._values(seen)
        size, length = floats([norm(reduced), length])
        seen.clear()
        if not self._check(values, size):
            self._overflow(own)
            return Step(**self._described(values), radius=0.0, skipped=True)
        with displaced(self.blocks.parameters, climb):
            (gradient,) = self._passes.again(
                lambda losses: [self._grad(losses.total(self.weights))]
            )
        stepped = self._apply(self._reduced(gradient))
        return Step(**self._described(values), radius=length, skipped=not stepped)

    def _ascent(self, gradient: Gradients) -> tuple[Gradients, Tensor]:
        """Return the perturbation and its length."""
        climb = to_length(gradient, self._rho(self.rho))
        return climb, norm(climb)


class ASAM(SAM):
    """Adaptive SAM: a climb inside an ellipsoid that scales with the parameters.

    ``ε = ρ T² g / ‖T g‖`` with ``T = |θ| + η`` for weights and 1 for biases. Without η it does
    not depend on how the scale is shared between two layers.

    Args:
        base: Any torch optimizer, which holds the parameters.
        encoders: Names for the unimodal losses; not needed without them.
        rho: ρ, the radius, or a function from the number of the step to it.
        eta: η, added to each ``|θ|``, so that zeros are perturbed as well.
        unimodal_weight: λ, one number or one for each modality.
        clip_norm: Largest norm of the final gradient.
        process_group: The processes that train together; all of torch.distributed by default.
        local: Whether each process climbs along its own gradient.

    Raises:
        MisuseError: If an argument is not allowed.

    Source: Kwon, Kim, Park and Choi, 2021, arXiv 2102.11600, equation 7.

    Example:
        >>> import torch, sharpscope as ss
        >>> x = torch.nn.Parameter(torch.tensor([1.0, 3.0]))
        >>> optimizer = ss.optim.ASAM(torch.optim.SGD([x], lr=0.1), rho=0.5, eta=0)
        >>> step = optimizer.step(lambda: (torch.tensor([2.0, 0.5]) * x**2).sum())
        >>> x.data
        tensor([0.5188, 2.5629])
    """

    def __init__(self, base: Optimizer, *, rho: Rho = 0.5, eta: float = 0.01, **settings: Any):
        self.eta = radius("eta", eta)
        super().__init__(base, rho=rho, **settings)

    def _ascent(self, gradient: Gradients) -> tuple[Gradients, Tensor]:
        biases = {
            id(parameter)
            for module in self._passes.modules
            for name, parameter in module.named_parameters(recurse=False)
            if "bias" in name
        }
        once: Gradients = [None] * len(gradient)
        twice: Gradients = [None] * len(gradient)
        for i, (parameter, g) in enumerate(zip(self.blocks.parameters, gradient, strict=True)):
            if g is not None:
                scale = parameter.detach().abs() + self.eta
                scale = torch.ones_like(scale) if id(parameter) in biases else scale
                once[i], twice[i] = scale * g, scale.square() * g
        size = norm(once)
        # T² g to the length ρ ‖T² g‖ / ‖T g‖.
        length = self._rho(self.rho) * norm(twice) / torch.where(size > 0, size, 1.0)
        climb = to_length(twice, length)
        return climb, norm(climb)
