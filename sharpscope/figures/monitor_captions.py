"""The sentences that captions of monitored runs share."""

import re
from collections.abc import Mapping, Sequence

from sharpscope.figures.captions import (
    SPLITS,
    caption,
    counted,
    methods_of,
    said,
    seeds_of,
    spanned,
)
from sharpscope.figures.events import events_told, failures_told
from sharpscope.figures.naming import named
from sharpscope.figures.watched import WATCHED, bounded, by_epoch, lines_of, modalities_of
from sharpscope.results import MonitorRecord

# ``EverySteps(steps=100)``, or ``steps:100``.
_SCHEDULE = re.compile(r"(?P<name>[A-Za-z]+)(?:\((?:\w+=)?|:)?(?P<number>[\d.]+)?\)?")
# λ_max, and the residual of it.
_TOPS = {"lambda_max": "residual", "trained_lambda_max": "trained_residual"}
# What the errors of other numbers are over.
_ERRORS = {
    "share": "of shares over probes",
    "alignment": "of γ over batches",
    "coupling": "of coupling over probes",
}


def caption_monitored(
    records: Sequence[MonitorRecord],
    what: str,
    shown: Sequence[str],
    *,
    bare: Sequence[str] = (),
) -> str:
    """Return what a figure of monitored runs shows.

    Args:
        records: The runs.
        what: Its first sentence.
        shown: The quantities in it.
        bare: Those of them that have no bands.
    """
    return caption(
        what,
        _measured(records),
        *_bands(records, [name for name in shown if name not in bare]),
        _residual(records, [name for name in shown if name in _TOPS]),
        _threshold(records, shown) if set(_TOPS) & set(shown) else "",
        _gaps(records) if "share" in shown else "",
        events_told(records),
        failures_told(records),
        *_notes(records),
        methods_of(records),
        seeds_of(records),
    )


def _measured(records: Sequence[MonitorRecord]) -> str:
    """Return data, settings and precision, as they were recorded."""

    def told(name: str, content: Sequence[Mapping[str, object]]) -> str:
        found = (entry.get(name) for entry in content)
        return said(str(value) for value in found if value is not None)

    settings, made = [r.settings for r in records], [r.provenance for r in records]
    split = said(SPLITS.get(str(m["split"]), str(m["split"])) for m in made if m.get("split"))
    counts = [int(s["samples"]) for s in settings if s.get("samples")]
    parts = [
        f"{spanned(len(record.measurements) for record in records)} measurements"
        f"{'' if len(records) == 1 else ' of each run'}",
        said(when_words(str(one["when"])) for one in settings if one.get("when")),
        f"on the same {' '.join(filter(None, (spanned(counts), split)))} samples each time"
        if counts
        else "",
        f"in {dtype}" if (dtype := told("dtype", made)) else "",
        f"on {device}" if (device := told("device", made)) else "",
    ]
    exact = [
        f"relative error aimed at {rtol}" if (rtol := told("rtol", settings)) else "",
        f"seed{'s' if ' ' in seed else ''} {seed} of the random draws"
        if (seed := told("seed", settings))
        else "",
    ]
    cast = said(
        str(m["autocast"]) for m in made if m.get("autocast") not in (None, False, "off", "none")
    )
    return ", ".join(
        part
        for part in (
            " ".join(filter(None, parts)),
            f"under autocast to {cast}" if cast else "",
            *exact,
        )
        if part
    )


def when_words(when: str) -> str:
    """Return in words what a schedule prints as, or what was asked for.

    Example:
        >>> when_words("EverySteps(steps=100)"), when_words("epoch"), when_words("mine")
        ('every 100 steps', 'every epoch', 'when = mine')
    """
    found = _SCHEDULE.fullmatch(when)
    name, number = (found["name"].lower(), found["number"]) if found else ("", None)
    match name:
        case "everysteps" | "steps":
            return "every step" if number == "1" else f"every {number} steps"
        case "everyepochs" | "epoch" | "epochs":
            return "every epoch" if number in (None, "1") else f"every {number} epochs"
        case "logspaced" | "log":
            return f"at steps a factor of {float(number or 2):g} apart"
        case "budgeted":
            return f"as often as {float(number or 0):.3g} of the training time pays for"
        case _:
            return f"when = {when}"


