"""The slow, obvious, independent answers in float64 that the fast ones must equal."""

import copy
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

WholeLoss = Callable[[nn.Module, list[Any]], Tensor]


class Oracle:
    """A copy of the model in float64 and eval mode, with the loss of all items at once."""

    def __init__(self, model: nn.Module, names: Iterable[str], loss: Callable[[nn.Module], Tensor]):
        self.model = copy.deepcopy(model).double().eval()
        table = dict(self.model.named_parameters(remove_duplicate=False))
        self.parameters = [table[name].requires_grad_(True) for name in names]
        self.loss = loss

    def gradient(self, *, create_graph: bool = False) -> Tensor:
        """Return the gradient as one vector."""
        with sdpa_kernel(SDPBackend.MATH):
            torch.backends.mha.set_fastpath_enabled(False)
            try:
                value = self.loss(self.model)
            finally:
                torch.backends.mha.set_fastpath_enabled(True)
            pieces = torch.autograd.grad(
                value, self.parameters, create_graph=create_graph, materialize_grads=True
            )
        return torch.cat([piece.reshape(-1) for piece in pieces])

    def hessian(self) -> Tensor:
        """Return the dense Hessian, row by row: the gradient of each entry of the gradient."""
        gradient = self.gradient(create_graph=True)
        rows: list[Tensor] = []
        for entry in gradient:
            if not entry.requires_grad:
                rows.append(torch.zeros_like(gradient))
                continue
            pieces: Any = torch.autograd.grad(
                entry, self.parameters, retain_graph=True, allow_unused=True
            )
            rows.append(
                torch.cat(
                    [
                        (torch.zeros_like(p) if g is None else g).reshape(-1)
                        for g, p in zip(pieces, self.parameters, strict=True)
                    ]
                )
            )
        return torch.stack(rows)

    def difference(self, vector: Tensor, step: float) -> Tensor:
        """Return ``Hv`` by central differences of the gradient."""
        ahead = self._gradient_at(vector, step)
        behind = self._gradient_at(vector, -step)
        return (ahead - behind) / (2 * step)

    def _gradient_at(self, vector: Tensor, step: float) -> Tensor:
        saved = [p.detach().clone() for p in self.parameters]
        pieces = torch.split(vector, [p.numel() for p in self.parameters])
        with torch.no_grad():
            for p, piece in zip(self.parameters, pieces, strict=True):
                p.add_(step * piece.view(p.shape))
        try:
            return self.gradient()
        finally:
            with torch.no_grad():
                for p, value in zip(self.parameters, saved, strict=True):
                    p.copy_(value)


def spectral_norm(matrix: Tensor) -> float:
    """Return the largest singular value."""
    return torch.linalg.matrix_norm(matrix, 2).item()
