"""Every failure is one line on stderr and an exit code; ``--debug`` shows where it came from."""

import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from sharpscope.errors import SharpscopeError

INTERRUPTED = 130


@dataclass
class Flags:
    """What the command line says about failures; ``--debug`` sets it as soon as it is parsed."""

    debug: bool = False


def guarded(run: Callable[[], Any], flags: Flags) -> int:
    """Run a command and return its exit code, with one line on stderr if it fails."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal without Unicode shows a question mark for λ, and no failure.
        if callable(reconfigure := getattr(stream, "reconfigure", None)):
            reconfigure(errors="replace")
    try:
        code = run()
    except (KeyboardInterrupt, click.Abort) as error:
        # click turns the first into the second; a command may have left a sentence in it.
        told = str((error.__cause__ if isinstance(error, click.Abort) else error) or "")
        _show(flags, f"Interrupted. {told}".rstrip())
        return INTERRUPTED
    except click.ClickException as error:
        _show(flags, f"Error: {_usage(error)}")
        return error.exit_code
    except SharpscopeError as error:
        _show(flags, f"Error: {error}")
        return error.exit_code
    except Exception as error:  # a bug, ours or of the user's own code
        words = " ".join(str(error).split())
        hint = "" if flags.debug else " (run with --debug for the traceback)"
        _show(flags, f"Error: {type(error).__name__}: {words}{hint}")
        return 1
    return code if isinstance(code, int) else 0


def _show(flags: Flags, line: str) -> None:
    if flags.debug:
        traceback.print_exc(file=sys.stderr)
    click.echo(line, err=True)


def _usage(error: click.ClickException) -> str:
    """Return what is wrong in one line, with the command that lists the options."""
    message = " ".join(error.format_message().split())
    if not isinstance(error, click.UsageError) or error.ctx is None:
        return message
    return f"{message.rstrip('.')}. Try '{error.ctx.command_path} --help'."
