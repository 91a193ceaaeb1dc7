"""Perturbing encoders: where they are moved, and the gradient there."""

from collections.abc import Mapping
from contextlib import suppress

import torch

from sharpscope.optim.arithmetic import Gradients, added, displaced, only, to_length
from sharpscope.optim.blocks import SHARED
from sharpscope.optim.directions import direction, official
from sharpscope.optim.door import Rho
from sharpscope.optim.losses import Losses
from sharpscope.optim.pairs import Pairs
from sharpscope.optim.passes import Work
from sharpscope.optim.records import MASAMStep
from sharpscope.optim.selection import Choice
from sharpscope.optim.wrapper import Wrapper


class Perturbing(Wrapper[MASAMStep]):
    """A method that perturbs encoders, and plays the others back meanwhile."""

    separate = True
    _replays = True
    mode: str
    direction: str
    negative: str
    scale: bool
    other_first: bool
    rho: Rho

    def _climbs(self, pairs: Pairs, choice: Choice) -> dict[str, Gradients]:
        """Return the perturbation of each encoder that is moved, absent elsewhere."""
        rho = self._rho(self.rho)
        found: dict[str, Gradients] = {}
        for name in choice.moved:
            if self.mode == "official":
                block = official(*pairs.of(name), rho, scale=self.scale)
            else:
                gamma = choice.alignment[name] if self.scale else 1.0
                gamma = max(0.0, gamma) if self.negative == "clamp" else gamma
                block = to_length(direction(self.direction, *pairs.of(name)), rho * gamma)
            found[name] = [None] * len(self.blocks.parameters)
            for place, value in zip(self.blocks.places([name]), block, strict=True):
                found[name][place] = value
        return found

    def _perturbed(
        self, pairs: Pairs, climbs: Mapping[str, Gradients]
    ) -> tuple[Gradients, tuple[str, ...]]:
        """Return the final gradient, and which encoders were played back for it."""
        plain = pairs.total
        if not climbs:
            return plain, ()
        everything: Gradients = [None] * len(plain)
        for climb in climbs.values():
            everything = added(everything, climb)
        whole = self.mode == "official"
        names = self.blocks.names if whole else tuple(climbs)
        places = self.blocks.places(names)
        moved = (*names, SHARED) if self.other_first else names
        play = () if whole else self._passes.playable(moved)
        seen: list[float] = []

        def work(losses: Losses) -> list[Gradients]:
            loss = losses.total(self.weights) if whole else losses.fusion
            seen.append(loss.item() if play and self._due() else 0.0)
            return [self._grad(loss if loss.requires_grad else None, places)]

        with displaced(self.blocks.parameters, everything):
            there, play = self._played(work, play, seen)
        there = self._reduced(there)
        if not whole:
            there = added(there, only(pairs.unimodal, places))
        stay = [i for i in range(len(plain)) if i not in set(places)]
        return added(there, only(plain, stay)), play

    def _played(
        self, work: Work, play: tuple[str, ...], seen: list[float]
    ) -> tuple[Gradients, tuple[str, ...]]:
        """Return the gradient of the perturbed pass, played back where that gives the same loss.

        What an encoder is told by another one on detached tensors is in no graph, and a hook on
        a feature fails where there is none.
        """
        there: Gradients | None = None
        try:
            (there,) = self._passes.again(work, play=play)
        except Exception:  # an error of the user's own comes again where nothing is played
            if not play:
                raise
        if there is not None and not (play and self._due()):
            return there, play
        if there is not None:
            played = list(seen)
            seen.clear()
            with torch.no_grad(), suppress(Exception):
                self._passes.again(work)
            rounding = 64 * torch.finfo(self.blocks.parameters[0].dtype).eps
            same = [abs(a - b) <= rounding * abs(b) for a, b in zip(played, seen, strict=False)]
            if len(seen) == len(played) and all(same):
                return there, play
        self._passes.stop()
        (plain,) = self._passes.again(work)
        return plain, ()
