"""``sharpscope sharpness``: how far the loss rises around encoders."""

from typing import Any

import click

from sharpscope.errors import MisuseError
from sharpscope_cli.options import Request, measuring
from sharpscope_cli.params import POSITIVE, RESUME, Registered, count

# Which settings belong to which kind; one that was given to the other is refused.
SETTINGS = {
    "keskar": ("epsilon", "dimension", "repeats"),
    "ball": ("rho", "case", "norm", "adaptive", "draws", "restarts"),
}
# And which to a case of the ball.
CASES = {"worst": ("norm", "restarts", "iterations"), "average": ("draws",)}


@click.command(
    "sharpness",
    epilog="\b\nExamples:\n  sharpscope sharpness runs/ehr-cxr.pt --epsilon 5e-4\n"
    "  sharpscope sharpness late.pt masam.pt --kind ball --rho 0.05 --batch-size 128",
)
@click.option(
    "--kind",
    type=Registered("sharpscope.measure:SHARPNESS"),
    default="keskar",
    metavar="NAME",
    help="keskar, the metric Q in a box, in percent; or ball, the rise within a radius.",
)
@click.option(
    "--epsilon", type=POSITIVE, metavar="X", help="keskar: size of the box.  [default: 0.001]"
)
@click.option(
    "--dimension",
    type=count(1),
    metavar="N",
    help="keskar: in random subspaces of N dimensions.  [default: the whole space]",
)
@click.option(
    "--repeats",
    type=count(2),
    metavar="N",
    help="keskar: searches from random starts, each in its own subspace.  [default: 5]",
)
@click.option("--rho", type=POSITIVE, metavar="X", help="ball: radius.  [default: 0.05]")
@click.option(
    "--case",
    type=Registered("sharpscope.sharpness.ball:CASES"),
    metavar="NAME",
    help="ball: worst point of each batch, or average over draws.  [default: worst]",
)
@click.option(
    "--norm",
    type=Registered("sharpscope.sharpness.ball:NORMS"),
    metavar="NAME",
    help="ball, worst: l2 or linf.  [default: l2]",
)
@click.option(
    "--adaptive",
    is_flag=True,
    default=None,
    help="ball: in the scale of each parameter; those that are 0 do not move.",
)
@click.option("--draws", type=count(2), metavar="N", help="ball, average.  [default: 50]")
@click.option(
    "--restarts", type=count(1), metavar="N", help="ball, worst: of each batch.  [default: 2]"
)
@click.option(
    "--iterations",
    type=count(1),
    metavar="N",
    help="Of L-BFGS-B or of the ascent.  [default: 10 or 20, as published]",
)
@measuring(RESUME, budget_help=None)
def command(request: Request, kind: str, iterations: int | None, **given: Any) -> None:
    """How far the loss rises around each encoder: Keskar's Q, or a ball.

    Prints the sharpness and its standard error over subspaces, batches or draws; of a search in
    the whole space, the best value and how far several searches agree. The worst case of a ball is
    taken batch by batch, so that --batch-size is the m of m-sharpness.
    """
    from sharpscope.measure import sharpness
    from sharpscope.measure.sharpness import SHARPNESS
    from sharpscope.results import SharpnessResult
    from sharpscope_cli.already import complete
    from sharpscope_cli.measuring import measure_all, only_given, report
    from sharpscope_cli.render_losses import show_sharpness

    settings = only_given(iterations=iterations, max_seconds=request.max_seconds, **given)
    for other, names in SETTINGS.items():
        if other != kind and (wrong := [name for name in names if name in settings]):
            raise MisuseError(f"--{wrong[0]} is a setting of --kind {other}, not of {kind}")
    case = settings.get("case", "worst")
    for other, names in CASES.items() if kind == "ball" else ():
        if other != case and (wrong := [name for name in names if name in settings]):
            raise MisuseError(f"--{wrong[0]} is a setting of --case {other}, not of {case}")

    def measure(subject: Any, modality: str, watch: Any) -> SharpnessResult:
        return sharpness(
            subject,
            modality,
            kind=kind,
            loss=request.loss,
            watcher=watch.tell,
            seed=request.seed,
            **settings,
        )

    def told() -> dict[str, Any]:
        return complete(SHARPNESS[kind], {"seed": request.seed, **settings})

    results = measure_all(request, measure, stem="sharpness", settings=told)
    report(request, results, lambda found: show_sharpness(found, quiet=request.quiet))
