"""What a reader of a comparison must know, in sentences."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from sharpscope.comparing.measurement import label
from sharpscope.comparing.once import tells_seeds
from sharpscope.comparing.runs import Key, Run
from sharpscope.results import Outcome, Result
from sharpscope.results.comparison import Comparison, Difference, Entry, Match, Verdict
from sharpscope.results.record import significant

# Train losses that differ by more than this factor are worth a sentence.
_APART = 1.2
_ENDED = {
    Outcome.BUDGET_SPENT: "the budget was spent before all that was asked for was reached",
    Outcome.STAGNATED: "rounding kept the residual above the target",
    Outcome.NOT_FINITE: "not finite somewhere",
}


def notes_of(
    found: Comparison,
    runs: Mapping[str, Sequence[Run]],
    chosen: Mapping[Key, Mapping[str, Sequence[Run]]],
    results: Sequence[Result],
) -> tuple[str, ...]:
    """Return the notes of a comparison.

    Args:
        found: The comparison.
        runs: All runs of each group.
        chosen: Those behind each number.
        results: What was measured.
    """
    return (
        *_matching(found),
        *_single(found),
        *_seeds(found, runs, chosen),
        *_ended(results),
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


def _seeds(
    found: Comparison,
    runs: Mapping[str, Sequence[Run]],
    chosen: Mapping[Key, Mapping[str, Sequence[Run]]],
) -> list[str]:
    if not found.grouped:
        return []
    told: dict[str, list[str]] = {}
    for (quantity, modality), groups in chosen.items():
        named = f"{found.labels[quantity]} of {modality}"
        for sentence in (*_left_out((quantity, modality), runs, groups), *_pairing(found, groups)):
            told.setdefault(sentence, []).append(named)
    return [
        sentence if len(names) == len(chosen) else f"{', '.join(names)}: {sentence}"
        for sentence, names in told.items()
    ]


def _left_out(
    key: Key, runs: Mapping[str, Sequence[Run]], chosen: Mapping[str, Sequence[Run]]
) -> list[str]:
    told: list[str] = []
    for name, kept in chosen.items():
        left = [run for run in runs[name] if key in run.found and run not in kept]
        if left:
            seeds = ", ".join(sorted(str(run.seed) for run in left))
            told.append(
                f"{len(left)} of {len(left) + len(kept)} runs of {name} left out (training seed "
                f"{seeds}): others have no run of it."
            )
    return told


def _pairing(found: Comparison, groups: Mapping[str, Sequence[Run]]) -> list[str]:
    told: list[str] = []
    base = groups[found.reference]
    for name in found.names[1:]:
        ours, both = groups[name], f"{found.reference} and {name}"
        sizes = sorted((len(base), len(ours)))
        if sizes[0] < 2:
            if sizes[0] == 1 < sizes[1]:
                told.append(
                    f"{both} are undecided: one is a single run, whose seed error nothing tells, "
                    f"beside the mean of {sizes[1]}."
                )
            continue
        seeds = [{run.seed for run in group} for group in (base, ours)]
        if None in seeds[0] | seeds[1]:
            told.append(f"Runs of {both} are not paired: their files do not tell training seeds.")
        elif not tells_seeds(base) or not tells_seeds(ours):
            told.append(f"Runs of {both} are not paired: a training seed is there twice.")
        elif seeds[0] != seeds[1]:
            shared = len(seeds[0] & seeds[1])
            told.append(f"Runs of {both} are not paired: they share {shared} training seeds.")
    return told


def _ended(results: Sequence[Result]) -> list[str]:
    """Return a note on each measurement that did not end as it was meant to."""
    names: dict[tuple[str, Outcome], list[str]] = {}
    for result in results:
        if result.outcome in _ENDED:
            kind = label(result), result.outcome
            names.setdefault(kind, []).append(f"{result.tag} ({result.modality})")
    return [
        f"{what} of {', '.join(dict.fromkeys(who))}: {_ENDED[outcome]}."
        for (what, outcome), who in names.items()
    ]


def _unpaired(found: Comparison) -> list[str]:
    told: list[str] = []
    for quantity in found.quantities:
        ours = [one for one in found.differences if one.quantity == quantity]
        what = found.labels[quantity]
        probes = _names(one for one in ours if one.probe_error and "probes" not in one.paired)
        if probes:
            told.append(
                f"{what} of {probes}: probe errors are unpaired and add in quadrature (another "
                "architecture, seed or method of probing)."
            )
        batches = _names(one for one in ours if one.data_error and "batches" not in one.paired)
        if batches:
            told.append(
                f"{what} of {batches}: data errors are unpaired and add in quadrature, which is "
                "more than they are where both err on the same items."
            )
    return told


def _unknown(found: Comparison) -> list[str]:
    told: list[str] = []
    for quantity in found.quantities:
        ours = [one for one in found.differences if one.quantity == quantity]
        what = found.labels[quantity]
        if names := _names(
            one
            for one in ours
            if one.difference is not None and one.interval is None and not _lone(found, one)
        ):
            told.append(
                f"{what} of {names}: no interval (a search has no error bar; of probes it takes "
                "10; a single batch tells no error)."
            )
        if names := _names(
            one for one in ours if one.interval and one.verdict is Verdict.UNDECIDED
        ):
            told.append(
                f"{what} of {names}: the data error is known of one side alone, and is a lower "
                "bound."
            )
        if names := _names(one for one in ours if one.interval and one.data_error is None):
            told.append(
                f"{what} of {names}: no data error (fewer than two batches, or it is hidden by "
                "that of the probes)."
            )
    return told


def _lone(found: Comparison, one: Difference) -> bool:
    """Whether one run stands against several."""
    sides = (found.entry(one.quantity, one.modality, n) for n in (one.name, one.reference))
    return len({side.runs > 1 for side in sides if side is not None}) > 1


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
