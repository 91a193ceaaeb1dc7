"""A comparison as a table: rounded to its errors for people, in full for programs."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from sharpscope.checks import listed
from sharpscope.comparing.latex import escaped, latex
from sharpscope.comparing.rows import blocks, heads
from sharpscope.errors import MisuseError
from sharpscope.results.comparison import Comparison, Difference, Entry
from sharpscope.results.files import write_whole

_MARKS = re.compile(r"[\\|*_`\[\]]")
_PAIR = ("quantity", "modality", "name")


def write_table(found: Comparison, path: str | Path) -> Path:
    """Write a comparison into a file, whole or not at all; the format is that of the name.

    Raises:
        MisuseError: If the format is not known or the file cannot be written.
    """
    path = check_table(path)
    text = TABLES[path.suffix.lower()](found)
    write_whole(path, lambda file: file.write(text.encode()))
    return path


def check_table(path: str | Path, names: Iterable[str] = ()) -> Path:
    """Return the path if a table can have its format, and hold these names.

    Raises:
        MisuseError: If it cannot.
    """
    path = Path(path)
    if path.suffix.lower() not in TABLES:
        raise MisuseError(f"a table's file must end in {listed(TABLES)}; got {path}")
    if path.suffix.lower() == ".tex":
        for name in names:
            escaped(name)
    return path


def comma_separated(found: Comparison) -> str:
    """Return one line for each number, with its errors and its difference in full precision.

    Columns of the difference begin with ``difference``; those of an interval end in ``low`` and
    ``high``. Empty is what is not known or not finite.
    """
    lines = [_line(found, entry) for entry in found.entries]
    text = io.StringIO()
    names = list(dict.fromkeys(name for line in lines for name in line))
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


def markdown(found: Comparison) -> str:
    """Return a table for each quantity, the sentences and the notes."""
    parts: list[str] = []
    columns = heads(found)
    for block in blocks(found):
        parts += [f"### {_escaped(block.title)}", ""]
        parts.append(f"| {' | '.join(map(_escaped, columns))} |")
        parts.append("|---|---|" + "---:|" * (len(columns) - 3) + "---|")
        parts += [f"| {' | '.join(map(_escaped, row))} |" for row in block.rows]
        parts.append("")
    parts += [f"- {_escaped(sentence)}" for sentence in found.sentences]
    parts += ["", *(_escaped(note) for note in found.notes)]
    return "\n".join(parts).rstrip() + "\n"


def json_text(found: Comparison) -> str:
    """Return what ``save`` writes."""
    return json.dumps(found.to_dict(), indent=1, ensure_ascii=False) + "\n"


TABLES: Mapping[str, Callable[[Comparison], str]] = {
    ".csv": comma_separated,
    ".tex": latex,
    ".md": markdown,
    ".json": json_text,
}


def _line(found: Comparison, entry: Entry) -> dict[str, Any]:
    line: dict[str, Any] = {name: getattr(entry, name) for name in _PAIR}
    line |= {"unit": found.units.get(entry.quantity)} | asdict(entry)
    other = found.difference(entry.quantity, entry.modality, entry.name)
    for field in fields(Difference):
        if field.name in _PAIR:
            continue
        value = None if other is None else getattr(other, field.name)
        name = field.name if field.name == "difference" else f"difference_{field.name}"
        name = name.replace("difference_ratio", "ratio").replace("difference_verdict", "verdict")
        if field.name in ("interval", "measured", "ratio_interval"):
            low, high = value or (None, None)
            line |= {f"{name}_low": low, f"{name}_high": high}
        else:
            line[name] = "+".join(value) if isinstance(value, tuple) else value
    return line


def _escaped(text: str) -> str:
    return _MARKS.sub(r"\\\g<0>", text).replace("<", "&lt;")
