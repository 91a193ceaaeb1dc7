"""Results that are on the disk already, so that a command over many checkpoints can go on."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sharpscope.errors import MisuseError
from sharpscope.results import Outcome, Result, load
from sharpscope.results.base import plain
from sharpscope_cli.options import Request

if TYPE_CHECKING:
    from sharpscope.subject import Subject


def complete(kind: Any, given: Mapping[str, Any], **others: Any) -> dict[str, Any]:
    """Return all settings of an estimator's result, those left to their defaults included.

    Args:
        kind: The estimator.
        given: Settings; what is no setting of this kind is left out.
        others: What else tells two results apart.
    """
    known = {entry.name for entry in fields(kind)}
    return asdict(kind(**{k: v for k, v in given.items() if k in known})) | others


def _data(subject: "Subject") -> str:
    """Return the hash of the data, as a measurement would have it."""
    from sharpscope.subject.batches import fingerprint

    with subject.still():
        return fingerprint([fingerprint(batch) for batch in subject.walk()])


def already(
    request: Request,
    path: Path,
    subject: "Subject",
    modality: str,
    settings: Mapping[str, Any],
) -> Result | None:
    """Return the result at a path if this command would only measure it again.

    It must be of the same file, by its hash, of the same data, and made with the same settings.
    One that was not finite is measured again.

    Args:
        request: The shared options.
        path: Where the result would go.
        subject: What would be measured.
        modality: Name of the Selection.
        settings: As ``complete`` returns them.
    """
    if not path.is_file():
        return None
    try:
        found = load(path)
    except MisuseError:
        return None
    if not isinstance(found, Result) or found.outcome is Outcome.NOT_FINITE:
        return None
    wanted = {"modality": modality, "loss": request.loss}
    same = all(getattr(found, name) == value for name, value in wanted.items())
    known, theirs = plain(subject.provenance), plain(found.provenance)
    # Files may be named from elsewhere: the hash tells.
    same = same and all(theirs.get(k) == v for k, v in known.items() if k != "checkpoint")
    if same and theirs.get("data_fingerprint") != _data(subject):
        return None
    told = {"method": found.method, "seed": found.seed, **found.settings}
    return found if same and all(told.get(k) == v for k, v in settings.items()) else None
