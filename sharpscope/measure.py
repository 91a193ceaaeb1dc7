"""The public functions: each builds a frozen estimator and calls it."""

from typing import Any

from sharpscope.checks import one_of
from sharpscope.estimators import Hutchinson, HutchPlusPlus, TopEigenvalues
from sharpscope.estimators.cost import Watcher
from sharpscope.results import EigenResult, TraceResult
from sharpscope.subject import Subject

TRACE_METHODS = {"hutch++": HutchPlusPlus, "hutchinson": Hutchinson}


def trace(
    subject: Subject,
    modality: str,
    *,
    method: str = "hutch++",
    loss: str = "fusion",
    watcher: Watcher | None = None,
    **settings: Any,
) -> TraceResult:
    """Return the Hessian trace of one modality's encoder, with its error bars.

    Args:
        subject: What is under the scope.
        modality: A modality, ``shared``, ``all`` or a glob of parameter names.
        method: ``hutch++`` or ``hutchinson``.
        loss: ``fusion``, ``total`` or a modality.
        watcher: Called with a ``Progress`` after each pass over the data.
        settings: Settings of the estimator: ``rtol``, ``probes``, ``budget``, ``max_seconds``,
            ``distribution``, ``seed`` and, for hutch++, ``rank``.

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
    kind = TRACE_METHODS[one_of("method", method, TRACE_METHODS)]
    return kind(**settings)(subject, modality, loss=loss, watcher=watcher)


def eigenvalues(
    subject: Subject,
    modality: str,
    *,
    k: int = 1,
    loss: str = "fusion",
    watcher: Watcher | None = None,
    **settings: Any,
) -> EigenResult:
    """Return the extreme eigenvalues of one modality's encoder, with their residuals.

    Args:
        subject: What is under the scope.
        modality: A modality, ``shared``, ``all`` or a glob of parameter names.
        k: Eigenvalues wanted at each end.
        loss: ``fusion``, ``total`` or a modality.
        watcher: Called with a ``Progress`` after each product.
        settings: Settings of ``TopEigenvalues``: ``rtol``, ``budget``, ``max_seconds``,
            ``seed`` and ``keep_vectors``.

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
    return TopEigenvalues(k=k, **settings)(subject, modality, loss=loss, watcher=watcher)
