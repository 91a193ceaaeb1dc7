"""``sharpscope landscape``: the loss around encoders."""

from dataclasses import replace
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
    "  sharpscope landscape late.pt masam.pt --shape 51 --span auto --figure profiles.pdf\n"
    "  sharpscope landscape late.pt masam.pt --axes line --modality ehr\n"
    "  sharpscope landscape late*.pt masam*.pt --axes pca --modality ehr --figure paths.pdf",
)
@click.option(
    "--shape",
    type=Shape(),
    metavar="NxN",
    help="Points along x and y, each odd: 51 for a line, 21x21x21 for a volume.  [default: 51x51; "
    "51 on a line between two checkpoints]",
)
@click.option(
    "--axes",
    type=Registered("sharpscope.landscape:AXES"),
    default="random",
    metavar="NAME",
    help="random directions; eigen, the top Hessian eigenvectors; encoders: x moves the first "
    "encoder and y the second (--modality ehr+cxr); line, from the first CHECKPOINT to the second, "
    "or the plane through three; pca, the principal components of all, around the last.",
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
    metavar="X",
    help="How far each axis reaches both ways, or beyond the outermost checkpoints as a share of "
    "the way between them; auto finds where the loss has risen tenfold.  [default: 1; 0.5 of a "
    "line, 0.2 of pca]",
)
@click.option(
    "--statistics",
    type=Registered("sharpscope.landscape:STATISTICS"),
    metavar="NAME",
    help="Of BatchNorm: frozen, or recalibrated at every point.  [default: frozen around a model, "
    "recalibrated between checkpoints]",
)
@click.option(
    "--metric",
    type=Registered("sharpscope.contribution.scores:METRICS"),
    metavar="NAME",
    help="Measure accuracy, macro_auprc or macro_auroc in the same passes.  [default: none]",
)
@click.option(
    "--engine",
    type=Registered("sharpscope.landscape:ENGINES"),
    default="native",
    metavar="NAME",
    help="native, or loss-landscapes: the same points by that library, to match older figures.",
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
    help="Draw contours or profiles into a .pdf, .svg or .png, or surfaces and volumes that turn "
    "into a .html; one scale for all.",
)
@measuring(budget_help=None)
def command(
    request: Request,
    shape: tuple[int, ...] | None,
    axes: str,
    normalize: str,
    orthogonal: bool,
    span: float | str | None,
    statistics: str | None,
    metric: str | None,
    engine: str,
    keep_directions: bool,
    figure: Path | None,
) -> None:
    """Loss on lines, planes and volumes around each encoder, or between checkpoints.

    Prints how far the axes reach, the least and the largest loss and the curvature along each
    axis at the center; the grid goes to --out. An interrupted landscape with --out goes on where
    it stopped when the command is repeated.
    """
    from sharpscope.landscape import BETWEEN
    from sharpscope.measure import landscape
    from sharpscope.results import LandscapeResult
    from sharpscope_cli.drawing import check_figure, draw
    from sharpscope_cli.measuring import measure_all, only_given, out_of, report
    from sharpscope_cli.render_landscape import show_landscapes

    check_figure(figure)
    through: dict[str, list[Any]] = {}
    if axes in BETWEEN:
        request, through = between(request, axes)
    others = sum(map(len, through.values()))
    shape = shape or ((51,) if axes == "line" and others == 1 else (51, 51))
    if figure is not None and len(shape) == 3 and figure.suffix.lower() != ".html":
        raise MisuseError(
            "a volume has no figure on paper: name a .html file, in which it turns, or take --out, "
            "whose npz holds the grid"
        )

    def measure(subject: Any, modality: str, watch: Any) -> LandscapeResult:
        return landscape(
            subject,
            modality,
            shape=shape,
            axes=axes,
            normalize=normalize,
            orthogonal=orthogonal,
            span=span,
            statistics=statistics,
            metric=metric,
            engine=engine,
            keep_directions=keep_directions,
            loss=request.loss,
            through=through,
            out=out_of(request, stem, subject, modality),
            watcher=watch.tell,
            seed=request.seed,
            **only_given(max_seconds=request.max_seconds),
        )

    joint = "+".join if axes == "encoders" else None
    if axes == "encoders" and len(request.modalities) == 2:
        request = replace(request, modalities=("+".join(request.modalities),))
    elif axes == "encoders" and not request.modalities:
        request = replace(request, joint=True)  # all of them are one result
    # Other axes of an encoder are another landscape: none replaces the other in one folder.
    stem = "landscape" if axes == "random" else f"landscape-{axes}"
    results = measure_all(request, measure, stem=stem, joined=joint)
    drawn = draw(results, figure)
    report(request, results, lambda found: show_landscapes(found, quiet=request.quiet), drawn=drawn)


def between(request: Request, axes: str) -> tuple[Request, dict[str, list[Any]]]:
    """Return the request for the checkpoint in the middle, and all others by their run.

    Raises:
        MisuseError: If there are too few checkpoints.
    """
    from sharpscope.subject.rebuild import load_model
    from sharpscope_cli.measuring import tags
    from sharpscope_cli.runs import by_run

    paths = request.checkpoints
    if len(paths) < 2 or (axes == "line" and len(paths) > 3):
        wanted = {"line": "two or three checkpoints", "pca": "the checkpoints of a run"}[axes]
        raise MisuseError(f"--axes {axes} needs {wanted}; got {len(paths)}")
    names = dict(zip(paths, tags(paths), strict=True))

    def source(path: Path) -> tuple[str, Any]:
        return names[path], lambda: load_model(path, request.spec, trust=request.trust).model

    if axes == "line":
        return replace(request, checkpoints=paths[:1]), {"run": [source(p) for p in paths[1:]]}
    runs = by_run(paths)
    titles = tags(list(runs))
    through = {
        title: [source(path) for path in run]
        for title, run in zip(titles, runs.values(), strict=True)
    }
    last = next(reversed(runs.values()))[-1]  # a glob's last file need not be the latest
    return replace(request, checkpoints=(last,)), through
