"""sharpscope: how flat is the minimum that each modality's encoder sits in, and what made it so?

The names below load on first use, so that ``import sharpscope`` imports no torch.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sharpscope import estimators as estimators
    from sharpscope import operators as operators
    from sharpscope import optim as optim
    from sharpscope.measure import eigenvalues as eigenvalues
    from sharpscope.measure import trace as trace
    from sharpscope.measure import traces as traces
    from sharpscope.results import load as load
    from sharpscope.subject import Subject as Subject
    from sharpscope.subject import load_subject as load_subject

__version__ = version("sharpscope")

_HOMES = {
    "Subject": "sharpscope.subject",
    "load_subject": "sharpscope.subject",
    "trace": "sharpscope.measure",
    "traces": "sharpscope.measure",
    "eigenvalues": "sharpscope.measure",
    "load": "sharpscope.results",
}
_FOLDERS = ("estimators", "operators", "optim")

__all__ = [
    "Subject",
    "eigenvalues",
    "estimators",
    "load",
    "load_subject",
    "operators",
    "optim",
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
