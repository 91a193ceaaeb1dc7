"""``sharpscope density``: how the Hessian eigenvalues of encoders are spread."""

from pathlib import Path
from typing import Any

import click

from sharpscope_cli.options import OPERATOR, PATH, Request, measuring
from sharpscope_cli.params import POSITIVE, RESUME, count


@click.command(
    "density",
    epilog="\b\nExamples:\n  sharpscope density runs/ehr-cxr.pt --modality ehr\n"
    "  sharpscope density late.pt masam.pt --figure density.pdf --out densities/",
)
@click.option(
    "--steps", type=count(2), default=64, metavar="N", help="Lanczos steps, a product each."
)
@click.option(
    "--runs",
    type=count(2, "two make a standard error"),
    default=8,
    metavar="N",
    help="Random starts, whose spread is the error.",
)
@click.option(
    "--sigma",
    type=POSITIVE,
    metavar="X",
    help="Width of the Gaussian that smooths, in the unit of the eigenvalues.  "
    "[default: 0.64 / steps of their range]",
)
@click.option(
    "--figure",
    type=PATH,
    metavar="FILE",
    help="Draw the densities into a .pdf, .svg, .png or .html, a panel for each encoder.",
)
@OPERATOR
@measuring(RESUME, budget_help="Products that may be spent; runs become shorter to keep to it.")
def command(
    request: Request,
    steps: int,
    runs: int,
    sigma: float | None,
    figure: Path | None,
    operator: str,
) -> None:
    """Spectral density of each encoder's Hessian, with an error band.

    Prints the ends of the spectrum, the shares of its eigenvalues below 0 and near 0, and the
    trace, each with its standard error over runs; the density itself goes to --out and --figure.
    """
    from sharpscope.estimators import SpectralDensity
    from sharpscope.measure import density
    from sharpscope.results import DensityResult
    from sharpscope_cli.already import complete
    from sharpscope_cli.drawing import check_figure, draw
    from sharpscope_cli.measuring import measure_all, only_given, report
    from sharpscope_cli.render_density import show_densities

    check_figure(figure)

    settings = only_given(
        operator=operator,
        steps=steps,
        runs=runs,
        sigma=sigma,
        budget=request.budget,
        seed=request.seed,
        max_seconds=request.max_seconds,
    )

    def measure(subject: Any, modality: str, watcher: Any) -> DensityResult:
        return density(subject, modality, loss=request.loss, watcher=watcher, **settings)

    def told() -> dict[str, Any]:
        return complete(SpectralDensity, settings, operator=operator)

    results = measure_all(request, measure, stem="density", bound=True, settings=told)
    drawn = draw(results, figure)
    report(request, results, lambda found: show_densities(found, quiet=request.quiet), drawn=drawn)
