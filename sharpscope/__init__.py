"""sharpscope: how flat is the minimum that each modality's encoder sits in, and what made it so?

The names below load on first use, so that ``import sharpscope`` imports no torch.
"""

import sys
from importlib import import_module
from importlib.metadata import version
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sharpscope import estimators as estimators
    from sharpscope import operators as operators
    from sharpscope import optim as optim
    from sharpscope.comparing import compare as compare
    from sharpscope.measure import contribution as contribution
    from sharpscope.measure import coupling as coupling
    from sharpscope.measure import density as density
    from sharpscope.measure import eigenvalues as eigenvalues
    from sharpscope.measure import generalization_gap as generalization_gap
    from sharpscope.measure import landscape as landscape
    from sharpscope.measure import sharpness as sharpness
    from sharpscope.measure import trace as trace
    from sharpscope.measure import traces as traces
    from sharpscope.results import load as load
    from sharpscope.subject import Subject as Subject
    from sharpscope.subject import load_subject as load_subject
    from sharpscope.training import run_record as run_record

__version__ = version("sharpscope")

_HOMES = {
    "compare": "sharpscope.comparing",
    "Subject": "sharpscope.subject",
    "load_subject": "sharpscope.subject",
    "trace": "sharpscope.measure",
    "traces": "sharpscope.measure",
    "eigenvalues": "sharpscope.measure",
    "contribution": "sharpscope.measure",
    "coupling": "sharpscope.measure",
    "density": "sharpscope.measure",
    "generalization_gap": "sharpscope.measure",
    "landscape": "sharpscope.measure",
    "sharpness": "sharpscope.measure",
    "run_record": "sharpscope.training",
    "load": "sharpscope.results",
}
_FOLDERS = ("estimators", "operators", "optim")

__all__ = [
    "Subject",
    "compare",
    "contribution",
    "coupling",
    "density",
    "eigenvalues",
    "estimators",
    "generalization_gap",
    "landscape",
    "load",
    "load_subject",
    "operators",
    "optim",
    "run_record",
    "sharpness",
    "trace",
    "traces",
]


def __getattr__(name: str) -> Any:
    if name in _FOLDERS:
        return import_module(f"sharpscope.{name}")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'sharpscope' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])


class _Face(ModuleType):
    """The package: a name that is a function and a folder is the function to those who call it."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _HOMES and isinstance(value, ModuleType):
            return  # what importing the folder sets
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Face
