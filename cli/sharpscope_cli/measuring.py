"""What every measuring command does: each checkpoint, each encoder, one result at a time."""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from sharpscope.errors import MisuseError
from sharpscope.results import Result, check_writable, load, save_all
from sharpscope.results.store import file_in
from sharpscope_cli.already import already
from sharpscope_cli.options import Request
from sharpscope_cli.output import emit_json, emit_lines, own_stdout
from sharpscope_cli.params import as_typed, device_named
from sharpscope_cli.progress import Line, Watch

if TYPE_CHECKING:
    from sharpscope.subject import Selection, Subject

Measured = TypeVar("Measured", bound=Result)


def measure_all(
    request: Request,
    measure: Callable[["Subject", str, Watch], Measured],
    *,
    stem: str,
    bound: bool = False,
    check: Callable[["Selection"], None] = lambda _: None,
    together: Callable[["Subject", Sequence[str], Watch], dict[str, Measured] | None] | None = None,
    joined: Callable[[Sequence[str]], str] | None = None,
    settings: Callable[[], Mapping[str, Any]] | None = None,
) -> list[Measured]:
    """Measure what was asked for; results go to ``--out`` one by one, so that none is lost.

    Args:
        request: The shared options.
        measure: Called with subject, modality and watcher.
        stem: What file names in a folder begin with.
        bound: Whether the progress can only tell a bound on what is left.
        check: Called with each Selection before the first is measured; raises if it cannot be.
        together: Called with all modalities where none was named; returns their results, or None
            where one by one is cheaper.
        joined: Makes one name of all modalities where none was named.
        settings: Returns what results of this command are made with: with ``--resume`` those that
            are in ``--out`` already are not measured again.

    Raises:
        SharpscopeError: If something cannot be read, rebuilt, measured or written.
        KeyboardInterrupt: At Ctrl-C, with a sentence on what is on the disk.
    """
    from sharpscope.subject.containers import check_file

    _check_out(request)
    for path in request.checkpoints:
        check_file(path)
    device = device_named(request.device)
    results: list[Measured] = []
    saved: list[Path] = []
    interrupted = _telling_what_is_kept(request, results, saved)
    with interrupted, own_stdout(), as_typed(), Line(quiet=request.quiet) as line:
        for path, tag in zip(request.checkpoints, tags(request.checkpoints), strict=True):
            line.show(f"{tag}: loading")
            subject = _loaded(request, path, device)
            everything = subject.owners.modalities
            modalities = request.modalities or everything
            if request.joint:
                modalities = ("+".join(everything),)
            elif joined is not None and not request.modalities:
                modalities = (joined(everything),)
            for name in modalities:  # a wrong name costs nothing while nothing is measured
                check(subject.select(name))
            prefix = f"{tag} · " if len(request.checkpoints) > 1 else ""
            there = _there(request, stem, tag, subject, modalities, settings)
            found = None
            several = not request.modalities and len(modalities) > 1
            if together is not None and several and not there:
                line.show(f"{tag}: one by one or in one sweep?")
                watch = Watch(line, prefix + " and ".join(modalities), bound=bound)
                found = together(subject, modalities, watch)
            for name in modalities:
                if name in there:
                    results.append(cast("Measured", there[name]))
                    saved.append(_path(request, stem, tag, name))
                    continue
                watch = Watch(line, prefix + name, bound=bound)
                measured = measure(subject, name, watch) if found is None else found[name]
                result = replace(measured, tag=tag)
                results.append(result)
                if request.out is not None and _into_file(request):
                    saved.append(result.save(request.out))
                elif request.out is not None:
                    saved += save_all([result], request.out, stem, taken=saved)
    return results


def _there(
    request: Request,
    stem: str,
    tag: str,
    subject: "Subject",
    modalities: Sequence[str],
    settings: Callable[[], Mapping[str, Any]] | None,
) -> dict[str, Result]:
    """Return what ``--out`` holds already of a checkpoint, where that is not measured again."""
    if not request.resume or settings is None:
        return {}
    found = {
        name: already(request, _path(request, stem, tag, name), subject, name, settings())
        for name in modalities
    }
    return {name: result for name, result in found.items() if result is not None}


def _path(request: Request, stem: str, tag: str, modality: str) -> Path:
    """Return where a result goes under ``--out``."""
    assert request.out is not None  # --resume without it is refused
    if _into_file(request):
        return request.out
    return file_in(request.out, stem, tag, modality)


def each_loaded(request: Request) -> Generator[tuple[Path, "Subject"]]:
    """Yield each checkpoint with its subject, as it will be measured; progress on the line."""
    from sharpscope.subject.containers import check_file

    for path in request.checkpoints:
        check_file(path)
    device = device_named(request.device)
    with own_stdout(), as_typed(), Line(quiet=request.quiet) as line:
        for path in request.checkpoints:
            line.show(f"{path.stem}: its loss")
            yield path, _loaded(request, path, device)


def out_of(request: Request, stem: str, subject: "Subject", modality: str) -> Path | None:
    """Return a name for what is kept on the way to a result; None where nothing is saved."""
    if request.out is None or _into_file(request):
        return request.out
    path = Path(subject.provenance["checkpoint"])
    tag = dict(zip(request.checkpoints, tags(request.checkpoints), strict=True)).get(path, "")
    return file_in(request.out, stem, tag, modality)


