"""PyHessian's trace with our error bar."""

from dataclasses import dataclass, replace

from sharpscope.checks import one_of
from sharpscope.engines.pyhessian.library import library, seed_torch
from sharpscope.engines.pyhessian.operator import PyHessianOperator
from sharpscope.estimators.cost import Meter, Watcher
from sharpscope.estimators.probing import ProbeSettings, Probing
from sharpscope.estimators.traced import trace_result
from sharpscope.results import TraceResult
from sharpscope.subject import Subject

METHOD = "pyhessian hutchinson"


@dataclass(frozen=True, kw_only=True)
class PyHessianTrace(ProbeSettings):
    """Estimate ``tr(H)`` as the mean of ``vᵀHv`` over the probes of PyHessian's own ``trace``.

    Its stopping rule is switched off and ours stands in its place: probes until the standard error
    is at most ``rtol · |estimate|``. For numbers that must be those of PyHessian (Yao et al., 2020,
    arXiv 1912.07145); ``Hutchinson`` finds the same at a fraction of the price.

    Args:
        rtol: Stop when the standard error is at most ``rtol · |estimate|``.
        probes: Draw exactly so many instead; at least 2.
        budget: Products that may be spent; at least 2.
        max_seconds: Seconds that may be spent.
        distribution: ``rademacher``, the only one that PyHessian draws.
        seed: Names the random stream; more probes extend the draws.

    Raises:
        MisuseError: If PyHessian is not installed, or a setting is out of its range.

    Example:
        >>> import torch, sharpscope as ss
        >>> from sharpscope.engines import PyHessianTrace
        >>> model = torch.nn.Linear(2, 1, bias=False)
        >>> data = [(torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.zeros(2, 1))]
        >>> loss = torch.nn.functional.mse_loss
        >>> subject = ss.Subject(model, data, loss=loss, encoders={"x": "weight"})
        >>> PyHessianTrace()(subject, "x").value
        5.0
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of("distribution", self.distribution, ["rademacher"], "with engine 'pyhessian'")
        library()

    def __call__(
        self,
        subject: Subject,
        modality: str,
        *,
        loss: str | None = None,
        watcher: Watcher | None = None,
    ) -> TraceResult:
        """Return the trace of a subject's Hessian on ``modality``."""
        operator = PyHessianOperator(subject, modality, loss=loss or "fusion")
        meter = Meter(self.budget, self.max_seconds, watcher)
        with operator.session():
            seeded = seed_torch(self.seed, "trace", operator.device)
            probing = Probing(operator, self, meter, source=operator.probe)
            result = trace_result(probing, probing.run(), method=METHOD)
        return replace(result, notes=(*result.notes, *_notes(seeded)))


def _notes(seeded: int) -> list[str]:
    return [
        "PyHessian's stopping rule is switched off (tol = -inf): it ends at once while the running "
        "mean is negative, and looks at how far the mean moved instead of at its error.",
        "PyHessian gives no products batch by batch, so there is no error over batches "
        "(data_error).",
        "PyHessian draws from torch's global random state; its own trace after "
        f"torch.manual_seed({seeded}) draws the same probes.",
    ]
