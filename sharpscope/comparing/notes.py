"""What a reader of a comparison must know, in sentences."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from sharpscope.comparing.runs import Run
from sharpscope.results.comparison import Comparison, Difference, Entry, Match
from sharpscope.results.record import significant

# Train losses that differ by more than this factor are worth a sentence.
_APART = 1.2


def notes_of(found: Comparison, runs: Mapping[str, Sequence[Run]]) -> tuple[str, ...]:
    """Return the notes of a comparison."""
    return (
        *_matching(found),
        *_single(found),
        *_seeds(found, runs),
        *_unpaired(found),
        *_unknown(found),
        *_large(found),
        *_losses(found),
        *_missing(found),
        *_several(found),
    )


def _matching(found: Comparison) -> list[str]:
    if found.train_loss is None:
        return []
    told: list[str] = []
    for name in found.names:
        matches = [match for match in found.matches if match.name == name]
        told.append(_one(matches[0]) if len(matches) == 1 else _spanned(name, matches))
    return [
        f"At train loss {significant(found.train_loss)}, the lowest that all runs pass: "
        f"{'; '.join(told)}. The learning rate may differ there as well."
    ]


def _one(match: Match) -> str:
    losses = [significant(loss) for loss in match.losses]
    if len(match.epochs) == 1:
        return f"{match.run} at epoch {match.epochs[0]} (loss {losses[0]})"
    return (
        f"{match.run} between epochs {match.epochs[0]} and {match.epochs[1]} (loss {losses[0]} "
        f"and {losses[1]})"
    )


def _spanned(name: str, matches: Sequence[Match]) -> str:
    epochs = [
        sum(e * w for e, w in zip(match.epochs, match.weights, strict=True)) for match in matches
    ]
    apart = max(max(match.losses) - min(match.losses) for match in matches)
    return (
        f"{name} at epochs {min(epochs):.1f} to {max(epochs):.1f} over {len(matches)} runs, "
        f"between checkpoints at most {significant(apart, 2)} apart in loss"
    )


def _single(found: Comparison) -> list[str]:
    if not found.grouped:
        return []
    return [
        f"{name} is one run: it has no seed error, and nothing here tells what another seed would "
        "give."
        for name in found.names
        if all(entry.runs == 1 for entry in found.entries if entry.name == name)
    ]


def _seeds(found: Comparison, runs: Mapping[str, Sequence[Run]]) -> list[str]:
    if not found.grouped:
        return []
    told: list[str] = []
    base = [run.seed for run in runs[found.reference]]
    for name in found.names[1:]:
        seeds = [run.seed for run in runs[name]]
        both = f"{found.reference} and {name}"
        common = [seed for seed in base if seed in seeds]
        if len(seeds) < 2 or len(base) < 2:
            if len(seeds) != len(base) and len(common) == 1 and common[0] is not None:
                told.append(f"{both} are compared at training seed {common[0]} alone.")
            continue
        if None in base or None in seeds:
            told.append(f"Runs of {both} are not paired: their files do not tell training seeds.")
        elif len(set(base)) < len(base) or len(set(seeds)) < len(seeds):
            told.append(f"Runs of {both} are not paired: a training seed is there twice.")
        elif left := sorted({*base, *seeds} - ({*base} & {*seeds}), key=str):
            rest = ", ".join(map(str, left))
            pairs = len(common)
            told.append(
                f"{both} are compared over the {pairs} training seeds that both have; {rest} of "
                "one of them left out."
                if pairs > 1
                else f"Runs of {both} are not paired: they share {pairs} training seeds."
            )
    return told


def _unpaired(found: Comparison) -> list[str]:
    told: list[str] = []
    for quantity in found.quantities:
        ours = [one for one in found.differences if one.quantity == quantity]
        label = found.labels[quantity]
        probes = _names(one for one in ours if one.probe_error and "probes" not in one.paired)
        if probes:
            told.append(
                f"{label} of {probes}: probe errors are unpaired and add in quadrature (another "
                "architecture, seed or method of probing)."
            )
        batches = _names(one for one in ours if one.data_error and "batches" not in one.paired)
        if batches:
            told.append(
                f"{label} of {batches}: data errors are unpaired and add in quadrature, which is "
                "more than they are where both err on the same items."
            )
    return told


def _unknown(found: Comparison) -> list[str]:
    told: list[str] = []
    for quantity in found.quantities:
        ours = [one for one in found.differences if one.quantity == quantity]
        label = found.labels[quantity]
        if names := _names(
            one for one in ours if one.difference is not None and one.interval is None
        ):
            told.append(
                f"{label} of {names}: no interval (a search has no error bar; of probes it takes "
                "10)."
            )
        if names := _names(one for one in ours if one.interval and one.data_error is None):
            told.append(
                f"{label} of {names}: no data error (fewer than two batches, or it is hidden by "
                "that of the probes)."
            )
    return told


def _large(found: Comparison) -> list[str]:
    """Return a note where the noise that runs share is not small beside their spread."""
    told: list[str] = []
    for one in found.differences:
        measured = ((one.probe_error or 0.0) ** 2 + (one.data_error or 0.0) ** 2) ** 0.5
        if one.seed_error is not None and measured > one.seed_error:
            told.append(
                f"{one.modality}, {found.labels[one.quantity]} of {one.name}: probe and data "
                f"errors together, {significant(measured, 2)}, are larger than the seed error."
            )
    return told


def _losses(found: Comparison) -> list[str]:
    if found.train_loss is not None:
        return []
    known: dict[str, Entry] = {}
    for entry in found.entries:
        if entry.train_loss is not None and entry.train_loss > 0:
            known.setdefault(entry.name, entry)
    ordered = sorted((entry.train_loss or 0.0, name) for name, entry in known.items())
    if all(high[0] <= _APART * low[0] for low, high in pairwise(ordered)):
        return []
    told = ", ".join(f"{name} {significant(loss, 3)}" for loss, name in ordered)
    return [
        f"Train losses differ ({told}), and sharpness falls along with them or rises: --match "
        "train-loss compares at equal loss."
    ]


def _missing(found: Comparison) -> list[str]:
    told: list[str] = []
    for quantity in found.quantities:
        for modality in found.modalities(quantity):
            names = [n for n in found.names if found.entry(quantity, modality, n) is None]
            if names:
                told.append(f"{', '.join(names)}: no {found.labels[quantity]} of {modality}.")
    return told


def _several(found: Comparison) -> list[str]:
    count = sum(one.interval is not None for one in found.differences)
    if count < 2:
        return []
    return [
        f"Each of the {count} intervals holds 95 % for itself: where nothing differs, one in 20 "
        "leaves 0 out by chance."
    ]


def _names(differences: Iterable[Difference]) -> str:
    return ", ".join(dict.fromkeys(f"{one.name} ({one.modality})" for one in differences))
