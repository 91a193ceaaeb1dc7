"""The table of a report: a row for each encoder of each checkpoint, a column for each number."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sharpscope.results import ContributionResult, GapResult, Outcome, Result
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
        cells: What was measured, by key of the quantity.
        flags: Numbers of remarks, by key of the quantity.
    """

    checkpoint: tuple[str, str]
    modality: str
    data: tuple[str, str, int] | None = None
    parameters: int | None = None
    loss: float | None = None
    cells: dict[str, Measure] = field(default_factory=dict[str, Measure])
    flags: dict[str, int] = field(default_factory=dict[str, int])

    @property
    def told(self) -> Mapping[str, str]:
        """The first cells, in words."""
        loss, split, samples = self.data or ("", "", 0)
        return {
            "parameters": "–" if self.parameters is None else f"{self.parameters:,}",
            "samples": f"{samples:,} {split}".strip() if self.data else "–",
            "loss": "–" if self.loss is None else f"{significant(self.loss)}",
            "name": loss,
        }


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
    def groups(self) -> dict[str, list[Quantity]]:
        """The columns under their common heads."""
        found: dict[str, list[Quantity]] = {}
        for quantity in self.columns:
            found.setdefault(quantity.group, []).append(quantity)
        return found

    def with_some(self, columns: Sequence[Quantity], sparse: bool) -> dict[str, list[Row]]:
        """Return the rows, without those that have none of the columns unless they may be empty."""
        keys = {quantity.key for quantity in columns}
        found = {
            name: [row for row in rows if sparse or keys & set(row.cells)]
            for name, rows in self.rows.items()
        }
        return {name: rows for name, rows in found.items() if rows}


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
        if not found and (_checkpoint(result), result.modality) not in known:
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
    names = _names({row.checkpoint: None for row in rows})
    return Table(
        rows={name: [r for r in rows if r.checkpoint == key] for key, name in names.items()},
        columns=tuple(quantity for quantity in QUANTITIES if quantity.key in present),
        remarks=tuple(remarks),
    )


def _elsewhere(result: Result) -> bool:
    return isinstance(result, ContributionResult | GapResult)


def _checkpoint(result: Result) -> tuple[str, str]:
    provenance: Mapping[str, Any] = result.provenance
    tag = result.tag or str(provenance.get("checkpoint") or "model")
    return tag, str(provenance.get("checkpoint_sha256") or "")


def _row(rows: list[Row], result: Result, modality: str, keys: Iterable[str]) -> Row:
    """Return the row where these numbers belong and are not yet, made if there is none."""
    checkpoint = _checkpoint(result)
    provenance: Mapping[str, Any] = result.provenance
    data = (
        None
        if _elsewhere(result)
        else (result.loss, str(provenance.get("split") or ""), result.samples)
    )
    for row in rows:
        same = row.checkpoint == checkpoint and row.modality == modality
        if same and (data is None or row.data in (None, data)) and not set(keys) & set(row.cells):
            break
    else:
        row = Row(checkpoint=checkpoint, modality=modality)
        rows.append(row)
    if data is not None:
        row.data, row.loss = data, result.loss_value
    if modality == result.modality:
        row.parameters = result.parameters
    return row


def _names(checkpoints: Mapping[tuple[str, str], None]) -> dict[tuple[str, str], str]:
    """Return names of checkpoints, with the hash where two share one."""
    tags = [tag for tag, _ in checkpoints]
    return {
        key: key[0] if tags.count(key[0]) == 1 else f"{key[0]} ({key[1][:8] or 'no hash'})"
        for key in checkpoints
    }
