"""The public functions: each builds a frozen estimator and calls it."""

from dataclasses import fields
from importlib import import_module
from typing import Any, TypeVar

from sharpscope.checks import at_least, nearest, one_of
from sharpscope.errors import MisuseError
from sharpscope.estimators import Hutchinson, HutchPlusPlus, TopEigenvalues, XTrace
from sharpscope.estimators.cost import Watcher
from sharpscope.estimators.lanczos import check_k
from sharpscope.operators import OPERATORS
from sharpscope.results import EigenResult, TraceResult
from sharpscope.subject import Subject

TRACE_METHODS = {"hutch++": HutchPlusPlus, "hutchinson": Hutchinson, "xtrace": XTrace}
ENGINES = ("native", "pyhessian")
Settings = TypeVar("Settings")


def trace(
    subject: Subject,
    modality: str,
    *,
    method: str | None = None,
    engine: str = "native",
    operator: str = "hessian",
    loss: str = "fusion",
    watcher: Watcher | None = None,
    **settings: Any,
) -> TraceResult:
    """Return the Hessian trace of one modality's encoder, with its error bars.

    Args:
        subject: What is under the scope.
        modality: A modality, ``shared``, ``all`` or a glob of parameter names.
        method: ``hutch++`` (the default), ``xtrace`` or ``hutchinson``, the only one of pyhessian.
        engine: ``native``, or ``pyhessian`` for the library that older papers used.
        operator: ``hessian``; ``ggn``, the Gauss-Newton matrix; or ``fd``, the Hessian by finite
            differences of the gradient, for operations without a second derivative.
        loss: ``fusion``, ``total`` or a modality.
        watcher: Called with a ``Progress`` after each pass over the data.
        settings: Settings of the estimator: ``rtol``, ``probes``, ``budget``, ``max_seconds``,
            ``distribution``, ``seed`` and, for native hutch++, ``rank``.

    Raises:
        MisuseError: If a name or a setting is not allowed.
        SubjectError: If the subject cannot be measured.

    Example:
        >>> import torch, sharpscope as ss
        >>> model = torch.nn.Linear(2, 1, bias=False)
        >>> data = [(torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.zeros(2, 1))]
        >>> loss = torch.nn.functional.mse_loss
        >>> subject = ss.Subject(model, data, loss=loss, encoders={"x": "weight"})
        >>> ss.trace(subject, "x").value
        5.0
    """
    if one_of("engine", engine, ENGINES) == "pyhessian":
        who = "with engine 'pyhessian'"
        one_of("method", method or "hutchinson", ["hutchinson"], who)
        kind = import_module("sharpscope.engines").PyHessianTrace
    else:
        method = one_of("method", method or "hutch++", TRACE_METHODS)
        kind, who = TRACE_METHODS[method], f"with method {method!r}"
    made = _made(kind, settings, who)
    return _measured(made, subject, modality, engine, operator, loss, watcher)


def eigenvalues(
    subject: Subject,
    modality: str,
    *,
    k: int = 1,
    engine: str = "native",
    operator: str = "hessian",
    loss: str = "fusion",
    watcher: Watcher | None = None,
    **settings: Any,
) -> EigenResult:
    """Return the extreme eigenvalues of one modality's encoder, with their residuals.

    Args:
        subject: What is under the scope.
        modality: A modality, ``shared``, ``all`` or a glob of parameter names.
        k: Eigenvalues wanted at each end.
        engine: ``native``, or ``pyhessian`` for the library that older papers used, which finds
            the one eigenvalue of largest magnitude.
        operator: ``hessian``; ``ggn``, the Gauss-Newton matrix; or ``fd``, the Hessian by finite
            differences of the gradient, for operations without a second derivative.
        loss: ``fusion``, ``total`` or a modality.
        watcher: Called with a ``Progress`` after each product.
        settings: Settings of ``TopEigenvalues``: ``rtol``, ``budget``, ``max_seconds``,
            ``seed`` and, native only, ``keep_vectors``.

    Raises:
        MisuseError: If a name or a setting is not allowed.
        SubjectError: If the subject cannot be measured.

    Example:
        >>> import torch, sharpscope as ss
        >>> model = torch.nn.Linear(2, 1, bias=False)
        >>> data = [(torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.zeros(2, 1))]
        >>> loss = torch.nn.functional.mse_loss
        >>> subject = ss.Subject(model, data, loss=loss, encoders={"x": "weight"})
        >>> round(ss.eigenvalues(subject, "x").largest, 4)
        4.0
    """
    if one_of("engine", engine, ENGINES) == "pyhessian":
        if k != 1:
            raise MisuseError(f"k must be 1 (with engine 'pyhessian'); got {k!r}")
        kind = import_module("sharpscope.engines").PyHessianEigenvalue
    else:
        # Before the budget is looked at, which no number of products would satisfy.
        check_k(at_least("k", k, 1), subject.select(modality).dim, modality)
        kind, settings = TopEigenvalues, settings | {"k": k}
    made = _made(kind, settings, f"with engine {engine!r}")
    return _measured(made, subject, modality, engine, operator, loss, watcher)


def _measured(
    estimator: Any,
    subject: Subject,
    modality: str,
    engine: str,
    operator: str,
    loss: str,
    watcher: Watcher | None,
) -> Any:
    """Return what an estimator finds on the operator of that name."""
    if engine != "native":
        one_of("operator", operator, ["hessian"], f"with engine {engine!r}")
        return estimator(subject, modality, loss=loss, watcher=watcher)
    chosen = OPERATORS[one_of("operator", operator, OPERATORS)]
    return estimator(chosen(subject, modality, loss=loss), watcher=watcher)


def _made(kind: type[Settings], settings: dict[str, Any], who: str) -> Settings:
    """Return the estimator with these settings, each of which it must have."""
    known = [entry.name for entry in fields(kind)]  # pyright: ignore[reportArgumentType]
    for name in settings:
        if name not in known:
            raise MisuseError(
                f"{name} is no setting ({who}){nearest(name, known)}; there are {', '.join(known)}"
            )
    return kind(**settings)
