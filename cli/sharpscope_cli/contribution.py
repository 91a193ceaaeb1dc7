"""``sharpscope contribution``: what each modality adds to the predictions."""

from pathlib import Path
from typing import Any

import click

from sharpscope_cli.options import PATH, Request, measuring_jointly
from sharpscope_cli.params import Registered, count


@click.command(
    "contribution",
    epilog="\b\nExamples:\n  sharpscope contribution runs/ehr-cxr.pt --split test\n"
    "  sharpscope contribution late.pt masam.pt --split test --figure shares.pdf",
)
@click.option(
    "--kind",
    type=Registered("sharpscope.optim.performance:KINDS"),
    default="accuracy",
    metavar="NAME",
    help="Performance that is shared out: accuracy, neg_loss (minus the cross entropy) or "
    "true_prob (mean probability of what is true).",
)
@click.option(
    "--mask",
    type=Registered("sharpscope.replay:MASKS"),
    default="zero_input",
    metavar="NAME",
    help="What stands for an absent modality: zero_input, zero_feature or mean_feature.",
)
@click.option(
    "--normalize",
    type=Registered("sharpscope.shapley:NORMALIZE"),
    default="clip",
    metavar="NAME",
    help="From Shapley values to shares: clip (negative ones are 0), raw or softmax.",
)
@click.option(
    "--bootstrap",
    type=count(100, "replicates"),
    default=2000,
    metavar="N",
    help="Replicates of the data behind each error.",
)
@click.option(
    "--no-probe",
    "probes",
    flag_value=False,
    default=True,
    show_default=False,
    help="Fit no fresh classifiers on the encoders' features.",
)
@click.option(
    "--figure",
    type=PATH,
    metavar="FILE",
    help="Draw bars into a .pdf, .svg, .png or .html, a row for each checkpoint.",
)
@measuring_jointly()
def command(
    request: Request,
    kind: str,
    mask: str,
    normalize: str,
    bootstrap: int,
    probes: bool,
    figure: Path | None,
) -> None:
    """What each modality contributes to a model's predictions.

    Prints the Shapley share of each modality, the metric without it and with it alone, the joint
    model's readout of it, a fresh probe on its encoder's features, and the alignment of its
    encoder's gradients, each with its standard error over the data. Probes are fitted on the
    training split, their penalty is chosen on the validation split.
    """
    from sharpscope.measure import contribution
    from sharpscope.results import ContributionResult
    from sharpscope_cli.drawing import check_figure, draw
    from sharpscope_cli.measuring import measure_all, other_split, report
    from sharpscope_cli.render_contribution import show_contributions

    check_figure(figure)

    def measure(subject: Any, name: str, watch: Any) -> ContributionResult:
        other = {split: other_split(request, subject, split) for split in ("train", "val")}
        return contribution(
            subject,
            **(other if probes else {}),
            watcher=watch.tell,
            kind=kind,
            mask=mask,
            normalize=normalize,
            bootstrap=bootstrap,
            probes=probes,
            seed=request.seed,
        )

    results = measure_all(request, measure, stem="contribution")
    drawn = draw(results, figure)
    report(
        request, results, lambda found: show_contributions(found, quiet=request.quiet), drawn=drawn
    )
