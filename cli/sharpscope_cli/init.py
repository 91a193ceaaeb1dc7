"""``sharpscope init``: write the sharpscope.toml that a foreign checkpoint needs."""

from pathlib import Path

import click

from sharpscope_cli.options import PATH, TRUST, everywhere, out


@click.command(
    "init",
    epilog="\b\nExample:\n  sharpscope init theirs.ckpt",
)
@click.argument("checkpoint", type=PATH)
@out("The file to write; never overwritten.", default="sharpscope.toml")
@TRUST
@everywhere
def command(checkpoint: Path, out: Path, trust: bool, as_json: bool, quiet: bool) -> None:
    """Write the sharpscope.toml that a foreign checkpoint needs.

    Looks at the tensors in the file, fills in what their names tell, and marks what only you can
    know: the function that builds the model, the one that returns the data, and the loss.
    """
    import tomllib

    from sharpscope.subject.drafts import write_draft
    from sharpscope.subject.specs import SPEC_NAME
    from sharpscope_cli.output import emit_command, emit_json, emit_lines, own_stdout

    with own_stdout():
        written = write_draft(checkpoint, out, trust=trust)
    text = written.read_text(encoding="utf-8")
    encoders = {
        name: paths
        for name, paths in tomllib.loads(text).get("encoders", {}).items()
        if not name.startswith("<")
    }
    blanks = [
        (number, line.partition("#")[0].strip())
        for number, line in enumerate(text.splitlines(), start=1)
        if line.rstrip().endswith("<- fill in")
    ]
    if as_json:
        emit_json(
            {
                "schema": "sharpscope/init",
                "spec": str(written),
                "encoders": encoders,
                "fill_in": [{"line": number, "text": line} for number, line in blanks],
            }
        )
        return
    emit_lines([f"Wrote {written}"])
    if quiet:
        return
    if encoders:
        emit_lines(["", "Encoders that the names suggest; look them over:"])
        click.echo("\n".join(f"  {name} = {paths}" for name, paths in encoders.items()))
    emit_lines(["", "To fill in:"])
    click.echo("\n".join(f"  line {number:3}  {line}" for number, line in blanks))
    spec = "" if written == Path(SPEC_NAME) else f" --spec {written}"
    emit_lines()
    emit_command("Then:  ", f"sharpscope show {checkpoint}{spec}")
