"""``sharpscope trace``: the Hessian trace of encoders, with error bars."""

from collections.abc import Sequence
from typing import Any

import click

from sharpscope_cli.options import OPERATOR, Request, measuring
from sharpscope_cli.params import RESUME, Registered, count


@click.command(
    "trace",
    epilog="\b\nExamples:\n  sharpscope trace runs/ehr-cxr.pt --modality cxr\n"
    "  sharpscope trace theirs.pt --spec sharpscope.toml --rtol 0.01 --out traces/",
)
@click.option(
    "--method",
    type=Registered("sharpscope.measure:TRACE_METHODS"),
    metavar="NAME",
    help="hutch++ (large eigenvalues exactly, the rest by probes), xtrace (every probe helps to "
    "deflate the others) or hutchinson.  "
    "[default: hutch++; hutchinson with --engine pyhessian]",
)
@click.option(
    "--probes",
    type=count(2, "two make a standard error"),
    metavar="N",
    help="Draw exactly so many probes.  [default: as many as --rtol asks for]",
)
@click.option(
    "--rank",
    type=count(0),
    metavar="N",
    help="Vectors whose part hutch++ as published takes exactly, two products each.  "
    "[default: as many as pay for themselves, one product each]",
)
@click.option(
    "--distribution",
    type=Registered("sharpscope.estimators.probing:DISTRIBUTIONS"),
    metavar="NAME",
    help="Of the probes: rademacher or gaussian.  [default: rademacher]",
)
@click.option(
    "--engine",
    type=Registered("sharpscope.measure:ENGINES"),
    default="native",
    metavar="NAME",
    help="native, or pyhessian to reproduce what older papers used.",
)
@OPERATOR
@measuring(
    RESUME, rtol=0.02, rtol_help="Stop when the standard error is at most X times the trace."
)
def command(
    request: Request,
    method: str | None,
    probes: int | None,
    rank: int | None,
    distribution: str | None,
    engine: str,
    operator: str,
) -> None:
    """Hessian trace of each encoder, with error bars.

    Prints the trace of the Hessian of the loss with respect to one encoder's parameters, its
    standard error over random probes, a 95 % interval, and its standard error over the data.
    """
    from sharpscope.measure import TRACE_METHODS, swept, trace
    from sharpscope.results import TraceResult
    from sharpscope_cli.already import complete
    from sharpscope_cli.measuring import measure_all, only_given, report
    from sharpscope_cli.render import show_traces

    settings: dict[str, Any] = only_given(
        probes=probes,
        distribution=distribution,
        max_seconds=request.max_seconds,
        operator=operator,
        loss=request.loss,
        rtol=request.rtol,
        budget=request.budget,
        seed=request.seed,
    )
    how: dict[str, Any] = only_given(method=method, rank=rank, engine=engine)

    def measure(subject: Any, modality: str, watcher: Any) -> TraceResult:
        return trace(subject, modality, watcher=watcher, **how, **settings)

    def together(
        subject: Any, modalities: Sequence[str], watcher: Any
    ) -> dict[str, TraceResult] | None:
        return swept(subject, modalities, watcher=watcher, **settings)

    default = engine == "native" and method in (None, "hutch++") and rank is None
    name = method or "hutch++"

    def told() -> dict[str, Any]:
        return complete(TRACE_METHODS[name], settings | how, operator=operator, method=name)

    results = measure_all(
        request,
        measure,
        stem="trace",
        together=together if default else None,
        settings=told if engine == "native" else None,
    )
    report(request, results, lambda found: show_traces(found, quiet=request.quiet))
