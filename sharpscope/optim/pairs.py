"""The fusion and the unimodal gradient of every encoder."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from sharpscope.optim.arithmetic import Gradients, added, scaled
from sharpscope.optim.blocks import Blocks
from sharpscope.optim.losses import floats


@dataclass(frozen=True)
class Pairs:
    """Gradients of one batch, over all parameters.

    Attributes:
        blocks: The parameters, by encoder.
        weights: λ of each unimodal loss.
        fusion: ``a = ∇L_fuse``.
        unimodal: ``b = ∇ Σ_m λ_m L_m``.
        rest: Their sum, where the two were not needed apart.
    """

    blocks: Blocks
    weights: Mapping[str, float]
    fusion: Gradients
    unimodal: Gradients
    rest: Gradients

    @property
    def total(self) -> Gradients:
        """The gradient of ``L_fuse + Σ_m λ_m L_m``."""
        return added(added(self.fusion, self.unimodal), self.rest)

    def of(self, name: str) -> tuple[Gradients, Gradients]:
        """Return an encoder's ``a_m`` and ``b_m / λ_m``."""
        places, weight = self.blocks.places([name]), self.weights[name]
        unimodal = [self.unimodal[i] for i in places]
        fusion = [self.fusion[i] for i in places]
        return fusion, unimodal if weight == 1 else scaled(unimodal, 1 / weight)

    def alignment(
        self, names: Sequence[str], cosine: Callable[[Gradients, Gradients], Tensor]
    ) -> dict[str, float]:
        """Return ``γ_m`` of some encoders."""
        found = [cosine(*self.of(name)) for name in names]
        return dict(zip(names, floats(found), strict=True))
