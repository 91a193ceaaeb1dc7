"""The sentences that captions share: on what data, with which settings, over which seeds."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sharpscope.figures.naming import METHOD_WORDS, named, recipe_of, seed_of, setting_words
from sharpscope.results import Record, Result, RunRecord

# A single seed has the error of its own measurement.
ERROR_OVER_SEEDS = (
    "error bars are one standard error of the mean, of a single seed that of its measurement"
)
SPLITS = {"train": "training", "val": "validation", "test": "test"}


def caption(*sentences: str) -> str:
    """Return sentences as one text; empty ones are left out, each gets its full stop."""
    return " ".join(f"{_capital(text).rstrip('.')}." for text in sentences if text)


def said(values: Iterable[Any], *, ending: str = "and") -> str:
    """Return different values as ``a, b and c``, in the order met.

    Example:
        >>> said([1, 2, 2, 3])
        '1, 2 and 3'
    """
    shown = list(dict.fromkeys(str(value) for value in values))
    if len(shown) < 2:
        return "".join(shown)
    return f"{', '.join(shown[:-1])} {ending} {shown[-1]}"


def spanned(numbers: Iterable[float], form: str = ",g") -> str:
    """Return ``300`` where all are equal and ``280 to 300`` where they are not."""
    found = sorted(set(numbers))
    if not found:
        return "none"
    ends = [format(number, form) for number in (found[0], found[-1])]
    return ends[0] if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}"


def data_of(results: Sequence[Result]) -> str:
    """Return the loss and what it was averaged over."""
    losses = said(result.loss for result in results)
    splits = said(_split(result) for result in results if _split(result))
    samples = spanned(result.samples for result in results)
    data = said(dict.fromkeys(_dataset(result) for result in results if _dataset(result)))
    of = f" of {data}" if data else ""
    return f"{losses} loss, mean over {' '.join(filter(None, (samples, splits)))} samples{of}"


def setting_of(records: Sequence[Result | RunRecord], name: str) -> str:
    """Return the values of a setting, where there are any."""
    found = {str(value) for record in records if (value := record.settings.get(name)) is not None}
    return said(sorted(found))


def seeds_of(records: Sequence[Record]) -> str:
    """Return the seeds of training, and those of the measurement's own draws."""
    training = sorted({seed for record in records if (seed := seed_of(record)) is not None})
    drawing = sorted({record.seed for record in records if isinstance(record, Result)})
    parts: list[str] = []
    if training:
        parts.append(f"training {'seed' if len(training) == 1 else 'seeds'} {said(training)}")
    if drawing:
        parts.append(
            f"{'seed' if len(drawing) == 1 else 'seeds'} {said(drawing)} of the random draws"
        )
    return ", ".join(parts)


def runs_of(runs: Sequence[RunRecord]) -> str:
    """Return what was trained, how long, and by which methods with their settings."""
    data = said(_dataset(run) for run in runs)
    epochs = spanned(run.recipe["epochs"] for run in runs)
    return f"{data}, {epochs} epochs; {methods_of(runs)}"


def methods_of(records: Sequence[Record]) -> str:
    """Return the methods behind records with their settings; nothing of foreign checkpoints."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for record in records:
        recipe = recipe_of(record)
        if recipe is not None:
            found.setdefault(str(recipe["method"]), []).append(recipe)
    return said(_settings(method, recipes) for method, recipes in found.items())


def counted(groups: Mapping[str, Sequence[Any]]) -> str:
    """Return how many seeds stand behind each name, where there is more than one."""
    counts = {name: _seeds(group) for name, group in groups.items() if group}
    if max((max(found) for found in counts.values()), default=0) < 2:
        return ""
    told = {name: spanned(found) for name, found in counts.items()}
    if len(set(told.values())) == 1:
        return f"{next(iter(told.values()))} seeds each"
    return "; ".join(
        f"{count} {'seed' if count == '1' else 'seeds'} of {name}" for name, count in told.items()
    )


def means_of(groups: Mapping[str, Sequence[Any]], single: str) -> str:
    """Return what lines and bands over epochs are; ``single`` is what the band of one seed is."""
    several = counted(groups)
    if not several:
        return single
    counts = {count for group in groups.values() for count in _seeds(group)}
    bands = "bands their 95 % intervals by Student's t"
    if 2 in counts:
        pairs = "bands reach from one seed to the other"
        bands = pairs if max(counts) == 2 else f"{bands}, of two seeds from one to the other"
    lone = f"; of a single seed {single}" if 1 in counts else ""
    return f"lines are means over seeds ({several}), {bands}{lone}"


def _seeds(group: Sequence[Any]) -> set[int]:
    """Return how many seeds there are, of the encoders that have the most and the fewest."""
    found: dict[Any, set[int | None]] = {}
    for record in group:
        found.setdefault(getattr(record, "modality", None), set()).add(seed_of(record))
    return {len(seeds) for seeds in found.values()}


def named_counts(records: Sequence[Record], **how: Any) -> str:
    """Return ``counted`` of records that are not grouped yet."""
    return counted(named(records, **how))


def _settings(method: str, recipes: Sequence[Mapping[str, Any]]) -> str:
    """Return a method with those of its own settings that a reader asks for first."""
    told: list[str] = []
    for name in ("rho", "alpha", "beta", "unimodal_weight", "lr"):
        values = [r["settings"][name] for r in recipes if name in r["settings"]]
        if values:
            told.append(f"{setting_words(name)} = {spanned(values, 'g')}")
    word = METHOD_WORDS.get(method, method)
    return f"{word} ({', '.join(told)})" if told else word


def _capital(text: str) -> str:
    """Return a text that begins with a capital; a Greek letter is a symbol and stays."""
    return f"{text[0].upper()}{text[1:]}" if text[0].isascii() else text


def _split(result: Result) -> str:
    split = result.provenance.get("split")
    return "" if split is None else SPLITS.get(split, str(split))


def _dataset(record: Record) -> str:
    recipe = recipe_of(record)
    return "" if recipe is None else f"{recipe['dataset']}:{recipe['preset']}"
