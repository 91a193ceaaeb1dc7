"""``sharpscope eigen``: extreme Hessian eigenvalues of encoders, with residuals."""

from typing import Any

import click

from sharpscope_cli.options import OPERATOR, Request, measuring
from sharpscope_cli.params import RESUME, Registered, count


@click.command(
    "eigen",
    epilog="\b\nExamples:\n  sharpscope eigen runs/ehr-cxr.pt --modality cxr -k 3\n"
    "  sharpscope eigen runs/avdigits-joint.pt runs/avdigits-late.pt --json",
)
@click.option("-k", type=count(1), default=1, metavar="N", help="Eigenvalues wanted at each end.")
@click.option(
    "--engine",
    type=Registered("sharpscope.measure:ENGINES"),
    default="native",
    metavar="NAME",
    help="native, or pyhessian for the one of largest magnitude that older papers used.",
)
@OPERATOR
@measuring(RESUME, rtol=1e-3, rtol_help="Residual to reach, relative to the largest |λ|.")
def command(request: Request, k: int, engine: str, operator: str) -> None:
    """Extreme Hessian eigenvalues of each encoder, with residuals.

    Prints the largest (λ_max) and the smallest (λ_min) eigenvalue of the Hessian of the loss with
    respect to one encoder's parameters, and the one of largest magnitude.
    """
    from sharpscope.estimators.lanczos import TopEigenvalues, check_k
    from sharpscope.measure import eigenvalues
    from sharpscope.results import EigenResult
    from sharpscope_cli.already import complete
    from sharpscope_cli.measuring import measure_all, only_given, report
    from sharpscope_cli.render import show_eigenvalues

    settings = only_given(
        k=k,
        operator=operator,
        rtol=request.rtol,
        budget=request.budget,
        seed=request.seed,
        max_seconds=request.max_seconds,
    )

    def measure(subject: Any, modality: str, watcher: Any) -> EigenResult:
        return eigenvalues(
            subject, modality, engine=engine, loss=request.loss, watcher=watcher, **settings
        )

    def check(selection: Any) -> None:
        check_k(k, selection.dim, selection.name)

    def told() -> dict[str, Any]:
        return complete(TopEigenvalues, settings, operator=operator)

    results = measure_all(
        request,
        measure,
        stem="eigen",
        bound=True,
        check=check,
        settings=told if engine == "native" else None,
    )
    report(request, results, lambda found: show_eigenvalues(found, quiet=request.quiet))
