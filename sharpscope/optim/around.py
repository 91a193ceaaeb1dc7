"""An optimizer that stands for another one: its groups, its state, its hooks, its copies."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

from torch.optim import Optimizer

from sharpscope.errors import MisuseError


class Around(Optimizer):
    """What stands for a base optimizer with schedulers, hooks and checkpoints.

    Args:
        base: The optimizer that it stands for.

    Attributes:
        steps: How many were taken.
    """

    # What the method carries before its first step.
    _start: Mapping[str, Any] = {}

    def __init__(self, base: Optimizer):
        self.base = base
        self.defaults = base.defaults
        self.steps = 0
        self._since = 0  # steps since a state was loaded
        for name, hooks in vars(base).items():
            if name.startswith("_optimizer_") and name.endswith("_hooks"):
                setattr(self, name, hooks)  # what is registered here fires where the base steps

    @abstractmethod
    def _bind(self) -> None:
        """Find the parameters: they are other ones after a copy."""

    @property
    def param_groups(self) -> list[dict[str, Any]]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Those of the base optimizer."""
        return self.base.param_groups

    @property
    def state(self) -> Any:  # pyright: ignore[reportIncompatibleVariableOverride]
        """That of the base optimizer."""
        return self.base.state

    def __getstate__(self) -> dict[str, Any]:
        # A learning-rate scheduler puts a step of its own there, which is that of this optimizer.
        return {k: v for k, v in vars(self).items() if k not in ("blocks", "_passes", "step")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._bind()

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop gradients that something else has left; a step leaves none."""
        self.base.zero_grad(set_to_none)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Give the base optimizer more parameters; those of no encoder are shared."""
        self.base.add_param_group(param_group)
        self._bind()

    def state_dict(self) -> dict[str, Any]:
        """Return the base optimizer's state, and what the method itself carries on."""
        own = {"method": type(self).__name__, "steps": self.steps, **self._memory()}
        return {**self.base.state_dict(), "sharpscope": own}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take a state back; one of a bare base optimizer leaves the method at its start."""
        rest = dict(state_dict)
        own = dict(rest.pop("sharpscope", {"method": None, "steps": 0, **self._start}))
        method = own.pop("method")
        if method not in (None, type(self).__name__):
            raise MisuseError(
                f"this state is that of {method} and not of {type(self).__name__}: take its entry "
                "'sharpscope' out to take over the base optimizer alone"
            )
        self.base.load_state_dict(rest)
        self._since = 0
        self.steps = own.pop("steps")
        self._recall(own)

    def _memory(self) -> dict[str, Any]:
        """Return what the method carries from step to step."""
        return {}

    def _recall(self, memory: dict[str, Any]) -> None:
        """Take it back."""
