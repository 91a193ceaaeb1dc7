"""``sharpscope watch``: what a monitor measures, while the training goes on."""

from pathlib import Path

import click

from sharpscope_cli.options import PATH, everywhere, out
from sharpscope_cli.params import POSITIVE


@click.command(
    "watch",
    epilog="\b\nExamples:\n  sharpscope watch runs/masam.pt\n"
    "  sharpscope watch runs/masam.monitor.jsonl --out masam.png --every 30\n"
    "  sharpscope watch runs/masam.pt --once --json",
)
@click.argument("run", type=PATH, metavar="RUN")
@out(
    "A figure of the run, drawn again at each new line: .png, .pdf, .svg or .html.  [default: none]"
)
@click.option(
    "--every",
    type=POSITIVE,
    default=2.0,
    metavar="SECONDS",
    help="How often the file is looked at.",
)
@click.option("--once", is_flag=True, help="Show what there is, and end.")
@everywhere
def command(
    run: Path, out: Path | None, every: float, once: bool, as_json: bool, quiet: bool
) -> None:
    """What a monitor measures, while the training goes on.

    RUN is the .monitor.jsonl that a monitor writes, or the checkpoint beside which it lies, which
    need not be there yet. On a terminal a table is shown that changes with the file: trace, λ_max
    with the stability threshold, alignment γ and share of each encoder, events, failures and what
    measuring costs. Ends when the training does, and prints the table.
    """
    from sharpscope_cli.drawing import check_figure
    from sharpscope_cli.output import emit_json
    from sharpscope_cli.render_monitor import show_monitor
    from sharpscope_cli.watching import Drawing, follow, monitor_of

    path = monitor_of(run)
    check_figure(out)
    drawing = Drawing(out)
    record = follow(path, drawing, every=every, once=once, quiet=quiet or as_json)
    if as_json:
        emit_json(record.to_dict())
        return
    show_monitor(record, quiet=quiet)
    drawing.tell(quiet=quiet)
