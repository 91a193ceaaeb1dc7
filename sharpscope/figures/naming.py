"""What the curves and bars of a figure are called: the method, and what else differs."""

import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from sharpscope.errors import MisuseError
from sharpscope.results import MonitorRecord, Record, Result, RunRecord
from sharpscope.results.kept import kept
from sharpscope.results.monitor import BESIDE

METHOD_WORDS = {
    "joint": "joint",
    "late": "late fusion",
    "sam": "SAM",
    "asam": "ASAM",
    "msam": "M-SAM",
    "masam": "MASAM",
}
SETTING_WORDS = {
    "rho": "ρ",
    "alpha": "α",
    "beta": "β",
    "lr": "learning rate",
    "label_noise": "label noise rate",
    "unimodal_weight": "unimodal weight λ",
    "weight_decay": "weight decay",
    "batch_size": "batch size",
}
Some = TypeVar("Some", bound=Record)


def recipe_of(record: Record) -> Mapping[str, Any] | None:
    """Return the recipe behind a run or a measurement; None of somebody else's checkpoint."""
    if isinstance(record, RunRecord):
        return record.recipe
    measured = isinstance(record, Result | MonitorRecord)
    return record.provenance.get("recipe") if measured else None


def epoch_of(record: Record) -> int | None:
    """Return the epoch of the checkpoint that was measured, where it is known."""
    return record.provenance.get("epoch") if isinstance(record, Result) else None


def seed_of(record: Record) -> int | None:
    """Return the seed of the training, where it is known."""
    recipe = recipe_of(record)
    return None if recipe is None else recipe["seed"]


def modalities_of(results: Sequence[Result]) -> list[str]:
    """Return the Selections of results: encoders in their model's order, then any others."""
    met = list(dict.fromkeys(result.modality for result in results))
    order: dict[str, None] = {}
    for result in results:
        recipe = recipe_of(result)
        if recipe is not None:
            order |= dict.fromkeys(str(recipe["settings"]["modalities"]).split("+"))
    return [name for name in order if name in met] + [name for name in met if name not in order]


def setting_words(name: str) -> str:
    """Return what an axis calls a setting."""
    return SETTING_WORDS.get(name, name.replace("_", " "))


def named(
    records: Sequence[Some], *, epochs: bool = True, apart: Sequence[str] = ()
) -> dict[str, list[Some]]:
    """Return records by name, in their order: runs that differ in nothing but the seed share one.

    A name is the method with the settings that differ within it; a tag that is not made from the
    file's name is one already.

    Args:
        records: Runs or measurements.
        epochs: Whether another epoch is another name.
        apart: Settings that make no other name, such as the one along x.
    """
    recipes = [recipe_of(record) for record in records]
    datasets = {_data(recipe) for recipe in recipes if recipe}
    told = {epoch_of(record) for record in records} if epochs else set[int | None]()
    folders = _folders(records)
    groups: dict[str, list[Some]] = {}
    for record, recipe in zip(records, recipes, strict=True):
        parts = [_given(record)] if _given(record) else []
        if not parts and recipe is not None:
            alike = [other for other in recipes if other and other["method"] == recipe["method"]]
            method = METHOD_WORDS.get(recipe["method"], recipe["method"])
            parts = [*([_data(recipe)] if len(datasets) > 1 else []), method]
            parts += _differing(recipe, alike, apart)
        elif not parts:
            parts = [_from_file(record)]
            # Files of one name in two folders are of two runs.
            if len(folders.get(parts[0], ())) > 1:
                parts = [str(Path(_folder(record)) / parts[0])]
        if len(told) > 1 and epoch_of(record) is not None:
            parts.append(f"epoch {epoch_of(record)}")
        groups.setdefault(", ".join(part for part in parts if part), []).append(record)
    return groups


