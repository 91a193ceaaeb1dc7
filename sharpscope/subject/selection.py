"""The parameters under study, as slices of one flat vector."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import Parameter

from sharpscope.checks import nearest
from sharpscope.errors import MisuseError
from sharpscope.subject.owners import ALL, SHARED, Owners, matches


@dataclass(frozen=True, eq=False)
class Selection:
    """Parameters under study, in the model's order.

    Frozen parameters belong to it like any others: a frozen encoder can be measured.

    Attributes:
        name: What was asked for: a modality, ``shared``, ``all`` or a glob.
        names: Name of each parameter.
        parameters: The parameters.
    """

    name: str
    names: tuple[str, ...]
    parameters: tuple[Parameter, ...]

    @property
    def dim(self) -> int:
        """Number of scalar parameters."""
        return sum(p.numel() for p in self.parameters)

    @property
    def frozen(self) -> int:
        """Number of scalar parameters that do not require a gradient."""
        return sum(p.numel() for p in self.parameters if not p.requires_grad)

    def split(self, vector: Tensor) -> list[Tensor]:
        """Return a flat vector ``[dim]`` as tensors of the parameters' shapes."""
        pieces = torch.split(vector, [p.numel() for p in self.parameters])
        return [piece.view(p.shape) for piece, p in zip(pieces, self.parameters, strict=True)]

    @contextmanager
    def displaced(self, vector: Tensor) -> Generator[None]:
        """Move the parameters by a flat vector ``[dim]`` inside the block.

        Their data is exchanged and not changed, so that graphs kept by others stay valid.
        """
        saved = [p.data for p in self.parameters]
        try:
            for parameter, piece in zip(self.parameters, self.split(vector), strict=True):
                parameter.data = parameter.data + piece
            yield
        finally:
            for parameter, data in zip(self.parameters, saved, strict=True):
                parameter.data = data

    def flatten(self, pieces: Sequence[Tensor | None]) -> Tensor:
        """Return one flat vector ``[dim]``; a piece that is None counts as zeros."""
        pairs = zip(pieces, self.parameters, strict=True)
        return torch.cat(
            [(torch.zeros_like(p) if g is None else g.detach()).reshape(-1) for g, p in pairs]
        )


def select(owners: Owners, name: str) -> Selection:
    """Return the Selection that ``name`` means.

    It is a modality, ``shared``, several of these joined by ``+``, ``all`` or a glob.

    Raises:
        MisuseError: If it is none of these, with the nearest name that is.
    """
    if not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise MisuseError(f"modality must be a name; got {type(name).__name__}")
    if name == ALL:
        chosen = dict(owners.parameters)
    elif name == SHARED or name in owners.modalities:
        chosen = owners.of(name)
        if not chosen:
            why = "every one belongs to an encoder" if name == SHARED else "its own are integers"
            raise MisuseError(f"{name!r} owns no parameter to measure: {why}")
    elif set(parts := name.split("+")) <= {SHARED, *owners.modalities}:
        chosen = {key: p for key, p in owners.parameters.items() if owners.owner[key] in parts}
    else:
        chosen = {key: p for key, p in owners.parameters.items() if matches(key, name)}
    if not chosen:
        known = [*owners.modalities, SHARED, ALL]
        raise MisuseError(
            f"unknown modality {name!r}{nearest(name, known)}; there are {', '.join(known)}, or a "
            "glob of parameter names"
        )
    return Selection(name, tuple(chosen), tuple(chosen.values()))
