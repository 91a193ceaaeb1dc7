"""``sharpscope show``: what a checkpoint holds, and who owns its parameters."""

from pathlib import Path

import click

from sharpscope_cli.options import PATH, SPEC, TRUST, everywhere


@click.command(
    "show",
    epilog="\b\nExamples:\n  sharpscope show runs/ehr-cxr.pt\n"
    "  sharpscope show theirs.ckpt --parameters",
)
@click.argument("checkpoint", type=PATH)
@click.option("--parameters", is_flag=True, help="List every parameter with its owner.")
@SPEC
@TRUST
@everywhere
def command(
    checkpoint: Path,
    parameters: bool,
    spec: Path | None,
    trust: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """What a checkpoint holds, and who owns its parameters.

    Prints the modalities with their parameter counts and modules, the recipe or the spec that
    rebuilds the model, and the metrics stored. Of a foreign file that nothing says how to
    rebuild, it prints what is inside and what to do next.
    """
    from sharpscope.subject.checkpoints import read_checkpoint
    from sharpscope.subject.choice import code_folder
    from sharpscope.subject.specs import SPEC_NAME
    from sharpscope_cli.contents import Contents, contents_of_file, contents_of_model
    from sharpscope_cli.output import emit_json, own_stdout
    from sharpscope_cli.showing import show_file, show_model

    with own_stdout():
        read = read_checkpoint(checkpoint, trust=trust, code=code_folder(spec))
        rebuilt = spec is not None or read.recipe is not None or Path(SPEC_NAME).is_file()
        found: Contents = (
            contents_of_model(read, spec, trust=trust) if rebuilt else contents_of_file(read)
        )
    if as_json:
        emit_json(found.to_dict())
    elif rebuilt:
        show_model(found, parameters=parameters, quiet=quiet)
    else:
        show_file(found, parameters=parameters, quiet=quiet)
