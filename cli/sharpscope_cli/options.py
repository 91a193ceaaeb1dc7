"""The options that are the same everywhere, each group of them as one decorator."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeAlias

import click

from sharpscope_cli.params import POSITIVE, Memory, Registered, count

Decorator: TypeAlias = Callable[[Callable[..., Any]], Callable[..., Any]]


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the shared options of a measuring command say; a command need not have them all.

    Args:
        joint: Whether a checkpoint has one result, of all its encoders together.
    """

    checkpoints: tuple[Path, ...] = ()
    batch_size: int | None
    device: str
    dtype: str | None
    seed: int
    replay: bool
    spec: Path | None
    trust: bool
    out: Path | None
    as_json: bool
    quiet: bool
    split: str | None = None
    samples: int | None = None
    modalities: tuple[str, ...] = ()
    loss: str = "fusion"
    rtol: float = 0.0
    budget: int = 0
    max_seconds: float | None = None
    memory: int | None = None
    joint: bool = False
    resume: bool = False

    @property
    def single(self) -> bool:
        """Whether exactly one result was asked for, so that JSON is no array and out a file."""
        return len(self.checkpoints) == 1 and (self.joint or len(self.modalities) == 1)


def _debug(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value and ctx.obj is not None:
        ctx.obj.debug = True


PATH = click.Path(path_type=Path)
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON value and no text.")
QUIET = click.option("--quiet", is_flag=True, help="No progress, and only the results in text.")
DEBUG = click.option(
    "--debug",
    is_flag=True,
    is_eager=True,  # known before another option fails
    expose_value=False,
    callback=_debug,
    help="Show the traceback of a failure.",
)
SPEC = click.option(
    "--spec",
    type=PATH,
    metavar="FILE",
    help="The sharpscope.toml that rebuilds a foreign checkpoint; wins over a recipe in the file. "
    "Without it, the file's recipe, then ./sharpscope.toml.",
)
TRUST = click.option(
    "--trust",
    is_flag=True,
    help="Unpickle a checkpoint that needs it: runs any code that its author put there.",
)
DEVICE = click.option(
    "--device",
    default="auto",
    metavar="NAME",
    help="auto (cuda where there is one), cpu, cuda or cuda:N.",
)
OPERATOR = click.option(
    "--operator",
    type=Registered("sharpscope.operators:OPERATORS"),
    default="hessian",
    metavar="NAME",
    help="hessian; ggn, the Gauss-Newton matrix; or fd, the Hessian by finite differences of the "
    "gradient, for operations without a second derivative.",
)
SEED = click.option("--seed", type=count(0), default=0, metavar="N", help="Names the random draws.")


def out(help: str, default: str | None = None) -> Decorator:
    """Return ``--out`` with what it means for one command."""
    return click.option("--out", type=PATH, metavar="PATH", default=default, help=help)


def everywhere(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of every command: ``--json``, ``--quiet`` and ``--debug``."""
    return _with(command, JSON, QUIET, DEBUG)


CHECKPOINTS = click.argument(
    "checkpoints", nargs=-1, required=True, type=PATH, metavar="CHECKPOINT..."
)
# What is put under the scope: every command that measures has these.
SUBJECT = (
    click.option(
        "--split",
        type=Registered("sharpscope.subject.specs:SPLITS"),
        metavar="NAME",
        help="train, val or test.  [default: train, or the only one there is]",
    ),
    click.option(
        "--samples",
        type=count(1),
        metavar="N",
        help="Measure on the first N items.  [default: all]",
    ),
    click.option(
        "--batch-size",
        type=count(1),
        metavar="N",
        help="Items per pass. Changes time, memory and the data error, which is over batches; "
        "no other number but by rounding.  [default: the data's own]",
    ),
    DEVICE,
    click.option(
        "--dtype",
        type=Registered("sharpscope.subject.door:DTYPES"),
        metavar="NAME",
        help="float32 or float64.  [default: the model's own]",
    ),
    SEED,
)
MODALITY = click.option(
    "--modality",
    "modalities",
    multiple=True,
    metavar="NAME",
    help="An encoder, shared, all, or a glob of parameter names; may be repeated.  "
    "[default: every encoder in turn]",
)
MAX_SECONDS = click.option(
    "--max-seconds",
    type=POSITIVE,
    metavar="X",
    help="Seconds that each measurement may take.  [default: no limit]",
)
MEMORY = click.option(
    "--memory",
    type=Memory(),
    metavar="SIZE",
    help="Memory that recorded outputs and kept graphs may take, such as 2GiB; with less, more is "
    "computed again.  [default: half of what is free]",
)
REPLAY = click.option(
    "--no-replay",
    "replay",
    flag_value=False,
    default=True,
    show_default=False,
    help="Run the whole model every time, also what does not depend on the encoder.",
)


def measuring(
    *more: Decorator,
    rtol: float | None = None,
    rtol_help: str = "",
    budget_help: str | None = "Hessian-vector products that may be spent.",
) -> Decorator:
    """Add checkpoints and the options of every command on encoders, passed on as a ``Request``.

    Args:
        more: Options of the request that this command has as well.
        rtol: Default of ``--rtol``; None for a command that has no such target.
        rtol_help: What it says.
        budget_help: What ``--budget`` says; None for a command without products.
    """
    target = click.option("--rtol", type=POSITIVE, default=rtol, metavar="X", help=rtol_help)
    budget = click.option(
        "--budget", type=count(2, "products"), default=2000, metavar="N", help=budget_help
    )
    return _requested(
        CHECKPOINTS,
        MODALITY,
        LOSS,
        *SUBJECT,
        *(() if rtol is None else (target,)),
        *(() if budget_help is None else (budget,)),
        MAX_SECONDS,
        MEMORY,
        REPLAY,
        SPEC,
        TRUST,
        out("Save the result as JSON; a folder where several results can come."),
        *more,
    )


def measuring_jointly(*more: Decorator, split: bool = True) -> Decorator:
    """Add the options of a command with one result for all encoders, as a ``Request``.

    Args:
        more: Options of the request that this command has as well.
        split: Whether the split and how much of it can be chosen.
    """
    return _requested(
        CHECKPOINTS,
        *more,
        *(SUBJECT if split else SUBJECT[2:]),
        REPLAY,
        SPEC,
        TRUST,
        out("Save the result as JSON; a folder where there are several checkpoints."),
        joint=True,
    )


def comparing(run: Callable[..., None]) -> Callable[..., Any]:
    """Add the options of a command that measures several checkpoints alike, as a ``Request``."""
    return _requested(
        MODALITY,
        LOSS,
        *SUBJECT,
        click.option(
            "--rtol",
            type=POSITIVE,
            default=0.02,
            metavar="X",
            help="Stop a trace when its standard error is at most X times itself.",
        ),
        click.option(
            "--budget",
            type=count(4, "products"),
            default=2000,
            metavar="N",
            help="Hessian-vector products that each measurement may spend.",
        ),
        MAX_SECONDS,
        MEMORY,
        REPLAY,
        SPEC,
        TRUST,
        click.option(
            "--keep",
            "out",
            type=PATH,
            metavar="FOLDER",
            help="Keep the single results there, to be compared again without a model.  "
            "[default: not kept]",
        ),
    )(run)


LOSS = click.option("--loss", default="fusion", metavar="NAME", help="fusion, total or a modality.")
RTOL_AND_BUDGET = (
    click.option(
        "--rtol",
        type=POSITIVE,
        default=0.1,
        metavar="X",
        help="Stop when every standard error is at most X times its number.",
    ),
    click.option(
        "--budget",
        type=count(4, "products"),
        default=2000,
        metavar="N",
        help="Hessian-vector products that may be spent.",
    ),
    MAX_SECONDS,
)


def _requested(*options: Decorator, joint: bool = False) -> Decorator:
    def decorate(run: Callable[..., None]) -> Callable[..., Any]:
        @functools.wraps(run)
        def collected(**values: Any) -> None:
            names = [entry.name for entry in fields(Request)]
            common = {name: values.pop(name) for name in names if name in values}
            if "modalities" in common:
                common["modalities"] = tuple(dict.fromkeys(common["modalities"]))
            run(Request(**common, joint=joint), **values)

        return _with(collected, *options, JSON, QUIET, DEBUG)

    return decorate


def _with(command: Callable[..., Any], *options: Decorator) -> Callable[..., Any]:
    """Apply decorators so that help lists them in the order given."""
    for option in reversed(options):
        command = option(command)
    return command
