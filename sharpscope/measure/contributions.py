"""Contributions of modalities."""

from collections.abc import Callable
from typing import Any

from sharpscope.contribution import Contribution
from sharpscope.measure.making import made
from sharpscope.results import ContributionResult
from sharpscope.subject import Subject


def contribution(
    subject: Subject,
    *,
    train: Subject | None = None,
    val: Subject | None = None,
    watcher: Callable[[str], None] | None = None,
    **settings: Any,
) -> ContributionResult:
    """Return what each modality contributes to the model's predictions, with error bars.

    Shapley shares of the performance, the metric without and with only each modality, the joint
    model's readout of each, a fresh probe on each encoder's features, and the alignment of each
    encoder's gradients.

    Args:
        subject: What is under the scope.
        train: The same model on the training split; probes need it.
        val: The same model on the validation split, likewise.
        watcher: Called with what is being done.
        settings: Settings of ``Contribution``: ``kind``, ``mask``, ``normalize``, ``bootstrap``
            and ``seed``.

    Raises:
        MisuseError: If a setting is not allowed, or a modality cannot be masked that way.
        SubjectError: If the subject cannot be measured.

    Example:
        >>> import torch, sharpscope as ss
        >>> class Sum(torch.nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.ehr, self.cxr = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
        ...         for part in (self.ehr, self.cxr):
        ...             torch.nn.init.eye_(part.weight)
        ...             torch.nn.init.zeros_(part.bias)
        ...     def forward(self, ehr, cxr):
        ...         return 2 * self.ehr(ehr) + self.cxr(cxr)
        >>> right, wrong = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
        >>> data = [(right, wrong, torch.tensor([0])), (right, right, torch.tensor([0]))]
        >>> loss = torch.nn.functional.cross_entropy
        >>> subject = ss.Subject(Sum(), data, loss=loss, encoders={"ehr": "ehr", "cxr": "cxr"})
        >>> ss.contribution(subject, kind="true_prob").shares["ehr"] > 0.9
        True
    """
    return made(Contribution, settings, "of the contribution")(
        subject, train=train, val=val, watcher=watcher
    )
