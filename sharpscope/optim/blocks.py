"""Which parameters of the base optimizer belong to which encoder."""

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from sharpscope.checks import listed
from sharpscope.errors import MisuseError

SHARED = "shared"


class Blocks:
    """The parameters of an optimizer, one block for each encoder, the rest shared.

    Args:
        base: The optimizer that holds the parameters.
        encoders: For each modality a module, a parameter, or several of these.

    Attributes:
        names: The modalities, in the order given.
        parameters: Every trainable parameter of the optimizer once, in its order, as of the last
            ``refresh``.
        modules: The modules of each encoder; empty for one that was given by parameters.

    Raises:
        MisuseError: If a parameter is in two encoders or not in the optimizer, an encoder has
            none, or one is complex.
    """

    parameters: list[Any]

    def __init__(self, base: Optimizer, encoders: Mapping[str, Any]):
        self.names = tuple(encoders)
        self.modules: dict[str, tuple[nn.Module, ...]] = {}
        self._owner: dict[int, str] = {}
        self._order: dict[int, int] = {}
        held = {id(p): p for group in base.param_groups for p in group["params"]}
        for name, given in encoders.items():
            if name == SHARED:
                raise MisuseError(
                    "an encoder cannot be called 'shared', which is what belongs to none; rename it"
                )
            pieces = parts(name, given)
            modules = [part for part in pieces if isinstance(part, nn.Module)]
            self.modules[name] = tuple(modules) if len(modules) == len(pieces) else ()
            self._claim(name, _parameters(pieces), held)
        self._base = base
        if any(p.is_complex() for p in held.values()):
            raise MisuseError("complex parameters are not supported: hold their two real parts")
        self.refresh()

    def refresh(self) -> None:
        """Find the trainable parameters: some may have been frozen or set free since."""
        held = {id(p): p for group in self._base.param_groups for p in group["params"]}
        self.parameters = [p for p in held.values() if p.requires_grad]

    def of(self, name: str) -> list[Tensor]:
        """Return the parameters of an encoder, or the shared ones."""
        return [p for p in self.parameters if self.owner(p) == name]

    def places(self, names: Iterable[str]) -> list[int]:
        """Return where among ``parameters`` those of some blocks stand.

        Those of an encoder come in its own order, whatever that of the optimizer's groups.
        """
        chosen = set(names)
        found = [i for i, p in enumerate(self.parameters) if self.owner(p) in chosen]
        return sorted(found, key=lambda i: self._order.get(id(self.parameters[i]), i))

    def owner(self, parameter: Tensor) -> str:
        """Return the encoder of a parameter, or ``shared``."""
        return self._owner.get(id(parameter), SHARED)

    def _claim(self, name: str, parameters: list[Tensor], held: Mapping[int, Tensor]) -> None:
        if not any(p.requires_grad and id(p) in held for p in parameters):
            raise MisuseError(
                f"the encoder {name!r} has no trainable parameter in the base optimizer: pass its "
                "parameters to that one, or leave the encoder out"
            )
        for parameter in parameters:
            shape = tuple(parameter.shape)
            if parameter.requires_grad and id(parameter) not in held:
                raise MisuseError(
                    f"a parameter of the encoder {name!r}, of shape {shape}, is not in the base "
                    "optimizer: pass it to that one, or freeze it"
                )
            other = self._owner.setdefault(id(parameter), name)
            self._order.setdefault(id(parameter), len(self._order))
            if other != name:
                raise MisuseError(
                    f"a parameter of shape {shape} is in two encoders, {other!r} and {name!r}: "
                    "give it to one of them, or to neither and it is shared"
                )


def parts(name: str, given: Any) -> list[Any]:
    """Return the modules and parameters that an encoder was given by."""
    pieces: Any = [given] if isinstance(given, nn.Module | Tensor) else given
    pieces = list(pieces) if isinstance(pieces, Iterable) else []
    wrong = [piece for piece in pieces if not isinstance(piece, nn.Module | Tensor)]
    if wrong or not pieces:
        kind = type(wrong[0] if wrong else given).__name__
        raise MisuseError(
            f"the encoder {name!r} must be a module, a parameter, or a list of these; got {kind}"
        )
    return pieces


def _parameters(pieces: list[Any]) -> list[Tensor]:
    found = [
        p for part in pieces for p in (part.parameters() if isinstance(part, nn.Module) else [part])
    ]
    return list({id(p): p for p in found}.values())


def check_encoders(encoders: Any, needed: int) -> Mapping[str, Any]:
    """Return the encoders if they are a mapping of at least so many."""
    if not isinstance(encoders, Mapping) or len(encoders) < needed:
        got = listed(encoders) if isinstance(encoders, Mapping) else type(encoders).__name__
        raise MisuseError(
            "encoders must map each modality to its modules, such as {'ehr': model.ehr, "
            f"'cxr': [model.cxr, model.proj]}}; got {got}"
        )
    return encoders
