"""``sharpscope report``: everything that the results in a folder say, as one HTML file."""

from pathlib import Path

import click

from sharpscope_cli.options import PATH, everywhere, out


@click.command(
    "report",
    epilog="\b\nExamples:\n  sharpscope report runs/report\n"
    "  sharpscope report results/ --out late-and-masam.html",
)
@click.argument("folder", type=PATH, metavar="DIR")
@out("The file to write.  [default: report.html in DIR]")
@everywhere
def command(folder: Path, out: Path | None, as_json: bool, quiet: bool) -> None:
    """Everything that the results in a folder say, as one HTML file.

    Reads every result that --out of another command saved in DIR and its folders. The file needs
    no network: a table of all numbers with their errors, figures that turn, then settings and
    provenance, and what each column means. Prints its path and what was left out.
    """
    from sharpscope.report import check_report, gather, write_report
    from sharpscope_cli.output import emit_json, emit_lines

    check_report(folder, out)
    found = gather(folder)
    path = write_report(found, out)
    if as_json:
        emit_json(
            {
                "schema": "sharpscope/report",
                "path": path,
                "results": list(found.records),
                "left_out": found.left_out,
            }
        )
        return
    if not quiet:
        emit_lines(f"Left out {name}: {reason}" for name, reason in found.left_out.items())
        emit_lines([f"Wrote {path} with {len(found.records)} results"])
