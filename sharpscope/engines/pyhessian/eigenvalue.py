"""PyHessian's power iteration, judged by its residual."""

import math
from dataclasses import asdict, dataclass

from torch import Tensor

from sharpscope.checks import at_least, positive
from sharpscope.engines.pyhessian.library import NEVER, library, quiet, seed_torch
from sharpscope.engines.pyhessian.operator import PyHessianOperator
from sharpscope.estimators.common import record
from sharpscope.estimators.cost import Meter, Watcher
from sharpscope.results import EigenResult, Outcome
from sharpscope.subject import Subject

METHOD = "pyhessian power iteration"


@dataclass(frozen=True, kw_only=True)
class PyHessianEigenvalue:
    """Find the eigenvalue of largest magnitude by PyHessian's own power iteration.

    ``v ← Hv / ‖Hv‖`` from a random start, with the Rayleigh quotient ``vᵀHv`` as the value (Yao et
    al., 2020, arXiv 1912.07145). Its stopping rule is switched off and ours stands in its place:
    the residual ``‖Hv − λv‖ / (|λ| ‖v‖)`` of its own product. It tells neither end of the
    spectrum: which end the value belongs to is up to the Hessian. ``TopEigenvalues`` finds both.

    Args:
        rtol: Residual to reach, relative to ``|λ|``.
        budget: Products that may be spent.
        max_seconds: Seconds that may be spent.
        seed: Names the random start.

    Raises:
        MisuseError: If PyHessian is not installed, or a setting is out of its range.

    Example:
        >>> import torch, sharpscope as ss
        >>> from sharpscope.engines import PyHessianEigenvalue
        >>> model = torch.nn.Linear(2, 1, bias=False)
        >>> data = [(torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.zeros(2, 1))]
        >>> loss = torch.nn.functional.mse_loss
        >>> subject = ss.Subject(model, data, loss=loss, encoders={"x": "weight"})
        >>> round(PyHessianEigenvalue()(subject, "x").largest_magnitude, 4)
        4.0
    """

    rtol: float = 1e-3
    budget: int = 2000
    max_seconds: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        positive("rtol", self.rtol)
        at_least("budget", self.budget, 2, "products; the first is that of the random start")
        if self.max_seconds is not None:
            positive("max_seconds", self.max_seconds)
        at_least("seed", self.seed, 0)
        library()

    def __call__(
        self,
        subject: Subject,
        modality: str,
        *,
        loss: str | None = None,
        watcher: Watcher | None = None,
    ) -> EigenResult:
        """Return the eigenvalue of largest magnitude of a subject's Hessian on ``modality``."""
        operator = PyHessianOperator(subject, modality, loss=loss or "fusion")
        meter = Meter(self.budget, self.max_seconds, watcher)
        with operator.session():
            seeded = seed_torch(self.seed, "eigenvalue", operator.device)
            ascent = _Ascent(operator, meter, self.rtol)
            outcome = ascent.run()
            report = operator.report()
            found = outcome is not Outcome.NOT_FINITE
            return EigenResult(
                eigenvalues=(ascent.value,) if found else (),
                residuals=(ascent.residual,) if found else (),
                largest=None,
                smallest=None,
                largest_magnitude=ascent.value if found else None,
                data_errors=None,
                outcome=outcome,
                method=METHOD,
                notes=(*report.notes, *_notes(seeded)),
                **record(operator, report, meter, asdict(self)),
            )


class _Enough(Exception):
    """Leaves PyHessian's loop, which has no other door."""


class _Ascent:
    """PyHessian's power iteration, watched product by product."""

    def __init__(self, operator: PyHessianOperator, meter: Meter, rtol: float):
        self.value = math.nan
        self.residual = math.nan
        self._operator = operator
        self._meter = meter
        self._rtol = rtol
        self._outcome = Outcome.BUDGET_SPENT

    def run(self) -> Outcome:
        """Iterate until the residual is small enough, or something is spent or not finite."""
        hessian = self._operator.hessian()
        product = hessian.dataloader_hv_product

        def watched(vector: list[Tensor]) -> tuple[float, list[Tensor]]:
            value, image = self._meter.counted(1, lambda: product(vector))
            self._look(vector, value, image)
            return value, image

        hessian.dataloader_hv_product = watched
        try:
            with quiet():
                hessian.eigenvalues(maxIter=self._meter.budget, tol=NEVER, top_n=1)
        except _Enough:
            pass
        return self._outcome

    def _look(self, vector: list[Tensor], value: float, image: list[Tensor]) -> None:
        start = self._operator.selection.flatten(vector).double()
        product = self._operator.selection.flatten(image).double()
        length = start.norm().item()
        error = (product - value * start).norm().item() / length if length else math.nan
        self.value = value
        self.residual = error / abs(value) if value else error
        self._meter.tell(self._meter.budget, value=value)
        if not math.isfinite(self.residual):
            self._outcome = Outcome.NOT_FINITE
        elif self.residual <= self._rtol:
            self._outcome = Outcome.CONVERGED
        elif self._meter.left >= 1 and not self._meter.late:
            return
        raise _Enough


def _notes(seeded: int) -> list[str]:
    return [
        "PyHessian's power iteration finds the eigenvalue of largest magnitude, of either sign: it "
        "tells neither the largest nor the smallest.",
        "PyHessian's stopping rule is switched off (tol = -inf): it looks at how far the value "
        "moved, and ends too early for eigenvalues below 1e-7.",
        "PyHessian adds an absolute 1e-6 to the norms it divides by, so that eigenvalues below "
        "1e-9 come out too small.",
        "PyHessian gives no products batch by batch, so there is no error over batches "
        "(data_errors).",
        "PyHessian draws from torch's global random state; its own eigenvalues after "
        f"torch.manual_seed({seeded}) starts from the same vector.",
    ]
