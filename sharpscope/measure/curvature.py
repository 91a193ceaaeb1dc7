"""Traces and eigenvalues."""

from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from typing import Any

from sharpscope.checks import at_least, one_of
from sharpscope.errors import MisuseError, SubjectError
from sharpscope.estimators import (
    Hutchinson,
    HutchPlusPlus,
    SpectralDensity,
    Sweep,
    TopEigenvalues,
    XTrace,
)
from sharpscope.estimators.cost import Watcher
from sharpscope.estimators.lanczos import check_k
from sharpscope.estimators.ways import costs
from sharpscope.measure.making import made
from sharpscope.operators import OPERATORS
from sharpscope.results import DensityResult, EigenResult, TraceResult
from sharpscope.subject import Subject

TRACE_METHODS = {"hutch++": HutchPlusPlus, "hutchinson": Hutchinson, "xtrace": XTrace}
ENGINES = ("native", "pyhessian")
WAYS = ("auto", "each", "sweep")


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
    estimator = made(kind, settings, who)
    return _measured(estimator, subject, modality, engine, operator, loss, watcher)


def traces(
    subject: Subject,
    modalities: Sequence[str] | None = None,
    *,
    way: str = "auto",
    operator: str = "hessian",
    loss: str = "fusion",
    watcher: Watcher | None = None,
    **settings: Any,
) -> dict[str, TraceResult]:
    """Return the Hessian traces of several encoders, in the cheaper of two ways.

    One by one, each encoder has its own products, in which all the others stand still. In one
    sweep, products with all of them together serve each of them, and the parts add up to the
    trace of the whole. A trial on the first batch counts the operations of a product and the
    probes that either way asks for; the result says in ``settings["way"]`` which one was taken,
    and after a sweep its notes say what that saved.

    Args:
        subject: What is under the scope.
        modalities: Modalities, or ``shared``; by default every modality.
        way: ``auto``, ``each`` or ``sweep``.
        operator: ``hessian``, ``ggn`` or ``fd``.
        loss: ``fusion``, ``total`` or a modality.
        watcher: Called with a ``Progress`` after each pass over the data.
        settings: Settings of ``HutchPlusPlus``: ``rtol``, ``probes``, ``budget``, ``max_seconds``,
            ``distribution`` and ``seed``.

    Raises:
        MisuseError: If a name or a setting is not allowed.
        SubjectError: If the subject cannot be measured.

    Example:
        >>> import torch, sharpscope as ss
        >>> model = torch.nn.ModuleDict({m: torch.nn.Linear(2, 1) for m in ("ehr", "cxr")})
        >>> data = [torch.tensor([[1.0, 0.0], [0.0, 2.0]])]
        >>> def loss(model, x):
        ...     return (model["ehr"](x) + model["cxr"](x)).square().mean()
        >>> subject = ss.Subject(model, data, loss=loss, encoders={"ehr": "ehr", "cxr": "cxr"})
        >>> {name: round(found.value, 4) for name, found in ss.traces(subject).items()}
        {'ehr': 7.0, 'cxr': 7.0}
    """
    names = list(dict.fromkeys(modalities or subject.owners.modalities))
    asked: dict[str, Any] = {"operator": operator, "loss": loss, "watcher": watcher}
    found = swept(subject, names, way=way, **asked, **settings)
    if found is not None:
        return found
    return {name: trace(subject, name, **asked, **settings) for name in names}


def swept(
    subject: Subject,
    names: Sequence[str],
    *,
    way: str = "auto",
    operator: str = "hessian",
    loss: str = "fusion",
    watcher: Watcher | None = None,
    **settings: Any,
) -> dict[str, TraceResult] | None:
    """Return what one sweep finds, or None where one by one is cheaper or was asked for.

    Arguments and errors are those of ``traces``.
    """
    sweep = made(Sweep, settings, "of several encoders")
    chosen = OPERATORS[one_of("operator", operator, OPERATORS)]
    for name in names:
        one_of("modality", name, subject.parts, "of several encoders")
    joined = [name for name in names if "+" in name]
    if one_of("way", way, WAYS) == "sweep" and joined:
        raise MisuseError(f"one sweep needs names of modalities without '+'; got {joined[0]!r}")
    gain: float | None = None
    if way == "auto":
        several = len(names) > 1 and not joined
        gain = _gain(subject.excerpt(), names, sweep, chosen, loss) if several else 0.0
    if way == "each" or (gain is not None and gain <= 1):
        return None
    whole = "+".join(names)
    blocks = {name: subject.rows(name, whole) for name in names}
    found = sweep(chosen(subject, whole, loss=loss), blocks, watcher=watcher)
    return {name: _told(part, found, gain) for name, part in found.items()}


def _gain(
    subject: Subject, names: Sequence[str], settings: Sweep, operator: Any, loss: str
) -> float:
    """Return how many times cheaper one sweep is expected to be."""
    whole = "+".join(names)
    blocks = {
        name: (operator(subject, name, loss=loss), subject.rows(name, whole)) for name in names
    }
    try:
        return costs(settings, operator(subject, whole, loss=loss), blocks).ratio
    except SubjectError:  # of one batch, whose items may all be masked: the others may be sound
        return 0.0


def _told(part: TraceResult, found: dict[str, TraceResult], gain: float | None) -> TraceResult:
    """Return a result of a sweep with a note that says so."""
    names = ", ".join(found)
    note = f"One sweep gave {names}; the products counted are those of all of them."
    if gain is not None:
        note += f" One by one would take about {gain:.2g} times the operations."
    return replace(part, notes=(*part.notes, note))


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
    estimator = made(kind, settings, f"with engine {engine!r}")
    return _measured(estimator, subject, modality, engine, operator, loss, watcher)


def density(
    subject: Subject,
    modality: str,
    *,
    operator: str = "hessian",
    loss: str = "fusion",
    watcher: Watcher | None = None,
    **settings: Any,
) -> DensityResult:
    """Return how the eigenvalues of one modality's encoder are spread, with an error band.

    Args:
        subject: What is under the scope.
        modality: A modality, ``shared``, ``all`` or a glob of parameter names.
        operator: ``hessian``, ``ggn`` or ``fd``.
        loss: ``fusion``, ``total`` or a modality.
        watcher: Called with a ``Progress`` after each pass over the data.
        settings: Settings of ``SpectralDensity``: ``steps``, ``runs``, ``sigma``, ``points``,
            ``budget``, ``max_seconds`` and ``seed``.

    Raises:
        MisuseError: If a name or a setting is not allowed.
        SubjectError: If the subject cannot be measured.

    Example:
        >>> import torch, sharpscope as ss
        >>> model = torch.nn.Linear(2, 1, bias=False)
        >>> data = [(torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.zeros(2, 1))]
        >>> loss = torch.nn.functional.mse_loss
        >>> subject = ss.Subject(model, data, loss=loss, encoders={"x": "weight"})
        >>> found = ss.density(subject, "x")
        >>> round(found.smallest, 4), round(found.largest, 4), found.negative
        (1.0, 4.0, 0.0)
    """
    estimator = made(SpectralDensity, settings, "of the density")
    return _measured(estimator, subject, modality, "native", operator, loss, watcher)


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
