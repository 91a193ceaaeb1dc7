"""Where the numbers of a comparison come from: saved results, or checkpoints measured now."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sharpscope.comparing import check_same_planes
from sharpscope.comparing.matching import Course, common_loss, run_of, shares
from sharpscope.comparing.sources import (
    are_results,
    expanded,
    grouped,
    kept_of,
    named_apart,
    read_results,
)
from sharpscope.errors import MisuseError, SharpscopeError
from sharpscope.results import LandscapeResult, Result, load
from sharpscope.results.kept import kept
from sharpscope_cli.options import Request

if TYPE_CHECKING:
    from sharpscope.subject import Subject

MEASURES = ("trace", "eigen", "sharpness", "gap")
_DEFAULT = ("trace", "eigen")
Results = Mapping[str, Sequence[Result]] | Sequence[Result]


def sources(
    request: Request,
    paths: Sequence[str],
    groups: Sequence[tuple[str, str]],
    measures: Sequence[str] | None,
    *,
    match: bool,
) -> Results:
    """Return the results to compare, by group where groups were named.

    Raises:
        SharpscopeError: If nothing is named, or something cannot be read or measured.
    """
    if paths and groups:
        raise MisuseError(
            f"name checkpoints or groups, not both; got {paths[0]} and --group {groups[0][0]}"
        )
    named = grouped(groups)
    everything = [one for path in paths for one in expanded(path)]
    everything += [one for found in named.values() for one in found]
    if not everything:
        raise MisuseError("name at least two checkpoints, folders of results, or --group")
    if are_results(everything):
        if request.out is not None:
            raise MisuseError("--keep keeps what is measured, and saved results are not measured")
        read = {path: _chosen(path, measures) for path in everything}
        if not named:
            return named_apart(read)
        return {
            name: named_apart({path: read[path] for path in found}) for name, found in named.items()
        }
    if len(everything) < 2:
        raise MisuseError(f"compare needs at least two checkpoints; got {everything[0]} alone")
    if request.spec is None:  # a spec wins over the recipes in the files
        _check_different(everything)
    found = measured(request, everything, measures or _DEFAULT, match=match)
    if not named:
        return [result for path in everything for result in found[path]]
    return {
        name: [result for path in several for result in found[path]]
        for name, several in named.items()
    }


# Points of a plane of ``--planes``: what one sees in a panel of a grid of figures.
_PLANE = (21, 21)


def planes_of(
    request: Request, paths: Sequence[str], groups: Sequence[tuple[str, str]]
) -> list[LandscapeResult]:
    """Return landscapes of all that is compared: those saved, or measured now on one grid.

    Raises:
        SharpscopeError: If there are none, they differ in more than the model, or measuring fails.
    """
    named = grouped(groups)
    everything = [one for path in paths for one in expanded(path)]
    everything += [one for found in named.values() for one in found]
    if are_results(everything):
        files = [f for p in everything for f in (sorted(p.glob("*.json")) if p.is_dir() else [p])]
        found = [one for one in map(load, files) if isinstance(one, LandscapeResult)]
        if not found:
            raise MisuseError(
                "--planes draws landscapes, and the saved results hold none: sharpscope landscape "
                "--out measures them"
            )
    else:
        found = _planes(replace(request, checkpoints=tuple(everything)))
    check_same_planes(found)
    return found


def _planes(request: Request) -> list[LandscapeResult]:
    from sharpscope.measure import landscape
    from sharpscope_cli.measuring import measure_all, only_given

    def measure(subject: Any, modality: str, watch: Any) -> LandscapeResult:
        return landscape(
            subject,
            modality,
            shape=_PLANE,
            loss=request.loss,
            seed=request.seed,
            watcher=watch.tell,
            **only_given(max_seconds=request.max_seconds),
        )

    return measure_all(request, measure, stem="landscape")


def _chosen(path: Path, measures: Sequence[str] | None) -> list[Result]:
    """Return the results of a file or a folder that are of the measures asked for."""
    found = read_results(path)
    if measures is None:
        return found
    schemas = [f"sharpscope/{name}" for name in measures]
    chosen = [result for result in found if result.schema in schemas]
    if not chosen:
        raise MisuseError(f"{path} holds no result of --measure {','.join(measures)}")
    return chosen


def measured(
    request: Request, paths: Sequence[Path], measures: Sequence[str], *, match: bool
) -> dict[Path, list[Result]]:
    """Return what was measured of each run: of it, or of the kept checkpoints that match."""
    from sharpscope_cli.measuring import measure_all, tags

    check_keep(request)
    chosen = {path: [path] for path in paths}
    if match:
        if request.split not in (None, "train"):
            raise MisuseError(
                f"--match train-loss needs --split train; got --split {request.split}"
            )
        chosen = matching(request, paths)
    files = [file for several in chosen.values() for file in several]
    runs = _names(chosen, tags(list(chosen)))
    named = dict(zip(tags(files), zip(files, runs, strict=True), strict=True))
    found: dict[Path, list[Result]] = {file: [] for file in files}
    for name in measures:
        asked = replace(request, checkpoints=tuple(files), joint=name == "gap")
        for result in measure_all(asked, _measure(asked, name), stem=name):
            file, run = named[result.tag]
            found[file].append(replace(result, tag=run))
    return {
        path: [result for file in several for result in found[file]]
        for path, several in chosen.items()
    }


def matching(request: Request, paths: Sequence[Path]) -> dict[Path, list[Path]]:
    """Return for each run the kept checkpoints on either side of the common train loss.

    Raises:
        MisuseError: If one was kept of another recipe, or does not tell its epoch.
    """
    from sharpscope_cli.measuring import each_loaded

    kept = {path: kept_of(path) for path in paths}
    courses: dict[Path, tuple[Course, list[Path]]] = {}
    losses: dict[Path, tuple[int, float]] = {}
    recipes: dict[Path, Any] = {}
    files = [file for several in kept.values() for file in several]
    for file, subject in each_loaded(replace(request, checkpoints=tuple(files))):
        losses[file] = _epoch(subject), subject.census(request.loss).loss_value
        recipes[file] = subject.provenance.get("recipe")
    for path, several in kept.items():
        for file in several:  # a run over fewer epochs leaves the last ones of the one before it
            if recipes[file] != recipes[path]:
                raise MisuseError(
                    f"{file} was kept of another recipe than {path} has: move it away, it is of an "
                    "earlier run"
                )
        # The last kept checkpoint and the final one are of the same epoch: the kept one counts.
        epochs = {losses[file][0]: file for file in reversed(several)}
        ordered = [epochs[epoch] for epoch in sorted(epochs)]
        course = Course(
            run_of(path.stem), tuple(sorted(epochs)), tuple(losses[file][1] for file in ordered)
        )
        courses[path] = course, ordered
    target = common_loss([course for course, _ in courses.values()])
    return {
        path: [ordered[place] for place, _ in shares(course, target)]
        for path, (course, ordered) in courses.items()
    }


def check_keep(request: Request) -> None:
    """Prove that ``--keep`` can be a folder before anything is measured.

    Raises:
        MisuseError: If it is a file, or named as one.
    """
    if request.out is not None and (request.out.is_file() or request.out.suffix == ".json"):
        raise MisuseError(
            f"--keep {request.out} names a file and several results come: name a "
            f"folder, such as {request.out.with_suffix('')}/"
        )


def _epoch(subject: "Subject") -> int:
    epoch = subject.provenance.get("epoch")
    if not isinstance(epoch, int):
        raise MisuseError(
            f"{subject.provenance.get('checkpoint')} does not tell after which epoch it was kept"
        )
    return epoch


def _names(chosen: Mapping[Path, Sequence[Path]], names: Sequence[str]) -> list[str]:
    """Return a tag for each file: that of its run, with the epoch it was kept after."""
    return [
        name if file == path and len(several) == 1 else _tag(name, file)
        for name, (path, several) in zip(names, chosen.items(), strict=True)
        for file in several
    ]


def _tag(name: str, file: Path) -> str:
    epoch = kept(file).epoch
    return name if epoch is None else f"{kept(name).run}.epoch{epoch:04d}"


def _check_different(paths: Sequence[Path]) -> None:
    """Refuse one checkpoint twice, and those whose recipes have no data in common.

    Raises:
        MisuseError: If there are any.
    """
    from sharpscope.subject.checkpoints import read_checkpoint

    trained: dict[str, Path] = {}
    for number, path in enumerate(paths):
        if path.resolve() in [other.resolve() for other in paths[:number]]:
            raise MisuseError(f"{path} is named twice: a comparison needs different checkpoints")
        try:
            recipe = read_checkpoint(path).recipe
        except SharpscopeError:  # told where it is measured, which knows whether it is trusted
            continue
        if recipe is not None:
            trained.setdefault(f"{recipe['dataset']}:{recipe['preset']}", path)
    if len(trained) > 1:
        (one, path), (other, second) = list(trained.items())[:2]
        raise MisuseError(
            f"{path} was trained on {one} and {second} on {other}: models of other data have "
            "nothing to compare"
        )


def _measure(request: Request, name: str) -> Callable[..., Any]:
    """Return what measures one encoder of one subject."""
    from sharpscope.measure import eigenvalues, sharpness, trace
    from sharpscope_cli.gap import gap_of
    from sharpscope_cli.measuring import only_given

    common: dict[str, Any] = {"loss": request.loss, "seed": request.seed}
    limit = only_given(max_seconds=request.max_seconds)

    def measure(subject: Any, modality: str, watch: Any) -> Any:
        if name == "gap":
            return gap_of(request, subject, watch)
        if name == "sharpness":
            return sharpness(subject, modality, watcher=watch.tell, **common, **limit)
        if name == "eigen":
            return eigenvalues(
                subject, modality, budget=request.budget, watcher=watch, **common, **limit
            )
        return trace(
            subject,
            modality,
            rtol=request.rtol,
            budget=request.budget,
            watcher=watch,
            **common,
            **limit,
        )

    return measure
