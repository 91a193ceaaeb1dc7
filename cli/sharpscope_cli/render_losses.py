"""Sharpness, gaps and couplings as text for people."""

from collections.abc import Sequence

from sharpscope.results import CouplingResult, GapResult, SharpnessResult
from sharpscope.results.contribution import METRIC_WORDS
from sharpscope.results.record import significant
from sharpscope.results.trace import with_error
from sharpscope_cli.output import Column, emit_lines, emit_table
from sharpscope_cli.render import (
    ABSENT,
    after,
    heading,
    name_cells,
    names_of,
    outcome_column,
)

Q = (
    "Q = 100 (max f - f) / (1 + f) in the box, in percent. ± is one standard error over subspaces; "
    "of the whole space the best of all searches counts, and spread is how far they agree."
)
RISE = "The rise of the loss within the radius. ± is one standard error over {what}."
GAP = (
    "τ = 100 (train - test) / train; all in percent. ± is one standard error over the items of "
    "both splits, and the interval holds 95 % of their replicates."
)
COUPLED = (
    "share: 2 ‖H_ab‖² / ‖H_SS‖² with S both encoders, Frobenius norms; 0 where they do not meet. ± "
    "is one standard error over random probes."
)


def show_sharpness(results: Sequence[SharpnessResult], *, quiet: bool = False) -> None:
    """Print a table of sharpness."""
    first = results[0]
    heading(first.method, results)
    columns: list[Column] = [
        *names_of(results),
        ("value ± error", "right"),
        ("spread", "right"),
        ("passes", "right"),
        ("seconds", "right"),
        *outcome_column(results),
    ]
    rows = [
        [
            *name_cells(result, results),
            _value(result.value, result.standard_error),
            significant(result.spread, 2) if result.spread is not None else ABSENT,
            f"{result.evaluations:g}",
            f"{result.seconds:.1f}",
            *_outcome(result, results),
        ]
        for result in results
    ]
    emit_table(columns, rows)
    keskar = first.method.startswith("Keskar")
    what = "batches" if first.settings.get("case") == "worst" else "draws"
    meaning = Q if keskar else RISE.format(what=what)
    after(results, "" if quiet else meaning, quiet=quiet)


def show_gaps(results: Sequence[GapResult], *, quiet: bool = False) -> None:
    """Print a table of gaps."""
    where = results[0].provenance.get("checkpoint", "the model")
    emit_lines(["Generalization gap" + (f" in {where}" if len(results) == 1 else ""), ""])
    columns: list[Column] = [("checkpoint", "left")] if len(results) > 1 else []
    columns.append(("metric", "left"))
    heads = ("τ", "95 % interval", "train", "test")
    columns.extend((name, "right") for name in heads)
    rows = [
        [
            *([result.tag or ""] if len(results) > 1 else []),
            METRIC_WORDS[result.metric],
            _value(result.value, result.standard_error),
            ABSENT
            if result.interval is None
            else f"{result.interval[0]:.3g} to {result.interval[1]:.3g}",
            _percent(result.train, result.train_error),
            _percent(result.test, result.test_error),
        ]
        for result in results
    ]
    emit_table(columns, rows)
    after(results, "" if quiet else GAP, quiet=quiet)


def show_couplings(results: Sequence[CouplingResult], *, quiet: bool = False) -> None:
    """Print a table of pairs."""
    heading("Coupling", results)
    several = len(results) > 1
    columns: list[Column] = [("checkpoint", "left")] if several else []
    columns.append(("encoders", "left"))
    heads = ("‖H_ab‖²", "share", "probes", "products", "seconds")
    columns.extend((name, "right") for name in heads)
    columns.extend(outcome_column(results))
    rows = [
        [
            *([result.tag or ""] if several else []),
            pair.replace("+", " and "),
            _value(result.blocks[pair], result.block_error[pair]),
            _value(share, result.share_error[pair]),
            str(result.probes),
            f"{result.matvecs:g}",
            f"{result.seconds:.1f}",
            *_outcome(result, results),
        ]
        for result in results
        for pair, share in result.shares.items()
    ]
    emit_table(columns, rows)
    after(results, "" if quiet else COUPLED, quiet=quiet)


def _percent(value: float | None, error: float | None) -> str:
    return _value(None if value is None else 100 * value, None if error is None else 100 * error)


def _value(value: float | None, error: float | None) -> str:
    return with_error(value, error) if error else significant(value)


def _outcome(
    result: SharpnessResult | CouplingResult,
    results: Sequence[SharpnessResult] | Sequence[CouplingResult],
) -> list[str]:
    return [str(result.outcome).replace("_", " ")] if outcome_column(results) else []
