"""Sharpness from losses, the generalization gap, and the coupling of encoders."""

from collections.abc import Callable, Sequence
from typing import Any

from sharpscope.checks import one_of
from sharpscope.errors import MisuseError
from sharpscope.estimators import Coupling
from sharpscope.estimators.cost import Watcher
from sharpscope.measure.making import made
from sharpscope.operators import OPERATORS
from sharpscope.results import CouplingResult, GapResult, SharpnessResult
from sharpscope.sharpness import BallSharpness, GeneralizationGap, KeskarSharpness
from sharpscope.subject import Subject

SHARPNESS = {"keskar": KeskarSharpness, "ball": BallSharpness}


def sharpness(
    subject: Subject,
    modality: str,
    *,
    kind: str = "keskar",
    loss: str = "fusion",
    watcher: Callable[[str], None] | None = None,
    **settings: Any,
) -> SharpnessResult:
    """Return how far the loss rises around the parameters of one modality's encoder.

    Args:
        subject: What is under the scope.
        modality: A modality, ``shared``, ``all`` or a glob of parameter names.
        kind: ``keskar``, the metric Q in a box; or ``ball``, within a radius.
        loss: ``fusion``, ``total`` or a modality.
        watcher: Called with what is being done.
        settings: Settings of ``KeskarSharpness`` (``epsilon``, ``dimension``, ``repeats``, ...) or
            of ``BallSharpness`` (``rho``, ``case``, ``norm``, ``adaptive``, ...).

    Raises:
        MisuseError: If a name or a setting is not allowed.
        SubjectError: If the subject cannot be measured.

    Example:
        >>> import torch, sharpscope as ss
        >>> model = torch.nn.Linear(2, 1, bias=False).double()
        >>> _ = torch.nn.init.ones_(model.weight)
        >>> data = [(torch.eye(2).double(), torch.zeros(2, 1).double())]
        >>> loss = torch.nn.functional.mse_loss
        >>> subject = ss.Subject(model, data, loss=loss, encoders={"x": "weight"})
        >>> round(ss.sharpness(subject, "x", epsilon=1e-3).value, 4)  # 1.002² - 1 over 2
        0.2002
    """
    estimator = made(SHARPNESS[one_of("kind", kind, SHARPNESS)], settings, f"of kind {kind!r}")
    return estimator(subject, modality, loss=loss, watcher=watcher)


def generalization_gap(
    train: Subject,
    test: Subject,
    *,
    watcher: Callable[[str], None] | None = None,
    **settings: Any,
) -> GapResult:
    """Return the normalized generalization gap ``100 (train - test) / train`` of a metric.

    Args:
        train: The model on the training split.
        test: The same model on the test split.
        watcher: Called with what is being done.
        settings: Settings of ``GeneralizationGap``: ``metric``, ``bootstrap`` and ``seed``.

    Raises:
        MisuseError: If a setting is not allowed.
        SubjectError: If a subject cannot be measured, or does not show its predictions.

    Example:
        >>> ss.generalization_gap(train, test)  # doctest: +SKIP
        GapResult(5.3 ± 1.2 %, accuracy 1.0000 ± 0 and 0.9470 ± 0.0091, 0.4 s)
    """
    return made(GeneralizationGap, settings, "of the gap")(train, test, watcher=watcher)


def coupling(
    subject: Subject,
    modalities: Sequence[str] | None = None,
    *,
    operator: str = "hessian",
    loss: str = "fusion",
    watcher: Watcher | None = None,
    **settings: Any,
) -> CouplingResult:
    """Return how strongly the curvature of encoders is coupled, pair by pair.

    Args:
        subject: What is under the scope.
        modalities: At least two modalities, or ``shared``; by default every modality.
        operator: ``hessian``, ``ggn`` or ``fd``.
        loss: ``fusion``, ``total`` or a modality.
        watcher: Called with a ``Progress`` after each pass over the data.
        settings: Settings of ``Coupling``: ``rtol``, ``budget``, ``max_seconds`` and ``seed``.

    Raises:
        MisuseError: If a name or a setting is not allowed.
        SubjectError: If the subject cannot be measured.

    Example:
        >>> import torch, sharpscope as ss
        >>> model = torch.nn.ModuleDict({m: torch.nn.Linear(1, 1) for m in ("ehr", "cxr")})
        >>> def loss(model, x):
        ...     return (model["ehr"](x) + model["cxr"](x)).square().mean()
        >>> data, encoders = [torch.ones(1, 1)], {"ehr": "ehr", "cxr": "cxr"}
        >>> found = ss.coupling(ss.Subject(model, data, loss=loss, encoders=encoders))
        >>> round(found.shares["ehr+cxr"], 4)  # every block of H is the same
        0.5
    """
    if isinstance(modalities, str):
        raise MisuseError(f"modalities must be a list of names; got the text {modalities!r}")
    names = list(dict.fromkeys(modalities or subject.owners.modalities))
    for name in names:
        one_of("modality", name, subject.parts, "of a coupling")
        subject.select(name)  # one without parameters is refused
    estimator = made(Coupling, settings, "of the coupling")
    if len(names) < 2:
        raise MisuseError(f"coupling is between encoders: name at least two; got {names[0]}")
    whole = "+".join(names)
    chosen = OPERATORS[one_of("operator", operator, OPERATORS)](subject, whole, loss=loss)
    blocks = {name: subject.rows(name, whole) for name in names}
    return estimator(chosen, blocks, watcher=watcher)
