"""MASAM: only the dominant encoder is perturbed, along the fusion gradient, as far as it agrees."""

from collections.abc import Mapping
from typing import Any

import torch
from torch.optim import Optimizer

from sharpscope.checks import at_least, one_of
from sharpscope.errors import MisuseError
from sharpscope.optim.arithmetic import (
    Gradients,
    added,
    cosine,
    displaced,
    norm,
    only,
    scaled,
    to_length,
)
from sharpscope.optim.blocks import SHARED, check_encoders
from sharpscope.optim.directions import DIRECTIONS, direction, official, tensorwise_alignment
from sharpscope.optim.losses import Losses, floats
from sharpscope.optim.records import MASAMStep
from sharpscope.optim.selection import Selection, largest
from sharpscope.optim.wrapper import Rho, Wrapper, between, radius_or_schedule

_OPTIONS = {
    "mode": ("paper", "official"),
    "decay": ("paper", "trend"),
    "score": ("aps", "given"),
    "direction": DIRECTIONS,
    "negative": ("signed", "clamp"),
}


class MASAM(Wrapper[MASAMStep]):
    """Multimodal adaptive sharpness-aware minimization.

    With ``a_m = ∇_{θ_m} L_fuse``, ``b_m = ∇_{θ_m} L_m`` and ``γ_m = cos(a_m, b_m)`` of each
    encoder, the dominant one is ``m* = argmax α Decay_m + (1-α) γ_m``. It is perturbed by
    ``ε = ρ γ_{m*} a_{m*} / ‖a_{m*}‖`` and takes ``∇L_fuse(θ + ε) + λ b_{m*}``; all other
    parameters take ``∇(L_fuse + Σ_m λ_m L_m)`` where they are. One forward and two backward passes
    of everything, then one of encoder m* alone: the others are played back.

    Args:
        base: Any torch optimizer, which holds the parameters.
        encoders: For each modality its modules or its parameters, each in one encoder only; the
            rest is shared. Encoders given by modules are played back.
        rho: ρ, or a function from the number of the step to it. Published: 0.1 to 0.7.
        alpha: α, the weight of the decay against the alignment.
        beta: β of the losses' moving average.
        mode: ``paper``, or ``official`` for what the public code computes with its selection on:
            alignment and projection tensor by tensor, the length by the cosine of the last tensor,
            and all losses differentiated at the perturbed point, by all encoders.
        decay: ``paper`` as published, or ``trend``, which is positive while a loss falls (ours).
        other_first: Step the shared parameters first and do the rest with the new ones, as the
            published algorithm lists it; an extra forward and two backward passes. ``clip_norm``
            then bounds each of the two gradients.
        select: Whether one encoder is selected; otherwise all are perturbed in one pass.
        scale: Whether γ scales the perturbation; otherwise its length is ρ.
        score: ``aps``, or ``given`` to take ``Losses(scores=...)``.
        direction: ``fusion`` as published, ``difference`` (``a - b``) or ``orthogonal`` (b without
            its part along a), the variants that the paper compares with.
        negative: What a negative γ does: ``signed`` moves downhill as published, ``clamp`` not
            at all.
        every: Keep the selection for so many steps (an approximation): in the steps between only
            the selected encoder needs two gradients.
        unimodal_weight: λ, above 0, one number or one for each modality.
        clip_norm: Largest norm of the final gradient.
        process_group: The processes that train together; all of torch.distributed by default.
        local: Whether each process perturbs along its own gradient (m-sharpness).

    Raises:
        MisuseError: If an argument is not allowed; in a step, if a unimodal loss depends on
            another encoder.

    Source: Chen, Yin, Yao, Cheung and Qin, 2026 (ICLR), equations 7 to 13.

    Example:
        >>> import torch, sharpscope as ss
        >>> one, two = (torch.nn.Parameter(torch.tensor(v)) for v in ([1.0, 0.0], [0.0, 0.0]))
        >>> targets = {"ehr": torch.tensor([0.4, -0.8]), "cxr": torch.tensor([0.0, -2.0])}
        >>> def losses():
        ...     return ss.optim.Losses(
        ...         fusion=(one + two).square().sum() / 2,
        ...         unimodal={
        ...             "ehr": (one - targets["ehr"]).square().sum() / 2,
        ...             "cxr": (two - targets["cxr"]).square().sum() / 2,
        ...         },
        ...     )
        >>> base = torch.optim.SGD([one, two], lr=0.1)
        >>> optimizer = ss.optim.MASAM(base, encoders={"ehr": one, "cxr": two}, rho=0.5)
        >>> step = optimizer.step(losses)
        >>> step.dominant, round(step.radius, 4), one.data
        ('ehr', 0.3, tensor([ 0.8100, -0.0800]))
    """

    separate = True
    _replays = True

    def __init__(
        self,
        base: Optimizer,
        *,
        encoders: Mapping[str, Any],
        rho: Rho = 0.5,
        alpha: float = 0.3,
        beta: float = 0.9,
        mode: str = "paper",
        decay: str = "paper",
        other_first: bool = False,
        select: bool = True,
        scale: bool = True,
        score: str = "aps",
        direction: str = "fusion",
        negative: str = "signed",
        every: int = 1,
        unimodal_weight: float | Mapping[str, float] = 1.0,
        clip_norm: float | None = None,
        process_group: Any = None,
        local: bool = False,
    ):
        given = {
            "mode": mode,
            "decay": decay,
            "score": score,
            "direction": direction,
            "negative": negative,
        }
        for name, value in given.items():
            one_of(name, value, _OPTIONS[name])
        self.mode, self.score, self.direction, self.negative = mode, score, direction, negative
        self.rho = radius_or_schedule("rho", rho)
        self.other_first, self.select, self.scale = other_first, select, scale
        self.every = at_least("every", every, 1, "steps")
        if mode == "official" and (other_first or direction != "fusion" or negative != "signed"):
            raise MisuseError(
                "mode='official' is the public code as it is: leave other_first, direction and "
                "negative alone, or take mode='paper'"
            )
        super().__init__(
            base,
            encoders=check_encoders(encoders, 1),
            unimodal_weight=unimodal_weight,
            clip_norm=clip_norm,
            process_group=process_group,
            local=local,
        )
        if zero := [name for name, weight in self.weights.items() if not weight]:
            raise MisuseError(
                f"unimodal_weight of {zero[0]!r} must be above 0: MASAM compares each encoder's "
                "fusion gradient with that of its unimodal loss; got 0"
            )
        self._selection = Selection(
            alpha=between("alpha", alpha, 0, 1), beta=between("beta", beta, 0, 1), decay=decay
        )

    @property
    def alpha(self) -> float:
        """The weight of the decay against the alignment."""
        return self._selection.alpha

    @property
    def beta(self) -> float:
        """The memory of the losses' moving average."""
        return self._selection.beta

    def _memory(self) -> dict[str, Any]:
        return self._selection.memory()

    def _recall(self, memory: dict[str, Any]) -> None:
        self._selection.recall(memory)

    def _step(self) -> MASAMStep:
        kept = self._kept()
        seen: list[Losses] = []

        def work(losses: Losses) -> list[Gradients]:
            seen.append(losses)
            return self._both(losses, kept)

        own = self._passes.first(work)
        values = self._values(seen)
        given = self._given(seen)
        seen.clear()
        if not self._check(values, floats([norm([*own[0], *own[1], *own[2]])])[0]):
            self._overflow(added(own[0], own[1]))
            return self._record(values, {}, {}, {}, skipped=True)
        if self.other_first:
            self._apply(only(added(self._reduced(own[2]), self._sum(own)), self._shared))
            own = self._passes.again(lambda losses: self._both(losses, kept))
        reduced = [self._reduced(gradients) for gradients in own]
        unimodal = {n: v for n, v in values.items() if n != "fusion"}
        alignment = self._alignment(reduced, [kept] if kept else list(unimodal))
        decays = self._selection.decays(self._for_decay(unimodal))
        scores = given or self._selection.scores(decays, alignment)
        dominant = kept or largest({n: s for n, s in scores.items() if n in unimodal})
        self._selection.kept = dominant
        moved = ([dominant] if dominant else []) if self.select else list(unimodal)
        climbs = {
            name: self._climb(name, own if self.local else reduced, alignment[name])
            for name in moved
        }
        final, replayed = self._perturbed(reduced, climbs)
        if self.other_first:
            final = only(final, self.blocks.places(self.blocks.names))
        radii = dict(zip(climbs, floats([norm(c) for c in climbs.values()]), strict=True))
        self._apply(final)
        return self._record(
            values,
            alignment,
            decays,
            scores,
            dominant=dominant if self.select else None,
            radii=radii,
            replayed=replayed,
            selected=kept is None and self.select,
        )

    @property
    def _shared(self) -> list[int]:
        return self.blocks.places([SHARED])

    def _kept(self) -> str | None:
        """Return the encoder that was selected before, where it is not time for another."""
        return self._selection.kept if self.select and self.steps % self.every else None

    def _both(self, losses: Losses, kept: str | None) -> list[Gradients]:
        """Return fusion and unimodal gradients, and the total where the two need not be apart."""
        weighted = losses.weighted(self.weights)
        if kept is None or kept not in losses.unimodal:
            fusion = self._grad(losses.fusion, retain=weighted is not None)
            return [fusion, self._grad(weighted), [None] * len(fusion)]
        places = self.blocks.places([kept])
        rest = [i for i in range(len(self.blocks.parameters)) if i not in set(places)]
        return [
            self._grad(losses.fusion, places, retain=True),
            self._grad(weighted, places, retain=True),
            self._grad(losses.total(self.weights), rest),
        ]

    def _sum(self, gradients: list[Gradients]) -> Gradients:
        return self._reduced(added(gradients[0], gradients[1]))

    def _block(self, name: str, gradients: list[Gradients]) -> tuple[Gradients, Gradients]:
        """Return an encoder's ``a_m`` and ``b_m``."""
        places = self.blocks.places([name])
        fusion = [gradients[0][i] for i in places]
        unimodal = [gradients[1][i] for i in places]
        weight = self.weights[name]
        return fusion, unimodal if weight == 1 else scaled(unimodal, 1 / weight)

    def _alignment(self, gradients: list[Gradients], names: list[str]) -> dict[str, float]:
        """Return ``γ_m`` of some encoders."""
        of = cosine if self.mode == "paper" else tensorwise_alignment
        cosines = [of(*self._block(name, gradients)) for name in names]
        return dict(zip(names, floats(cosines), strict=True))

    def _for_decay(self, unimodal: Mapping[str, float]) -> dict[str, float]:
        """Return the losses that the decay is taken from; the public code weighs them."""
        weighs = self.mode == "official"
        return {n: v * self.weights[n] if weighs else v for n, v in unimodal.items()}

    def _given(self, seen: list[Losses]) -> dict[str, float]:
        """Return the mean of the scores that the closures gave, where they are wanted."""
        if self.score != "given":
            return {}
        if any(losses.scores is None for losses in seen):
            raise MisuseError(
                "score='given' needs Losses(scores={modality: score}) from the closure; got none"
            )
        sums: dict[str, list[float]] = {}
        for losses in seen:
            for name, score in (losses.scores or {}).items():
                sums.setdefault(name, []).append(float(score))
        names = [name for name in self.blocks.names if name in sums]
        means = [sum(sums[name]) / len(sums[name]) for name in names]
        return dict(zip(names, self._mean(means), strict=True))

    def _climb(self, name: str, gradients: list[Gradients], alignment: float) -> Gradients:
        """Return an encoder's ε, absent elsewhere."""
        fusion, unimodal = self._block(name, gradients)
        rho = self._rho(self.rho)
        if self.mode == "official":
            block = official(fusion, unimodal, rho, scale=self.scale)
        else:
            factor = max(0.0, alignment) if self.negative == "clamp" else alignment
            length = rho * (factor if self.scale else 1.0)
            block = to_length(direction(self.direction, fusion, unimodal), length)
        found: Gradients = [None] * len(self.blocks.parameters)
        for place, value in zip(self.blocks.places([name]), block, strict=True):
            found[place] = value
        return found

    def _perturbed(
        self, gradients: list[Gradients], climbs: Mapping[str, Gradients]
    ) -> tuple[Gradients, tuple[str, ...]]:
        """Return the final gradient, and which encoders were played back for it."""
        plain = added(added(gradients[0], gradients[1]), gradients[2])
        if not climbs:
            return plain, ()
        everything: Gradients = [None] * len(plain)
        for climb in climbs.values():
            everything = added(everything, climb)
        whole = self.mode == "official"
        names = self.blocks.names if whole else tuple(climbs)
        places = self.blocks.places(names)
        play = () if whole else self._passes.playable(names)

        def work(losses: Losses) -> list[Gradients]:
            loss = losses.total(self.weights) if whole else losses.fusion
            return [self._grad(loss if loss.requires_grad else None, places)]

        with displaced(self.blocks.parameters, everything):
            (there,) = self._passes.again(work, play=play)
        there = self._reduced(there)
        if not whole:
            there = added(there, only(gradients[1], places))
        stay = [i for i in range(len(plain)) if i not in set(places)]
        return added(there, only(plain, stay)), play

    def _record(
        self,
        values: Mapping[str, float],
        alignment: Mapping[str, float],
        decays: Mapping[str, float],
        scores: Mapping[str, float],
        *,
        radii: Mapping[str, float] | None = None,
        dominant: str | None = None,
        **more: Any,
    ) -> MASAMStep:
        length = torch.tensor(list((radii or {}).values())).norm().item() if radii else 0.0
        return MASAMStep(
            **self._described(values),
            radius=length,
            dominant=dominant,
            alignment=dict(alignment),
            decay=dict(decays),
            scores=dict(scores),
            radii=dict(radii or {}),
            **more,
        )
