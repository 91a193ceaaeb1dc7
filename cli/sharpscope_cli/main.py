"""The group of all commands: each one's module is imported when it is called, not before."""

from functools import partial
from importlib import import_module
from typing import Any

import click

from sharpscope.checks import nearest
from sharpscope_cli.failures import Flags, guarded

# One line for each command, so that listing them imports none of them.
COMMANDS = {
    "demo": "The whole story on embedded data, in about two minutes.",
    "show": "What a checkpoint holds, and who owns its parameters.",
    "init": "Write the sharpscope.toml that a foreign checkpoint needs.",
    "trace": "Hessian trace of each encoder, with error bars.",
    "eigen": "Extreme Hessian eigenvalues of each encoder, with residuals.",
    "density": "Spectral density of each encoder's Hessian, with an error band.",
    "landscape": "Loss on lines, planes and volumes around each encoder, or between checkpoints.",
    "sharpness": "How far the loss rises around each encoder: Keskar's Q, or a ball.",
    "gap": "Normalized generalization gap of a metric, with its interval.",
    "coupling": "How strongly the curvature of encoders is coupled.",
    "contribution": "What each modality contributes to a model's predictions.",
    "compare": "Checkpoints, or methods over seeds, side by side with paired errors.",
    "figure": "A figure of a paper from saved results, and its caption.",
    "report": "Everything that the results in a folder say, as one HTML file.",
    "watch": "What a monitor measures, while the training goes on.",
    "train": "Train a recipe and save a checkpoint that carries it.",
}
CONTEXT = {"help_option_names": ["-h", "--help"], "show_default": True}


class CommandLine(click.Group):
    """A group that loads its commands on use and reports every failure in one line."""

    def main(self, *args: Any, standalone_mode: bool = True, **extra: Any) -> Any:
        """Run the command and exit: 0 done, 1 failure, 2 misuse, 130 interrupted."""
        if not standalone_mode:
            return super().main(*args, standalone_mode=False, **extra)
        flags = Flags()
        run = partial(super().main, *args, standalone_mode=False, obj=flags, **extra)
        raise SystemExit(guarded(run, flags))

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of a first visit."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
        """Import the module of the command.

        Raises:
            UsageError: If there is no such command.
        """
        if cmd_name not in COMMANDS:
            raise click.UsageError(
                f"no such command {cmd_name!r}{nearest(cmd_name, COMMANDS)}; there are "
                f"{', '.join(COMMANDS)}",
                ctx,
            )
        return import_module(f"sharpscope_cli.{cmd_name}").command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=CommandLine,
    invoke_without_command=True,
    context_settings=CONTEXT,
    epilog="\b\nExamples:\n  sharpscope demo\n  sharpscope trace runs/ehr-cxr.pt --modality cxr",
)
@click.version_option(package_name="sharpscope", message="sharpscope %(version)s")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """How flat is the minimum that each modality's encoder sits in?

    sharpscope COMMAND --help tells what a command prints, its options and their defaults.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
