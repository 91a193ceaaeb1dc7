"""``sharpscope compare``: checkpoints or methods side by side, with paired errors."""

from pathlib import Path
from typing import Any

import click

from sharpscope.errors import MisuseError
from sharpscope_cli.options import PATH, Request, comparing
from sharpscope_cli.params import Assignment, Listed, Registered


@click.command(
    "compare",
    epilog="\b\nExamples:\n  sharpscope compare runs/late.pt runs/masam.pt --out table.tex\n"
    "  sharpscope compare --group late='runs/late-s*.pt' --group masam='runs/masam-s*.pt'\n"
    "  sharpscope compare traces/ --figure compare.pdf",
)
@click.argument("paths", nargs=-1, metavar="[CHECKPOINT|RESULT|FOLDER]...")
@click.option(
    "--group",
    "groups",
    type=Assignment(),
    multiple=True,
    help="A method and the runs of it, such as late='runs/late-s*.pt'; may be repeated. Means over "
    "runs are compared, paired by the seed of their training.  [default: no groups]",
)
@click.option(
    "--measure",
    "measures",
    type=Listed("sharpscope_cli.comparing:MEASURES"),
    metavar="NAMES",
    help="Any of trace, eigen, sharpness, gap, joined by commas.  [default: trace,eigen; of saved "
    "results all that is there]",
)
@click.option(
    "--reference", metavar="NAME", help="What others are compared with.  [default: the first]"
)
@click.option(
    "--match",
    type=Registered("sharpscope.comparing:MATCHES"),
    metavar="NAME",
    help="train-loss: at the lowest train loss that all runs pass, between the checkpoints that "
    "train --keep-every left beside each.  [default: each as it is]",
)
@click.option(
    "--out",
    "tables",
    type=PATH,
    multiple=True,
    metavar="FILE",
    help="Write the table: .csv, .tex (LaTeX, booktabs), .md or .json; may be repeated.  "
    "[default: none]",
)
@click.option(
    "--figure", type=PATH, metavar="FILE", help="Draw it: .pdf, .svg or .png; one row a quantity."
)
@click.option(
    "--planes",
    type=PATH,
    metavar="FILE",
    help="Draw the landscape of each checkpoint and encoder too, under the same directions, ranges "
    "and scale of colors: .pdf, .svg or .png.  [default: none]",
)
@click.option(
    "--colors",
    type=Registered("sharpscope.figures.scales:SHARING"),
    metavar="NAME",
    help="The scale of colors of --planes: shared by all panels, or encoder, one for each, where "
    "one encoder would flatten the others.  [default: shared]",
)
@comparing
def command(
    request: Request,
    paths: tuple[str, ...],
    groups: tuple[tuple[str, str], ...],
    measures: tuple[str, ...] | None,
    reference: str | None,
    match: str | None,
    tables: tuple[Path, ...],
    figure: Path | None,
    planes: Path | None,
    colors: str | None,
) -> None:
    """Checkpoints, or methods over seeds, side by side with paired errors.

    Measures every checkpoint on the same data under the same random draws, and prints numbers,
    train losses, and differences from the first one, with what probes and data leave open. Noise
    that two models share cancels. With --group, means over runs. Saved results (files or folders)
    need no model.
    """
    from sharpscope.comparing import check_table, compare, write_table
    from sharpscope.figures import draw
    from sharpscope.figures.comparison import draw_comparison
    from sharpscope.figures.saving import save_figure
    from sharpscope.results import check_writable
    from sharpscope_cli.comparing import planes_of, sources
    from sharpscope_cli.drawing import check_figure
    from sharpscope_cli.output import emit_json, emit_lines
    from sharpscope_cli.render_comparison import show_comparison

    if colors is not None and planes is None:
        raise MisuseError("--colors is of --planes, which was not asked for")
    names = [name for name, _ in groups] + [Path(path).stem for path in paths]
    for path in tables:
        check_writable(check_table(path, names))
    for drawing in (figure, planes):
        check_figure(drawing)
    results: Any = sources(request, paths, groups, measures, match=match is not None)
    found = compare(results, reference=reference, match=match)
    drawn = None if figure is None else save_figure(draw_comparison(found), figure)
    if planes is not None:
        shown = draw(planes_of(request, paths, groups), "contours", colors=colors)
        save_figure(shown, planes)
    for path in tables:
        write_table(found, path)
    if request.as_json:
        emit_json(found.to_dict())
        return
    show_comparison(found, quiet=request.quiet)
    if not request.quiet:
        if request.out is not None:
            emit_lines([f"Kept the single results in {request.out}"])
        emit_lines([f"Saved {path}" for path in tables])
        emit_lines([f"Drew {path}" for path in (drawn, planes) if path is not None])