def each_named(results: Sequence[Result]) -> list[str]:
    """Return a name for each result, with its seed, else its tag, where two would be alike."""
    shared: dict[int, str] = {}
    for name, found in named(results).items():
        for result in found:
            twins = [other for other in found if other.modality == result.modality]
            seeds = [seed_of(other) for other in twins]
            if len(twins) > 1 and None not in seeds and len(set(seeds)) == len(seeds):
                shared[id(result)] = f"{name}, seed {seed_of(result)}"
            else:
                shared[id(result)] = (result.tag or name) if len(twins) > 1 else name
    return [shared[id(result)] for result in results]


def check_distinct(
    groups: Mapping[str, Sequence[Some]], what: Callable[[Some], tuple[Hashable, ...]]
) -> None:
    """Refuse a second record of the same name, seed and ``what``, which nothing tells apart.

    Raises:
        MisuseError: If there is one.
    """
    for name, records in groups.items():
        seen: set[tuple[Hashable, ...]] = set()
        for record in records:
            key = (seed_of(record), *what(record))
            if key in seen:
                told = ", ".join(str(part) for part in what(record))
                seed = "" if seed_of(record) is None else f", seed {seed_of(record)}"
                raise MisuseError(
                    f"two records of {name}{seed} ({told}) differ in nothing that a figure could "
                    "name: leave one out, or give them tags"
                )
            seen.add(key)


def _given(record: Record) -> str | None:
    """Return the tag if somebody chose it; the command line makes them from file names.

    A tag that is no more than the registered name of the method tells what the recipe does.
    """
    recipe = recipe_of(record)
    if record.tag is None or (recipe is not None and record.tag == recipe["method"]):
        return None
    path = _path_of(record)
    return None if path is not None and _made_from(record.tag, path) else record.tag


def _made_from(tag: str, path: Path) -> bool:
    """Whether the command line gives this tag to the file: its stem, after its folder if need be.

    A number tells files of one name in one folder apart, and the epoch those of one run.
    """
    folder = f"(?:{re.escape(path.resolve().parent.name)}-)?"
    pattern = rf"{folder}{re.escape(path.stem)}(?:-\d+)?"
    return any(re.fullmatch(pattern, name) for name in (tag, kept(tag).run))


def _folders(records: Sequence[Record]) -> dict[str, list[str]]:
    """Return the folders that files without a recipe are in, by the name of their run."""
    found: dict[str, list[str]] = {}
    for record in records:
        if not isinstance(record, RunRecord) and recipe_of(record) is None:
            found.setdefault(_from_file(record), []).append(_folder(record))
    return {name: list(dict.fromkeys(folders)) for name, folders in found.items()}


def _folder(record: Record) -> str:
    path = _path_of(record)
    return "" if path is None else str(path.parent)


def _path_of(record: Record) -> Path | None:
    """Return the checkpoint that was measured, or beside which a monitor's file lies."""
    path: Any = None
    if isinstance(record, RunRecord):
        path = record.checkpoint
    elif isinstance(record, MonitorRecord):
        path = str(record.provenance.get("file") or "").removesuffix(BESIDE)
    elif isinstance(record, Result):
        path = record.provenance.get("checkpoint")
    return Path(str(path)) if path else None


def _from_file(record: Record) -> str:
    """Return the name of a file without the epoch in it."""
    return kept(record.tag or "model").run


def _differing(
    recipe: Mapping[str, Any], alike: Sequence[Mapping[str, Any]], apart: Sequence[str]
) -> list[str]:
    parts: list[str] = []
    for name, value in recipe["settings"].items():
        others = [other["settings"].get(name) for other in alike]
        if name not in apart and any(other != value for other in others):
            shown = f"{value:g}" if isinstance(value, int | float) else value
            parts.append(f"{setting_words(name)} = {shown}")
    if any(other["epochs"] != recipe["epochs"] for other in alike):
        parts.append(f"{recipe['epochs']} epochs")
    return parts


def _data(recipe: Mapping[str, Any]) -> str:
    return f"{recipe['dataset']}:{recipe['preset']}"
