"""The table of a report: a row for each encoder of each checkpoint, a column for each number."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sharpscope.figures.alike import matrix_of
from sharpscope.figures.whose import Checkpoint, checkpoint_of, named_apart
from sharpscope.results import ContributionResult, GapResult, Outcome, Result
from sharpscope.results.kept import kept
from sharpscope.results.measures import Measure
from sharpscope.results.quantities import QUANTITIES, Quantity
from sharpscope.results.record import significant

_DONE = (Outcome.CONVERGED, Outcome.COMPLETED)


@dataclass(kw_only=True)
class Row:
    """An encoder of a checkpoint, on some data.

    Args:
        checkpoint: The checkpoint.
        modality: The encoder, or a pair or all of them.
        data: Loss, split and number of items; None while only numbers of other data are here.
        parameters: Scalar parameters.
        loss: The loss at the model on these items.
        matrix: What its curvature is of; empty while there is none.
        notes: What tells it from another row of its encoder, where something does.
        cells: What was measured, by key of the quantity.
        flags: Numbers of remarks, by key of the quantity.
    """

    checkpoint: Checkpoint
    modality: str
    data: tuple[str, str, int] | None = None
    parameters: int | None = None
    loss: float | None = None
    matrix: str = ""
    notes: tuple[str, ...] = ()
    cells: dict[str, Measure] = field(default_factory=dict[str, Measure])
    flags: dict[str, int] = field(default_factory=dict[str, int])

    @property
    def about(self) -> str:
        """The loss at the model and the items that it is of, in words; empty where unknown."""
        if self.data is None or self.loss is None:
            return ""
        loss, split, samples = self.data
        items = " ".join(part for part in (f"{samples:,}", split, "items") if part)
        return f"{loss} loss {significant(self.loss)} over {items}"


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows under the names of their checkpoints.

    Args:
        rows: By checkpoint.
        columns: The quantities that some row has.
        remarks: What the flags mean, from 1.
    """

    rows: dict[str, list[Row]]
    columns: tuple[Quantity, ...]
    remarks: tuple[str, ...]

    @property
    def matrices(self) -> tuple[str, ...]:
        """The matrices that are not the Hessian."""
        found = {row.matrix for rows in self.rows.values() for row in rows}
        return tuple(sorted(found - {"", "Hessian"}))


def tabulate(results: Sequence[Result]) -> Table:
    """Return the table of results; a second number of one kind and encoder has its own row."""
    rows: list[Row] = []
    remarks: dict[str, int] = {}
    numbers = {
        id(result): [(quantity, one) for quantity in QUANTITIES for one in quantity.find(result)]
        for result in results
    }
    # What was measured on other data than the rest, or is no number, stands in the rows there are.
    for result in sorted(results, key=lambda one: (not numbers[id(one)], _elsewhere(one))):
        found = numbers[id(result)]
        known = {(row.checkpoint, row.modality) for row in rows}
        if not found and (checkpoint_of(result), result.modality) not in known:
            _row(rows, result, result.modality, [])
        for modality in dict.fromkeys(one.modality for _, one in found):
            own = {quantity.key: one for quantity, one in found if one.modality == modality}
            row = _row(rows, result, modality, own)
            row.cells |= own
            if result.outcome not in _DONE:
                remark = f"{str(result.outcome).replace('_', ' ')}: {result.advice}"
                number = remarks.setdefault(remark, len(remarks) + 1)
                row.flags |= dict.fromkeys(own, number)
    present = {key for row in rows for key in row.cells}
    _tell_apart(rows)
    names = named_apart(row.checkpoint for row in rows)
    return Table(
        rows={name: [r for r in rows if r.checkpoint == key] for key, name in _in_order(names)},
        columns=tuple(quantity for quantity in QUANTITIES if quantity.key in present),
        remarks=tuple(remarks),
    )


def _in_order(names: Mapping[Checkpoint, str]) -> list[tuple[Checkpoint, str]]:
    """Return checkpoints run by run as they were met, those of a run in the order of training."""
    runs = list(dict.fromkeys(kept(name).run for name in names.values()))
    return sorted(
        names.items(),
        key=lambda one: (runs.index(kept(one[1]).run), kept(one[1]).number or (math.inf, 0)),
    )


def _elsewhere(result: Result) -> bool:
    return isinstance(result, ContributionResult | GapResult)


def _row(rows: list[Row], result: Result, modality: str, keys: Iterable[str]) -> Row:
    """Return the row where these numbers belong and are not yet, made if there is none."""
    checkpoint = checkpoint_of(result)
    provenance: Mapping[str, Any] = result.provenance
    data = (
        None
        if _elsewhere(result)
        else (result.loss, str(provenance.get("split") or ""), result.samples)
    )
    for row in rows:
        same = row.checkpoint == checkpoint and row.modality == modality
        if same and _fits(row, result, data) and not set(keys) & set(row.cells):
            break
    else:
        row = Row(checkpoint=checkpoint, modality=modality)
        row.notes = (f"{result.method}, seed {result.seed}",)
        rows.append(row)
    row.matrix = row.matrix or matrix_of(result)
    if data is not None:
        row.data, row.loss = data, result.loss_value
    if modality == result.modality:
        row.parameters = result.parameters
    return row


def _fits(row: Row, result: Result, data: tuple[str, str, int] | None) -> bool:
    """Whether a row is of the same matrix, and of the same items at the same model."""
    if len({row.matrix, matrix_of(result)} - {""}) > 1:
        return False
    if data is None or row.data is None:
        return True
    # Without a file's hash, two models of one name differ in their loss.
    return row.data == data and (
        row.loss is None or math.isclose(row.loss, result.loss_value, rel_tol=1e-3)
    )


def _tell_apart(rows: Sequence[Row]) -> None:
    """Leave each row the words that tell it from another of its encoder."""
    mixed = {row.matrix for row in rows} - {"", "Hessian"}
    for row in rows:
        twins = [
            other
            for other in rows
            if (other.checkpoint, other.modality, other.data, other.matrix)
            == (row.checkpoint, row.modality, row.data, row.matrix)
        ]
        matrix = (row.matrix,) if mixed and row.matrix else ()
        row.notes = (*matrix, *(row.notes if len(twins) > 1 else ()))
