"""``sharpscope figure``: a figure of a paper from saved results, without a model."""

from pathlib import Path
from typing import Any

import click

from sharpscope.errors import MisuseError
from sharpscope_cli.options import DEBUG, PATH, QUIET
from sharpscope_cli.params import POSITIVE, Registered


@click.command(
    "figure",
    epilog="\b\nExamples:\n  sharpscope figure runs/late.pt runs/masam.pt --kind sensitivity "
    "--out rho.pdf\n"
    "  sharpscope figure planes/ --kind surfaces --width page --out surfaces.pdf --caption\n"
    "  sharpscope figure traces/ --caption\n"
    "  sharpscope figure runs/ --kind flatness --out flatness.pdf",
)
@click.argument("results", nargs=-1, required=True, type=PATH, metavar="RESULT...")
@click.option(
    "--kind",
    type=Registered("sharpscope.figures:KINDS"),
    metavar="NAME",
    help="Over training: dominance, alignment, course (the trace of kept checkpoints); of monitors "
    "watch (one run at a glance) and flatness (runs overlaid). Of methods: "
    "bars, unimodal (each modality alone), contribution, sensitivity (over a setting), noise (over "
    "wrong labels), forest (of a comparison). Of encoders: density, contours, surfaces, "
    "profiles.  [default: the only one that the results make]",
)
@click.option(
    "--quantity",
    metavar="NAME",
    help="Which number, where a kind has several: trace, per_parameter, lambda_max, metric, "
    "macro_auprc, readout, ...  [default: the kind's own; of profiles the loss, and a metric "
    "below it]",
)
@click.option(
    "--setting",
    metavar="NAME",
    help="The setting along x of sensitivity.  [default: the only one that differs]",
)
@click.option(
    "--ceiling",
    type=POSITIVE,
    metavar="X",
    help="Cut surfaces off above this value.  [default: nothing is cut]",
)
@click.option(
    "--colors",
    type=Registered("sharpscope.figures.scales:SHARING"),
    metavar="NAME",
    help="The scale of colors of contours, and of surfaces with the range of z: shared by all "
    "panels, or encoder, one for each, where one encoder would flatten the others.  "
    "[default: shared]",
)
@click.option(
    "--width",
    type=Registered("sharpscope.figures.style:WIDTHS"),
    default="text",
    metavar="NAME",
    help="In print: text (NeurIPS, ICLR), column or page (one column or both of a two-column "
    "paper).",
)
@click.option(
    "--out",
    type=PATH,
    metavar="FILE",
    help="The .pdf, .svg or .png to write; a .html turns and zooms; a .vtr or .vts is the grid of "
    "one landscape for ParaView.  [default: none, with --caption]",
)
@click.option("--caption", is_flag=True, help="Print the text below the figure.")
@QUIET
@DEBUG
def command(
    results: tuple[Path, ...],
    kind: str | None,
    quantity: str | None,
    setting: str | None,
    ceiling: float | None,
    colors: str | None,
    width: str,
    out: Path | None,
    caption: bool,
    quiet: bool,
) -> None:
    """A figure of a paper from saved results, and its caption.

    RESULT is a .json that --out of another command wrote, the .monitor.jsonl of a monitor, a folder
    of either, or a checkpoint of sharpscope train, whose training record is drawn. Prints the file
    it drew, or with --caption what stands below it: data, settings, seeds, ranges, and what bands
    and error bars are.
    """
    from sharpscope.figures import KINDS, caption_of, kind_of
    from sharpscope.figures.kinds import MONITORS
    from sharpscope.figures.saving import PAPER
    from sharpscope.figures.writing import page_captions, write_figure
    from sharpscope_cli.drawing import check_figure
    from sharpscope_cli.output import emit_lines
    from sharpscope_cli.params import as_typed
    from sharpscope_cli.results import read_results

    if out is None and not caption:
        raise MisuseError("nothing was asked for: --out FILE draws, --caption prints the text")
    check_figure(out, grids=True)
    how: dict[str, Any] = {
        "quantity": quantity,
        "setting": setting,
        "ceiling": ceiling,
        "colors": colors,
    }
    with as_typed():
        monitored = kind is not None and KINDS[kind].schemas == MONITORS
        found = read_results(results, monitored=monitored)
        # A page or a grid needs no choice among the kinds of print.
        printed = out is None or out.suffix[1:].lower() in PAPER
        chosen = kind_of(found, kind) if printed else kind
        if out is not None:
            write_figure(found, out, chosen, width=width, **how)
        if caption:
            # What stands on a page is not what the kind shows in print.
            told = [caption_of(found, chosen, **how)] if printed else page_captions(found)
            emit_lines(told)
    if out is not None and not quiet:
        emit_lines([f"Drew {out}"])
