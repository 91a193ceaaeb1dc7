"""The results in a folder, and what in it is none."""

from dataclasses import dataclass
from pathlib import Path

from sharpscope.errors import MisuseError
from sharpscope.results import Comparison, MonitorRecord, Record, Result, load
from sharpscope.results.monitor import BESIDE


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """What a report is of.

    Args:
        folder: Where it was found.
        records: By path below the folder.
        left_out: Files that look like results and cannot be read, each with the reason.
    """

    folder: Path
    records: dict[str, Record]
    left_out: dict[str, str]

    @property
    def results(self) -> dict[str, Result]:
        """The measurements among the records."""
        return {path: one for path, one in self.records.items() if isinstance(one, Result)}

    @property
    def comparisons(self) -> dict[str, Comparison]:
        """The comparisons among them, whose numbers are differences."""
        return {path: one for path, one in self.records.items() if isinstance(one, Comparison)}

    @property
    def title(self) -> str:
        """The checkpoints, or the folder where there are many."""
        tags = list(dict.fromkeys(one.tag for one in self.records.values() if one.tag))
        return ", ".join(tags) if 0 < len(tags) <= 3 else self.folder.resolve().name


def gather(folder: str | Path) -> Gathered:
    """Return every result below a folder.

    Raises:
        MisuseError: If there is no such folder, or no result in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        told = "is a file" if folder.exists() else "is not there"
        raise MisuseError(f"a report is of the results in a folder; {folder} {told}")
    records: dict[str, Record] = {}
    left_out: dict[str, str] = {}
    # What a monitor writes grows by lines; other files of that kind are not of this library.
    for path in sorted([*folder.rglob("*.json"), *folder.rglob(f"*{BESIDE}")]):
        name = str(path.relative_to(folder))
        try:
            found = load(path)
            repr(found)  # what has the wrong types inside is found here, not in the table
        except MisuseError as error:
            left_out[name] = str(error).removeprefix(f"{path} ")
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            left_out[name] = f"is damaged: {error}"
        else:
            if isinstance(found, MonitorRecord) and not found.measurements:
                left_out[name] = "has no measurement yet"
                continue
            records[name] = found
    if not records:
        others = f"; none of its {len(left_out)} JSON files is one" if left_out else ""
        raise MisuseError(
            f"{folder} holds no sharpscope result{others}: save some with --out {folder}"
        )
    return Gathered(folder=folder, records=_ordered(records), left_out=left_out)


def _ordered(records: dict[str, Record]) -> dict[str, Record]:
    """Return them by checkpoint, modalities in the order of their recipe."""
    tags = list(dict.fromkeys(record.tag for record in records.values()))

    def place(entry: tuple[str, Record]) -> tuple[int, int, str]:
        path, record = entry
        order: list[str] = []
        if isinstance(record, Result):
            settings = (record.provenance.get("recipe") or {}).get("settings") or {}
            order = str(settings.get("modalities", "")).split("+")
        modality = getattr(record, "modality", "")
        found = order.index(modality) if modality in order else len(order)
        return tags.index(record.tag), found, path

    return dict(sorted(records.items(), key=place))
