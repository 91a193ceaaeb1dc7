"""M-SAM: how sharpness-aware a step is follows from the dominant modality's Shapley share."""

import inspect
from collections.abc import Mapping
from typing import Any

from torch.optim import Optimizer

from sharpscope.checks import at_least, one_of
from sharpscope.errors import MisuseError
from sharpscope.optim.arithmetic import (
    Gradients,
    added,
    displaced,
    mixed,
    norm,
    only,
    scaled,
    to_length,
)
from sharpscope.optim.batch_shapley import BatchShapley
from sharpscope.optim.blocks import SHARED, check_encoders
from sharpscope.optim.door import Rho, between, radius_or_schedule
from sharpscope.optim.losses import Losses, floats
from sharpscope.optim.passes import Closure
from sharpscope.optim.records import MSAMStep
from sharpscope.optim.selection import largest
from sharpscope.optim.wrapper import Wrapper
from sharpscope.shapley import NORMALIZE, Performance, Shapley, shares

_OPTIONS = {
    "decompose": ("share", "present"),
    "normalize": NORMALIZE,
    "scope": ("all", "dominant", "dominant+other"),
    "empty": ("evaluate", "zero"),
}


class MSAM(Wrapper[MSAMStep]):
    """Modality-aware SAM.

    The share ``v_m`` of each modality in the performance of the batch (Shapley) splits the loss,
    ``L_m = v_m L``; the part of the dominant modality d is perturbed:
    ``ε = ρ ∇L_d / ‖∇L_d‖`` and ``θ ← θ - η [∇L_d(θ + ε) + Σ_{m≠d} ∇L_m(θ)]``. Since the shares
    are numbers, that is ``v_d ∇L(θ + ρĝ) + (1 - v_d) ∇L(θ)``: which modality dominates does not
    matter, only how much. Two forward and two backward passes, one evaluation pass of the
    encoders and ``2^M`` of the fusion.

    Args:
        base: Any torch optimizer, which holds the parameters.
        encoders: For each modality its modules or its parameters; the rest is shared.
        rho: ρ, the radius, or a function from the number of the step to it.
        decompose: ``share`` as above; ``present``: ``L_m = v_m L`` with only modality m present,
            the other reading of the published algorithm. The closure is then called with the set
            of modalities that are present, ``closure(frozenset({"ehr"}))``, once for each of them
            and once more for the dominant one. The modules of absent encoders are in eval mode
            then: norms see real inputs alone.
        normalize: From Shapley values to shares: ``clip`` (negative values count as 0), ``raw``
            as published, where negative values turn the order around, or ``softmax``.
        scope: What is perturbed: ``all`` as published, ``dominant`` (the dominant encoder), or
            ``dominant+other`` (with the shared parameters).
        empty: Performance with every modality masked: ``evaluate`` it, or take it as ``zero``.
        every: Compute the shares every so many steps.
        ema: Share of the old shares in the new ones, 0 as published.
        unimodal_weight: λ, one number or one for each modality; 0 for the published loss.
        clip_norm: Largest norm of the final gradient.
        process_group: The processes that train together; all of torch.distributed by default.
        local: Whether each process climbs along its own gradient (m-sharpness).

    Raises:
        MisuseError: If an argument is not allowed.

    Source: Nowdeh, Ji, Ma and Afghah, 2025 (NeurIPS), arXiv 2510.24919, algorithm 1.

    Example:
        >>> import torch, sharpscope as ss
        >>> x = torch.nn.Parameter(torch.tensor([1.0, 3.0]))
        >>> optimizer = ss.optim.MSAM(
        ...     torch.optim.SGD([x], lr=0.1), encoders={"cxr": x}, rho=0.5
        ... )
        >>> step = optimizer.step(
        ...     lambda: (torch.tensor([2.0, 0.5]) * x**2).sum(), performance=lambda present: 1.0
        ... )
        >>> step.dominant, step.shares, x.data
        ('cxr', {'cxr': 1.0}, tensor([0.4400, 2.6700]))
    """

    def __init__(
        self,
        base: Optimizer,
        *,
        encoders: Mapping[str, Any],
        rho: Rho = 0.05,
        decompose: str = "share",
        normalize: str = "clip",
        scope: str = "all",
        empty: str = "evaluate",
        every: int = 1,
        ema: float = 0.0,
        unimodal_weight: float | Mapping[str, float] = 1.0,
        clip_norm: float | None = None,
        process_group: Any = None,
        local: bool = False,
    ):
        given = {"decompose": decompose, "normalize": normalize, "scope": scope, "empty": empty}
        for name, value in given.items():
            one_of(name, value, _OPTIONS[name])
        self.decompose, self.normalize, self.scope, self.empty = given.values()
        self.rho = radius_or_schedule("rho", rho)
        self.every = at_least("every", every, 1, "steps")
        self.ema = between("ema", ema, 0, 1)
        super().__init__(
            base,
            encoders=check_encoders(encoders, 1),
            unimodal_weight=unimodal_weight,
            clip_norm=clip_norm,
            process_group=process_group,
            local=local,
        )
        self._found: Shapley | None = None
        self._shares: dict[str, float] = {}
        self._plays = True

    def step(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        closure: Closure | Any,
        *,
        performance: Performance,
        scaler: Any = None,
    ) -> MSAMStep:
        """Take one step on a batch and return what was done.

        Args:
            closure: Runs the forward pass and returns its losses, or several for micro-batches.
            performance: ``Φ(S)`` of the batch with only the modalities S present, see
                ``masked_performance``; called in the steps in which shares are computed. One of
                your own must evaluate in eval mode and give the modes back.
            scaler: A ``torch.amp.GradScaler``, for float16.

        Raises:
            MisuseError: If the closure returns something else than losses, gradients are left
                from before, or ``performance`` is no function.
            SharpscopeError: If a loss is not finite.
        """
        if not callable(performance):
            raise MisuseError(
                "performance must be a function from the set of modalities present to the batch's "
                "performance, such as masked_performance(model, inputs, target); got "
                f"{type(performance).__name__}"
            )
        for each in [closure] if callable(closure) else list(closure):
            self._check_signature(each)
        return super().step(closure, scaler=scaler, performance=performance)

    def _step(self, performance: Performance = lambda _: 0.0) -> MSAMStep:
        fresh = not self._shares or self.steps % self.every == 0
        if fresh:
            with self._passes.untouched():
                self._found = self._values_of(performance)
            now = shares(self._found.values, self.normalize)
            before = self._shares or now
            self._shares = {n: self.ema * before[n] + (1 - self.ema) * v for n, v in now.items()}
        dominant = largest(self._shares)
        assert dominant is not None
        step = self._share if self.decompose == "share" else self._present
        return step(dominant, fresh)

    def _share(self, dominant: str, fresh: bool) -> MSAMStep:
        seen: list[Losses] = []

        def work(losses: Losses) -> list[Gradients]:
            seen.append(losses)
            return [self._grad(losses.total(self.weights))]

        (own,) = self._passes.first(work)
        values, gradient = self._values(seen), self._reduced(own)
        seen.clear()
        if not self._check(values, floats([norm(gradient)])[0]):
            self._overflow(gradient)
            return self._record(values, dominant, fresh, 0.0, skipped=True)
        climb = self._climb(self._for_radius(own, gradient), dominant)
        with displaced(self.blocks.parameters, climb):
            (there,) = self._passes.again(lambda losses: [self._grad(losses.total(self.weights))])
        stepped = self._apply(mixed(gradient, self._reduced(there), self._shares[dominant]))
        return self._record(values, dominant, fresh, floats([norm(climb)])[0], skipped=not stepped)

    def _present(self, dominant: str, fresh: bool) -> MSAMStep:
        alone = frozenset({dominant})
        seen: list[Losses] = []

        def work(losses: Losses) -> list[Gradients]:
            seen.append(losses)
            return [self._grad(losses.total(self.weights))]

        with self._passes.showing(dominant, shared=True):
            (own,) = self._passes.first(work, alone)
        values = self._values(seen)
        rest: Gradients = [None] * len(own)
        for name in self.blocks.names:
            if name != dominant:
                with self._passes.showing(name, shared=False):
                    (one,) = self._passes.first(work, frozenset({name}))
                rest = added(rest, scaled(one, self._shares[name]))
        seen.clear()
        gradient = self._reduced(own)
        if not self._check(values, floats([norm([*gradient, *rest])])[0]):
            self._passes.settle()
            self._overflow(gradient)
            return self._record(values, dominant, fresh, 0.0, skipped=True)
        climb = self._climb(self._for_radius(own, gradient), dominant)
        with displaced(self.blocks.parameters, climb):
            (there,) = self._passes.again(
                lambda losses: [self._grad(losses.total(self.weights))], alone
            )
        self._passes.settle()
        final = added(scaled(there, self._shares[dominant]), rest)
        stepped = self._apply(self._reduced(final))
        return self._record(values, dominant, fresh, floats([norm(climb)])[0], skipped=not stepped)

    def _climb(self, gradient: Gradients, dominant: str) -> Gradients:
        if self.scope != "all":
            names = [dominant] if self.scope == "dominant" else [dominant, SHARED]
            gradient = only(gradient, self.blocks.places(names))
        return to_length(gradient, self._rho(self.rho))

    def _values_of(self, performance: Performance) -> Shapley:
        """Return the Shapley values of the batch on all processes."""
        of_batch = BatchShapley(self.blocks, empty=self.empty, summed=self._summed)
        replay = self._plays and not self._passes.compiled
        found, agrees = of_batch(performance, replay=replay, compare=replay and self._due())
        self._plays &= agrees
        return found

    def _check_signature(self, closure: Any) -> None:
        if self.decompose != "present" or not callable(closure):
            return
        try:
            inspect.signature(closure).bind(frozenset[str]())
        except TypeError as error:
            raise MisuseError(
                "decompose='present' calls the closure with the set of modalities that are "
                "present, such as closure(frozenset({'ehr'})): let it take that argument"
            ) from error

    _start: Mapping[str, Any] = {"shares": {}, "shapley": None}

    def _memory(self) -> dict[str, Any]:
        found = self._found
        values = None if found is None else vars(found)
        return {"shares": dict(self._shares), "shapley": values}

    def _recall(self, memory: dict[str, Any]) -> None:
        self._shares = dict(memory["shares"])
        self._found = None if memory["shapley"] is None else Shapley(**memory["shapley"])

    def _record(
        self,
        values: Mapping[str, float],
        dominant: str,
        fresh: bool,
        length: float,
        *,
        skipped: bool = False,
    ) -> MSAMStep:
        found = self._found
        assert found is not None
        described = self._described(values)
        if not self._plays:
            described["notes"] = (
                *described["notes"],
                "features were not replayed for the shares: a played pass was not that of running",
            )
        return MSAMStep(
            **described,
            radius=length,
            dominant=dominant,
            shares=dict(self._shares),
            values=found.values,
            standard_error=found.standard_error,
            interactions=found.interactions,
            fresh=fresh,
            skipped=skipped,
        )
