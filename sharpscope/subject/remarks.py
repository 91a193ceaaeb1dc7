"""Sentences that a reader of a product must know."""

from collections.abc import Sequence

from sharpscope.replay import Tape
from sharpscope.subject.selection import Selection


def remarks(
    selection: Selection,
    *,
    asked: int | None,
    there: int,
    frozen: int,
    used: Sequence[bool],
    cheap: bool = True,
    tape: Tape | None,
) -> list[str]:
    """Return notes on what was measured.

    Args:
        selection: The parameters.
        asked: Samples asked for.
        there: Samples that there are.
        frozen: Parameters that are frozen.
        used: Whether each parameter tensor has an effect on the loss.
        cheap: Whether layers of our own were used.
        tape: What was played back.
    """
    notes: list[str] = []
    if asked is not None and asked > there:
        notes.append(
            f"{asked:,} samples were asked for and there are only {there:,}: all of them "
            "were measured."
        )
    if frozen:
        notes.append(
            f"{frozen:,} of the {selection.dim:,} parameters are frozen; they were measured "
            "and given back frozen."
        )
    unused = [n for n, u in zip(selection.names, used, strict=True) if not u] if used else []
    if unused:
        shown = ", ".join(unused[:3]) + (", ..." if len(unused) > 3 else "")
        notes.append(
            f"{len(unused)} of the {len(used)} parameter tensors have no effect on the loss "
            f"and a zero block ({shown})."
        )
    if not cheap:
        notes.append(
            "Second derivatives were left to torch: a gradient through cheaper layers of "
            "sharpscope's own was another one."
        )
    if tape is not None:
        notes.extend(tape.notes())
    return notes
