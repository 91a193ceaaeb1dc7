"""``sharpscope landscape``: the loss around encoders."""

from pathlib import Path
from typing import Any

import click

from sharpscope.errors import MisuseError
from sharpscope_cli.options import PATH, Request, measuring
from sharpscope_cli.params import Registered, Shape, Span


@click.command(
    "landscape",
    epilog="\b\nExamples:\n  sharpscope landscape runs/ehr-cxr.pt --modality ehr --shape 21x21 "
    "--out ehr.json --figure ehr.pdf\n"
    "  sharpscope landscape late.pt masam.pt --shape 51 --span auto --figure profiles.pdf",
)
@click.option(
    "--shape",
    type=Shape(),
    default="51x51",
    metavar="NxN",
    help="Points along x and y, each odd: 51 for a line, 21x21x21 for a volume.",
)
@click.option(
    "--axes",
    type=Registered("sharpscope.landscape:AXES"),
    default="random",
    metavar="NAME",
    help="random directions; eigen, the top Hessian eigenvectors; or encoders: x moves the first "
    "encoder and y the second (--modality ehr+cxr).",
)
@click.option(
    "--normalize",
    type=Registered("sharpscope.landscape:NORMALIZE"),
    default="filter",
    metavar="NAME",
    help="Of random directions: filter (as Li et al.), layer or none.",
)
@click.option("--orthogonal", is_flag=True, help="Make random directions exactly orthogonal.")
@click.option(
    "--span",
    type=Span(),
    default="1.0",
    metavar="X",
    help="How far each axis reaches both ways; auto finds where the loss has risen tenfold.",
)
@click.option(
    "--save-directions",
    "keep_directions",
    is_flag=True,
    help="Put the directions into the npz, flat in the order of the parameters.",
)
@click.option(
    "--figure",
    type=PATH,
    metavar="FILE",
    help="Draw contours or profiles into a .pdf, .svg or .png, one scale for all.",
)
@measuring(budget_help=None)
def command(
    request: Request,
    shape: tuple[int, ...],
    axes: str,
    normalize: str,
    orthogonal: bool,
    span: float | None,
    keep_directions: bool,
    figure: Path | None,
) -> None:
    """Loss on a line, a plane or in a volume around each encoder.

    Prints how far the axes reach, the least and the largest loss and the curvature along each
    axis at the center; the grid goes to --out. An interrupted landscape with --out goes on where
    it stopped when the command is repeated.
    """
    from sharpscope.measure import landscape
    from sharpscope.results import LandscapeResult
    from sharpscope_cli.drawing import check_figure, draw
    from sharpscope_cli.measuring import measure_all, only_given, out_of, report
    from sharpscope_cli.render_landscape import show_landscapes

    check_figure(figure)
    if figure is not None and len(shape) == 3:
        raise MisuseError("a volume has no figure on paper: take --out, whose npz holds the grid")

    def measure(subject: Any, modality: str, watch: Any) -> LandscapeResult:
        return landscape(
            subject,
            modality,
            shape=shape,
            axes=axes,
            normalize=normalize,
            orthogonal=orthogonal,
            span=span,
            keep_directions=keep_directions,
            loss=request.loss,
            out=out_of(request, "landscape", subject, modality),
            watcher=watch.tell,
            seed=request.seed,
            **only_given(max_seconds=request.max_seconds),
        )

    joint = "+".join if axes == "encoders" else None
    results = measure_all(request, measure, stem="landscape", joined=joint)
    drawn = draw(results, figure)
    report(request, results, lambda found: show_landscapes(found, quiet=request.quiet), drawn=drawn)
