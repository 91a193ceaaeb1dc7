"""``sharpscope coupling``: blocks of the Hessian between encoders."""

from typing import Any

import click

from sharpscope_cli.options import LOSS, OPERATOR, RTOL_AND_BUDGET, Request, measuring_jointly


@click.command(
    "coupling",
    epilog="\b\nExamples:\n  sharpscope coupling runs/ehr-cxr.pt\n"
    "  sharpscope coupling late.pt masam.pt --rtol 0.05 --json",
)
@OPERATOR
@measuring_jointly(LOSS, *RTOL_AND_BUDGET)
def command(request: Request, operator: str) -> None:
    """How strongly the curvature of encoders is coupled.

    Prints, for each pair of encoders, the squared Frobenius norm of the Hessian's block between
    them and its share of that of both together, with their standard errors over random probes.
    """
    from sharpscope.measure import coupling
    from sharpscope.results import CouplingResult
    from sharpscope_cli.measuring import measure_all, only_given, report
    from sharpscope_cli.render_losses import show_couplings

    def measure(subject: Any, name: str, watch: Any) -> CouplingResult:
        return coupling(
            subject,
            operator=operator,
            loss=request.loss,
            watcher=watch,
            rtol=request.rtol,
            budget=request.budget,
            seed=request.seed,
            **only_given(max_seconds=request.max_seconds),
        )

    results = measure_all(request, measure, stem="coupling", bound=True)
    report(request, results, lambda found: show_couplings(found, quiet=request.quiet))
