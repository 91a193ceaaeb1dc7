"""Contributions as text for people."""

from collections.abc import Mapping, Sequence

from sharpscope.results import ContributionResult
from sharpscope.results.contribution import METRIC_WORDS
from sharpscope.results.trace import with_error
from sharpscope_cli.output import Column, emit_lines, emit_table
from sharpscope_cli.render import ABSENT

MEANING = (
    "± is one standard error over the data. share: of the Shapley values of the {kind}. "
    "{masked} ({mask}). readout: {metric} of the modality's part of the joint model's logits. "
    "probe: {metric} of a fresh classifier on the encoder's frozen features. γ: cosine of the "
    "gradients of the modality's own loss and of the fusion loss with respect to its encoder."
)
SEEN = "These are the data that the model was trained on; --split test tells how it does on others."


def show_contributions(results: Sequence[ContributionResult], *, quiet: bool = False) -> None:
    """Print a table for each checkpoint."""
    for number, result in enumerate(results):
        if number:
            emit_lines()
        _show(result)
    first = results[0]
    lines = {f"Note: {note}": None for result in results for note in result.notes}
    if any(result.provenance.get("split") == "train" for result in results):
        lines[SEEN] = None
    if not quiet:
        masked = "without: {metric} with the modality masked"
        if any(len(result.modalities) > 2 for result in results):
            masked = "without, alone: {metric} with the modality masked, and with all others masked"
        meaning = MEANING.replace("{masked}", masked).format(
            kind=str(first.settings["kind"]).replace("_", " "),
            metric=METRIC_WORDS[first.metric],
            mask=str(first.settings["mask"]).replace("_", " "),
        )
        emit_lines(["", *lines, meaning])


def _show(result: ContributionResult) -> None:
    split = result.provenance.get("split", "")
    where = result.provenance.get("checkpoint", "the model")
    emit_lines(
        [
            f"Contribution of each modality on {result.samples:,} {split} samples in {where}; "
            f"{METRIC_WORDS[result.metric]} "
            f"{with_error(result.whole, result.whole_error)} with all",
            "",
        ]
    )
    fields = ["share", "without", "alone", "readout", "probe", "alignment"]
    if len(result.modalities) == 2:  # one alone is the other one masked
        fields.remove("alone")
    heads = ["γ" if name == "alignment" else name for name in fields]
    columns: list[Column] = [("modality", "left"), *((name, "right") for name in heads)]
    values: dict[str, Mapping[str, float | None]] = {
        name: getattr(result, "shares" if name == "share" else name) for name in fields
    }
    rows = [
        [
            name,
            *(_cell(values[one], getattr(result, f"{one}_error"), name) for one in fields),
        ]
        for name in result.modalities
    ]
    emit_table(columns, rows)


def _cell(values: Mapping[str, float | None], errors: Mapping[str, float | None], name: str) -> str:
    if values.get(name) is None:
        return ABSENT
    return with_error(values[name], errors.get(name)) if errors.get(name) else f"{values[name]:.3g}"
