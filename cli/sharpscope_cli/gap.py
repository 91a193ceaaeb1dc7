"""``sharpscope gap``: the normalized generalization gap."""

from typing import Any

import click

from sharpscope_cli.options import Request, measuring_jointly
from sharpscope_cli.params import Registered, count


@click.command(
    "gap",
    epilog="\b\nExamples:\n  sharpscope gap runs/ehr-cxr.pt\n"
    "  sharpscope gap late.pt masam.pt --metric macro_auroc --json",
)
@click.option(
    "--metric",
    type=Registered("sharpscope.contribution.scores:METRICS"),
    metavar="NAME",
    help="accuracy, macro_auprc or macro_auroc.  [default: accuracy of classes, macro_auprc of "
    "labels]",
)
@click.option(
    "--bootstrap",
    type=count(100, "replicates"),
    default=2000,
    metavar="N",
    help="Replicates of the data behind the error; 200 at most of a ranking.",
)
@measuring_jointly(split=False)
def command(request: Request, metric: str | None, bootstrap: int) -> None:
    """Normalized generalization gap of a metric, with its interval.

    Prints 100 (train - test) / train, signed, with its standard error and a 95 % interval over the
    items of both splits.
    """
    from sharpscope.results import GapResult
    from sharpscope_cli.measuring import measure_all, only_given, report
    from sharpscope_cli.render_losses import show_gaps

    def measure(subject: Any, name: str, watch: Any) -> GapResult:
        return gap_of(request, subject, watch, bootstrap=bootstrap, **only_given(metric=metric))

    results = measure_all(request, measure, stem="gap")
    report(request, results, lambda found: show_gaps(found, quiet=request.quiet))


def gap_of(request: Request, subject: Any, watch: Any, **settings: Any) -> Any:
    """Return the gap of a checkpoint, whose splits are loaded for it.

    Raises:
        SpecError: If it has no train or no test.
    """
    from sharpscope.errors import SpecError
    from sharpscope.measure import generalization_gap
    from sharpscope_cli.measuring import other_split

    found = {split: other_split(request, subject, split) for split in ("train", "test")}
    if missing := [split for split, other in found.items() if other is None]:
        raise SpecError(
            f"the gap is between train and test, and there is no {' and no '.join(missing)}: "
            f"add it to [data] of {subject.provenance.get('spec')}"
        )
    return generalization_gap(
        found["train"],  # pyright: ignore[reportArgumentType]
        found["test"],  # pyright: ignore[reportArgumentType]
        watcher=watch.tell,
        seed=request.seed,
        **settings,
    )
