"""``sharpscope demo``: the whole story on embedded data."""

from pathlib import Path

import click

from sharpscope_cli.options import DEVICE, PATH, SEED, everywhere
from sharpscope_cli.params import count


@click.command("demo", epilog="\b\nExample:\n  sharpscope demo")
@click.option(
    "--out-dir",
    type=PATH,
    default="runs",
    metavar="FOLDER",
    help="Where the checkpoints and the report go.",
)
@click.option(
    "--samples",
    type=count(1),
    metavar="N",
    help="Measure curvature on the first N training items.  [default: all]",
)
@SEED
@DEVICE
@everywhere
def command(
    out_dir: Path, samples: int | None, seed: int, device: str, as_json: bool, quiet: bool
) -> None:
    """The whole story on embedded data, in about two minutes.

    Trains two models on avdigits, with the joint loss alone and with the unimodal losses added,
    and one on synthetic ehr-cxr; measures both encoders of each, those of ehr-cxr to a loose error
    and without a surface; prints one table, and the path of a report of them that opens in a
    browser.
    """
    from sharpscope_cli.output import emit_json
    from sharpscope_cli.params import device_named
    from sharpscope_cli.progress import Line
    from sharpscope_cli.story import Story, show_story

    where = device_named(device)
    with Line(quiet=quiet) as line:
        story = Story(out_dir=out_dir, samples=samples, seed=seed, device=where, line=line)
        story.prepare()
        story.run()
    if as_json:
        emit_json(story.to_dict())
    else:
        show_story(story, quiet=quiet)
