"""MASAM: only the dominant encoder is perturbed, along the fusion gradient, as far as it agrees."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch.optim import Optimizer

from sharpscope.checks import at_least, one_of
from sharpscope.errors import MisuseError
from sharpscope.optim.arithmetic import Gradients, cosine, norm, only
from sharpscope.optim.blocks import SHARED, check_encoders
from sharpscope.optim.directions import DIRECTIONS, tensorwise
from sharpscope.optim.door import Rho, between, radius_or_schedule
from sharpscope.optim.feature_alignment import FeatureAlignment
from sharpscope.optim.losses import Losses, floats
from sharpscope.optim.pairs import Pairs
from sharpscope.optim.perturbing import Perturbing
from sharpscope.optim.records import MASAMStep
from sharpscope.optim.selection import Choice, Selection, largest, mean_scores

_OPTIONS = {
    "mode": ("paper", "official"),
    "decay": ("paper", "trend"),
    "score": ("aps", "given"),
    "direction": DIRECTIONS,
    "negative": ("signed", "clamp"),
    "alignment": ("parameters", "feature"),
}


class MASAM(Perturbing):
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
        alignment: Where γ is taken: of the ``parameters`` of the whole encoder, or (an
            approximation) of its ``feature``, by the heads alone: then only the selected encoder
            needs two gradients.
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
        alignment: str = "parameters",
        every: int = 1,
        unimodal_weight: float | Mapping[str, float] = 1.0,
        clip_norm: float | None = None,
        process_group: Any = None,
        local: bool = False,
    ):
        given = (mode, decay, score, direction, negative, alignment)
        for (name, allowed), value in zip(_OPTIONS.items(), given, strict=True):
            one_of(name, value, allowed)
        self.mode, self.score, self.direction, self.negative = mode, score, direction, negative
        self.alignment = alignment
        self.rho = radius_or_schedule("rho", rho)
        self.other_first, self.select, self.scale = other_first, select, scale
        self.every = at_least("every", every, 1, "steps")
        if mode == "official" and (other_first or direction != "fusion" or negative != "signed"):
            raise MisuseError(
                "mode='official' is the public code as it is: leave other_first, direction and "
                "negative alone, or take mode='paper'"
            )
        if alignment == "feature" and (mode == "official" or other_first or not select):
            raise MisuseError(
                "alignment='feature' selects one encoder by one pass: it goes with mode='paper', "
                "select=True and other_first=False only"
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
        if alignment == "feature" and not all(self.blocks.modules.values()):
            raise MisuseError(
                "alignment='feature' looks at what the encoders return: give each by its modules, "
                "not by its parameters"
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

    _start: Mapping[str, Any] = {"averages": {}, "losses": {}, "kept": None}

    def _memory(self) -> dict[str, Any]:
        return self._selection.memory()

    def _recall(self, memory: dict[str, Any]) -> None:
        self._selection.recall(memory)

    def _step(self) -> MASAMStep:
        kept = self._selection.kept if self.select and self.steps % self.every else None
        at_features = FeatureAlignment(self._passes.outputs, self._summed)
        seen: list[Losses] = []
        choice: Choice | None = None

        def work(losses: Losses) -> list[Gradients]:
            nonlocal choice
            seen.append(losses)
            if self.alignment == "feature" and kept is None:
                at_features.add(losses, losses.weighted(self.weights))
                values = self._values(seen)
                whole = self._everywhere(at_features.complete)
                if self._passes.one and whole and all(map(math.isfinite, values.values())):
                    # The dominant encoder is known before any pass through the encoders.
                    cosines = at_features.cosines(self.blocks.names)
                    present = {n: c for n, c in cosines.items() if n in values}
                    choice = self._choose(values, present, seen, None)
            return self._both(losses, choice.dominant if choice else kept)

        own = self._pairs(self._passes.first(work))
        pairs = self._all(own)
        values = self._values(seen)
        if not self._check(values, floats([norm(pairs.total)])[0]):
            self._overflow(own.total)
            return self._record(values, Choice(), skipped=True)
        if kept not in values:
            kept = None  # it is missing from this batch
        if self.other_first:
            self._apply(only(pairs.total, self.blocks.places([SHARED])), last=False)
            own = self._pairs(self._passes.again(lambda losses: self._both(losses, kept)))
            pairs = self._all(own)
        if choice is None:
            names = [kept] if kept else [name for name in values if name != "fusion"]
            if self.alignment == "feature" and kept is None and at_features.complete:
                found = at_features.cosines(self.blocks.names)
                cosines = {name: found[name] for name in names}
            else:
                cosines = pairs.alignment(names, cosine if self.mode == "paper" else tensorwise)
            choice = self._choose(values, cosines, seen, kept)
        seen.clear()
        climbs = self._climbs(own if self.local else pairs, choice)
        final, replayed = self._perturbed(pairs, climbs)
        if self.other_first:
            final = only(final, self.blocks.places(self.blocks.names))
        stepped = self._apply(final)
        lengths = floats([norm(climb) for climb in climbs.values()])
        radii = dict(zip(climbs, lengths, strict=True))
        fresh = kept is None and self.select
        found = self._record(
            values, choice, radii=radii, replayed=replayed, selected=fresh, skipped=not stepped
        )
        if at_features.complete:
            return found
        note = "alignment was taken at the parameters, since no outputs of the encoders were seen"
        return replace(found, notes=(*found.notes, note))

    def _all(self, own: Pairs) -> Pairs:
        """Return the means over processes."""
        return self._pairs([self._reduced(g) for g in (own.fusion, own.unimodal, own.rest)])

    def _pairs(self, gradients: Sequence[Gradients]) -> Pairs:
        return Pairs(self.blocks, self.weights, *gradients)

    def _both(self, losses: Losses, chosen: str | None) -> list[Gradients]:
        """Return fusion and unimodal gradients, and their sum where they need not be apart.

        They must be apart everywhere before an encoder is chosen, and only in that one afterwards.
        """
        weighted = losses.weighted(self.weights)
        if chosen is None or chosen not in losses.unimodal:
            fusion = self._grad(losses.fusion, retain=weighted is not None)
            return [fusion, self._grad(weighted), [None] * len(fusion)]
        places = self.blocks.places([chosen])
        rest = [i for i in range(len(self.blocks.parameters)) if i not in set(places)]
        return [
            self._grad(losses.fusion, places, retain=True),
            self._grad(weighted, places, retain=True),
            self._grad(losses.total(self.weights), rest),
        ]

    def _choose(
        self,
        values: Mapping[str, float],
        alignment: Mapping[str, float],
        seen: Sequence[Losses],
        kept: str | None,
    ) -> Choice:
        """Return which encoder dominates, and remember the losses."""
        unimodal = {name: value for name, value in values.items() if name != "fusion"}
        if self.mode == "official":  # which weighs the losses here as well
            unimodal = {name: self.weights[name] * value for name, value in unimodal.items()}
        decays = self._selection.decays(unimodal)
        scores = self._selection.scores(decays, alignment)
        if self.score == "given":
            scores = mean_scores(seen, self.blocks.names, self._summed)
        allowed = {n: scores[n] for n in self.blocks.names if n in scores and n in unimodal}
        dominant = kept or largest(allowed)
        self._selection.kept = dominant
        moved = tuple(unimodal) if not self.select else (dominant,) if dominant else ()
        return Choice(dominant, moved, alignment, decays, scores)

    def _record(
        self,
        values: Mapping[str, float],
        choice: Choice,
        *,
        radii: Mapping[str, float] | None = None,
        **more: Any,
    ) -> MASAMStep:
        radii = dict(radii or {})
        return MASAMStep(
            **self._described(values),
            radius=math.hypot(*radii.values()),
            dominant=choice.dominant if self.select else None,
            alignment=dict(choice.alignment),
            decay=dict(choice.decays),
            scores=dict(choice.scores),
            radii=radii,
            **more,
        )