def tags(paths: Sequence[Path]) -> list[str]:
    """Return a short name for each checkpoint, no two alike.

    Example:
        >>> tags([Path("a/last.pt"), Path("b/last.pt"), Path("b/best.pt")])
        ['a-last', 'b-last', 'best']
    """
    stems = [path.stem for path in paths]
    named = [
        f"{path.resolve().parent.name}-{path.stem}" if stems.count(path.stem) > 1 else path.stem
        for path in paths
    ]
    seen: dict[str, int] = {}
    unique: list[str] = []
    for name in named:
        seen[name] = seen.get(name, 0) + 1
        unique.append(name if seen[name] == 1 else f"{name}-{seen[name]}")
    return unique


def other_split(request: Request, subject: "Subject", split: str) -> "Subject | None":
    """Return the same checkpoint on another split, whole; None where there is no such split."""
    try:
        found = _subject(
            request, Path(subject.provenance["checkpoint"]), str(subject.device), split
        )
    except MisuseError:
        return None
    return found


def _loaded(request: Request, path: Path, device: str) -> "Subject":
    subject = _subject(request, path, device, request.split, samples=request.samples)
    subject.loss(request.loss)  # an unknown loss is refused before any work
    return subject


def _subject(
    request: Request, path: Path, device: str, split: str | None, *, samples: int | None = None
) -> "Subject":
    from sharpscope.subject.rebuild import load_subject

    return load_subject(
        path,
        request.spec,
        split=split,
        samples=samples,
        batch_size=request.batch_size,
        device=device,
        dtype=request.dtype,
        replay=request.replay,
        memory=request.memory,
        trust=request.trust,
    )


@contextmanager
def _telling_what_is_kept(
    request: Request, results: Sequence[Result], saved: Sequence[Path]
) -> Generator[None]:
    """Let Ctrl-C through with a sentence on which results are on the disk."""
    try:
        yield
    except KeyboardInterrupt as error:
        kept = ""
        begun = _begun(request)
        if begun and not saved:
            kept = f"Kept the points so far in {begun}: repeat the command to go on."
        elif saved and _into_file(request):
            kept = f"Kept {saved[0]}"
        elif saved:
            kept = f"Kept in {request.out}: {', '.join(path.name for path in saved)}"
        elif request.out is not None:
            kept = "Nothing was written."
        elif results:
            names = ", ".join(f"{result.tag} · {result.modality}" for result in results)
            kept = f"Finished and lost: {names}; --out FOLDER keeps each result as it comes."
        raise KeyboardInterrupt(kept) from error


def _into_file(request: Request) -> bool:
    """Return whether ``--out`` is the one result's file; a folder that is there is a folder."""
    return request.single and request.out is not None and not request.out.is_dir()


def _begun(request: Request) -> Path | None:
    """Return where points of a landscape wait for the command to be repeated."""
    if request.out is None:
        return None
    if request.out.is_dir():
        return next(iter(sorted(request.out.glob("*.points"))), None)
    beside = request.out.with_name(f"{request.out.name}.points")
    return beside if beside.is_file() else None


def _check_out(request: Request) -> None:
    """Prove that ``--out`` can be written before minutes are spent on what goes there."""
    if request.out is None:
        if request.resume:
            raise MisuseError("--resume goes on with what --out holds: name it")
        return
    if _into_file(request):
        _refuse_to_replace(request.out)
        check_writable(request.out)
        return
    if request.out.is_file() or (request.out.suffix == ".json" and not request.out.is_dir()):
        raise MisuseError(
            f"--out {request.out} names a file and several results can come: name a folder, such "
            f"as {request.out.with_suffix('')}/, or ask for one result with "
            + ("one checkpoint" if len(request.checkpoints) > 1 else "one --modality")
            + ("" if request.joint or len(request.checkpoints) == 1 else " and one --modality")
        )
    check_writable(request.out / "results.json")


def _refuse_to_replace(path: Path) -> None:
    """Let ``--out`` replace an earlier result and nothing else, least of all a checkpoint."""
    if not path.is_file():
        return
    try:
        load(path)
    except MisuseError as error:
        raise MisuseError(
            f"--out {path} is there already and is no sharpscope result; it would be lost: name "
            "another file"
        ) from error


def only_given(**settings: Any) -> dict[str, Any]:
    """Return the settings that were given; the library knows the defaults of the others."""
    return {name: value for name, value in settings.items() if value is not None}


def report(
    request: Request,
    results: list[Measured],
    show: Callable[[list[Measured]], None],
    *,
    drawn: Path | None = None,
) -> None:
    """Print results as one JSON value, or as text that ends with where they were saved."""
    if request.as_json:
        entries = [result.to_dict() for result in results]
        emit_json(entries[0] if request.single else entries)
        return
    show(results)
    if request.out is not None and not request.quiet:
        emit_lines([f"Saved {request.out}"])
    if drawn is not None and not request.quiet:
        emit_lines([f"Drew {drawn}"])