def _bands(records: Sequence[MonitorRecord], shown: Sequence[str]) -> list[str]:
    groups = named(records)
    epochs = by_epoch(records)
    joint: dict[str, Sequence[MonitorRecord]] = {}
    apart: list[str] = []
    for name, own in groups.items():
        lines = [
            lines_of(own, modality, quantity, epochs=epochs)
            for modality in modalities_of(own)
            for quantity in shown
            if quantity in WATCHED
        ]
        if any(len(behind) > 1 for found in lines for _, behind in found):
            joint[name] = own
        elif len(own) > 1:
            apart.append(name)
    found: list[str] = []
    if joint:
        found.append(
            f"lines are means over seeds ({counted(joint)}) where all were measured, bands their "
            "95 % intervals by Student's t, of two seeds from one to the other"
        )
    if apart:
        found.append(
            f"each seed of {said(apart)} is a line of its own, as they were measured at other steps"
        )
    if len(joint) < len(groups) and (told := _own_bands(records, shown)):
        found.append(f"bands {'of a single run ' if joint else ''}are {told}")
    return found


def _own_bands(records: Sequence[MonitorRecord], shown: Sequence[str]) -> str:
    """Return what the bands of a single run are; empty where its numbers have none."""
    told: list[str] = []
    if {"trace", "per_parameter"} & set(shown):
        few = any(
            interval is None
            for record in records
            for name in record.modalities
            for interval in record.course(name, "interval")
        )
        rest = ", or 1.96 standard errors where there were too few of them" if few else ""
        told.append(
            f"95 % intervals of the trace over random probes{rest} (not what other data would "
            "change)"
        )
    errors = [words for name, words in _ERRORS.items() if name in shown]
    if errors:
        told.append(f"1.96 standard errors {said(errors)}")
    return "; ".join(told)


def _residual(records: Sequence[MonitorRecord], shown: Sequence[str]) -> str:
    found = [
        float(value)
        for record in records
        for name in record.modalities
        for what in shown
        for value in record.course(name, _TOPS[what])
        if value is not None
    ]
    return f"residuals of λ_max are at most {max(found):.2g} of it" if found else ""


def _threshold(records: Sequence[MonitorRecord], shown: Sequence[str]) -> str:
    there = any(
        value is not None
        for record in records
        for name in record.modalities
        for value in record.course(name, "threshold")
    )
    if not there:
        reasons = said(
            str(reason)
            for record in records
            for what, reason in dict(record.settings.get("absent") or {}).items()
            if what.startswith("threshold")
        )
        return f"no stability threshold{f': {reasons}' if reasons else ' is known'}"
    whole = [record for record in records if bounded(record) == "trained_lambda_max"]
    if "trained_lambda_max" not in shown and len(whole) == len(records):
        return "λ_max of the fusion loss has no stability threshold where another loss is trained"
    of = "whose λ_max of the loss that is trained is shown" if whole else ""
    if whole and "trained_lambda_max" not in shown:
        of = "of runs that train the fusion loss alone"
    return (
        "dashed, the stability threshold of the optimizer's steps (2/η for gradient descent with "
        f"learning rate η){f', {of}' if of else ''}; λ_max of an encoder bounds that of the whole "
        "model from below"
    )


def _notes(records: Sequence[MonitorRecord]) -> dict[str, None]:
    """Return what a reader must know of measurements, each sentence once."""
    notes = [note for r in records for one in r.measurements for note in one.get("notes") or ()]
    return dict.fromkeys(str(note) for note in notes)


def _gaps(records: Sequence[MonitorRecord]) -> str:
    negative = any(
        (value or 0.0) < 0
        for record in records
        for name in record.modalities
        for value in record.course(name, "trace")
    )
    return "no share where a trace is negative" if negative and len(records) == 1 else ""


WORDS = {name: watched.label.partition(" (")[0] for name, watched in WATCHED.items()} | {
    "lambda_max": "λ_max",
    "trained_lambda_max": "λ_max of the trained loss",
}
