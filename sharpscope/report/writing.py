"""A report as one file."""

from importlib.metadata import version
from pathlib import Path

from sharpscope.errors import MisuseError
from sharpscope.figures.interactive import Panels, look
from sharpscope.figures.page import described, environment
from sharpscope.report.bands import PAPER, SCREEN, bands
from sharpscope.report.facts import about, facts_of
from sharpscope.report.gather import Gathered, gather
from sharpscope.report.table import tabulate
from sharpscope.results import check_writable, write_whole


def write_report(source: str | Path | Gathered, out: str | Path | None = None) -> Path:
    """Write everything that the results in a folder say into one HTML file, and return its path.

    The file needs no network. The table comes first, then the figures, then how each number came
    about and what it means.

    Args:
        source: Where the results are, folders inside it as well; or what ``gather`` found there.
        out: The file; ``report.html`` in the folder if left out.

    Raises:
        MisuseError: If there is no result, or the file cannot be written; nothing is left
            half-written.

    Example:
        >>> write_report("runs/late-and-masam")  # doctest: +SKIP
        PosixPath('runs/late-and-masam/report.html')
    """
    folder = source.folder if isinstance(source, Gathered) else source
    path = check_report(folder, out)
    content = render(source if isinstance(source, Gathered) else gather(source)).encode()
    write_whole(path, lambda file: file.write(content))
    return path


def check_report(folder: str | Path, out: str | Path | None = None) -> Path:
    """Return where the report goes, if there are results and it can be written.

    Raises:
        MisuseError: If not.
    """
    path = Path(folder) / "report.html" if out is None else Path(out)
    if path.suffix.lower() not in (".html", ".htm"):
        raise MisuseError(f"a report's file must end in .html; got {path}")
    if not Path(folder).is_dir():
        gather(folder)  # says why it is no folder, and none is made for the report
    return check_writable(path)


def render(found: Gathered) -> str:
    """Return the page."""
    table = tabulate(list(found.results.values()))
    return (
        environment("sharpscope.report")
        .get_template("report.html")
        .render(
            title=f"Flatness report: {found.title}",
            version=version("sharpscope"),
            table=table,
            wide=bands(table, SCREEN),
            narrow=bands(table, PAPER),
            counted=_counted(len(found.records)),
            comparisons=found.comparisons,
            differences={path: about(one) for path, one in found.comparisons.items()},
            facts=[facts_of(path, record) for path, record in found.records.items()],
            left_out=found.left_out,
            **described(_figures(found)),
        )
    )


def _figures(found: Gathered) -> tuple[Panels, ...]:
    try:
        return look(list(found.records.values()))
    except MisuseError:  # no finite number: the table says so
        return ()


def _counted(number: int) -> str:
    return "1 result" if number == 1 else f"{number} results"
