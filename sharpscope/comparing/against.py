"""Several checkpoints, or several methods over seeds, against the first of them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import fsum
from statistics import fmean, stdev
from typing import Any

from sharpscope.checks import one_of
from sharpscope.comparing import errors
from sharpscope.comparing.compatible import check_comparable, check_same_data
from sharpscope.comparing.differences import difference, mean_side
from sharpscope.comparing.matching import matched, run_of
from sharpscope.comparing.measurement import label, unit
from sharpscope.comparing.notes import notes_of
from sharpscope.comparing.once import check_once, counted
from sharpscope.comparing.runs import Checkpoint, Key, Run, checkpoints, plain_run, tagged
from sharpscope.errors import MisuseError
from sharpscope.results import GapResult, Result
from sharpscope.results.comparison import Comparison, Entry

MATCHES = ("train-loss",)
_ORDER = ("trace", "lambda_max", "largest_magnitude", "sharpness", "gap")


def compare(
    results: Sequence[Result] | Mapping[str, Sequence[Result]],
    *,
    reference: str | None = None,
    match: str | None = None,
) -> Comparison:
    """Return numbers side by side and their differences from a reference, with error bars.

    Two models measured under the same probes on the same batches share noise, which cancels in
    their difference: with results of one architecture and one seed, probes are paired by name, and
    batches by number. Groups are compared over their runs: with runs of the same training seeds,
    these are paired.

    Args:
        results: Results of several checkpoints, told apart by their tags; or those of each group.
        reference: The checkpoint or group that others are compared with; by default the first.
        match: ``train-loss`` to compare at the lowest train loss that all runs pass, between the
            checkpoints that were kept of each (tags ``NAME.epoch0010``).

    Raises:
        MisuseError: If there is nothing to compare, results are of other data, losses or
            directions, or a run would count twice.

    Example:
        >>> import torch, sharpscope as ss
        >>> data, loss = [(torch.eye(2), torch.zeros(2, 1))], torch.nn.functional.mse_loss
        >>> def measured(scale):
        ...     model = torch.nn.Sequential(torch.nn.Linear(2, 1, bias=False), torch.nn.Tanh())
        ...     _ = torch.nn.init.constant_(model[0].weight, scale)
        ...     subject = ss.Subject(model, data, loss=loss, encoders={"x": "0"})
        ...     return ss.trace(subject, "x")
        >>> found = ss.compare({"late": [measured(0.1)], "masam": [measured(0.2)]})
        >>> round(found.differences[0].ratio, 2)
        0.88
    """
    groups = _groups(results)
    known = [result for found in groups.values() for result in found]
    check_same_data(known)
    check_comparable(known)
    runs, target = _runs(groups, match)
    if len(runs) < 2:
        raise MisuseError(f"compare needs at least two checkpoints or groups; got {_names(runs)}")
    first = one_of("reference", reference or next(iter(runs)), runs)
    names = (first, *(name for name in runs if name != first))
    keys = _keys(runs)
    chosen = {key: counted(key, runs) for key in keys}
    entries = [
        _entry(key, name, chosen[key][name]) for key in keys for name in names if chosen[key][name]
    ]
    differences = [
        found
        for key in keys
        for name in names[1:]
        if (found := difference(key, name, first, chosen[key])) is not None
    ]
    if not differences:
        raise MisuseError(f"there is nothing to compare: {_told(runs)}")
    whose = next((r for r in known if not isinstance(r, GapResult)), known[0])
    kinds = _kinds(runs)
    found = Comparison(
        reference=first,
        names=names,
        grouped=isinstance(results, Mapping),
        loss=whose.loss,
        split=whose.provenance.get("split"),
        samples=whose.samples,
        labels={quantity: label(result) for quantity, result in kinds.items()},
        units={quantity: unit(result) for quantity, result in kinds.items()},
        entries=tuple(entries),
        differences=tuple(differences),
        train_loss=target,
        matches=tuple(run.match for name in names for run in runs[name] if run.match),
        settings={"reference": first, "match": match},
        provenance=_provenance(groups, whose),
        seconds=fsum(result.seconds for result in known),
    )
    return replace(found, notes=notes_of(found, runs, chosen, known))


def _groups(
    results: Sequence[Result] | Mapping[str, Sequence[Result]],
) -> dict[str | None, list[Result]]:
    """Return tagged results by group; None where there are none."""
    if isinstance(results, Mapping):
        return {name: tagged(found, name) for name, found in results.items()}
    return {None: tagged(results)}


def _runs(
    groups: Mapping[str | None, Sequence[Result]], match: str | None
) -> tuple[dict[str, list[Run]], float | None]:
    """Return the runs of each checkpoint or group, and the train loss they were matched at."""
    found: dict[str, list[Checkpoint]] = {}
    for name, results in groups.items():
        for checkpoint in checkpoints(results):
            found.setdefault(_group(name, checkpoint, match), []).append(checkpoint)
    if match is not None:
        one_of("match", match, MATCHES)
        return matched(found)
    for name in groups:
        if name is not None:
            check_once(name, found[name])
    return {name: [plain_run(one) for one in several] for name, several in found.items()}, None


def _group(name: str | None, checkpoint: Checkpoint, match: str | None) -> str:
    """Return the group of a checkpoint; where there are none, itself or the run it was kept of."""
    if name is not None:
        return name
    return checkpoint.name if match is None else run_of(checkpoint.name)


def _keys(runs: Mapping[str, Sequence[Run]]) -> list[Key]:
    keys = dict.fromkeys(key for group in runs.values() for run in group for key in run.found)
    return sorted(keys, key=lambda key: _ORDER.index(key[0]))


def _entry(key: Key, name: str, chosen: Sequence[Run]) -> Entry:
    """Return the number of a checkpoint, or the mean of a group's runs."""
    side = mean_side(key, chosen)
    value = errors.value_of(side)
    losses = [run.train_loss for run in chosen if run.train_loss is not None]
    whole = len(losses) == len(chosen)
    common: dict[str, Any] = {
        "quantity": key[0],
        "modality": key[1],
        "name": name,
        "runs": len(chosen),
        "bound": errors.bound_of(side),
        "train_loss": fmean(losses) if whole else None,
    }
    if value is None:
        return Entry(value=None, probe_error=None, data_error=None, **common)
    probe, data = errors.probe_spread(side, side), errors.data_spread(side, side)
    single = side[0][1] if len(side) == 1 else None
    told = data is not None and data.whole and data.one > 0
    data_error = data.one**0.5 if data is not None and told else None
    if len(chosen) > 1:
        values = [errors.value_of(run.found[key]) or 0.0 for run in chosen]
        common["seed_error"] = stdev(values) / len(values) ** 0.5
        common["train_loss_error"] = stdev(losses) / len(losses) ** 0.5 if whole else None
    return Entry(
        value=value,
        probe_error=None if probe is None else max(0.0, probe.one) ** 0.5,
        data_error=data_error if single is None else single.data_error,
        **common,
    )


def _kinds(runs: Mapping[str, Sequence[Run]]) -> dict[str, Result]:
    """Return a result of each quantity."""
    return {
        key[0]: side[0][1].result
        for group in runs.values()
        for run in group
        for key, side in run.found.items()
    }


def _provenance(groups: Mapping[str | None, Sequence[Result]], whose: Result) -> dict[str, Any]:
    """Return what all share, and which files they are of."""
    shared = ("split", "data_fingerprint", "device", "dtype", "versions")
    known = {name: whose.provenance[name] for name in shared if name in whose.provenance}
    sources: dict[tuple[Any, ...], dict[str, Any]] = {}
    for group, results in groups.items():
        for result in results:
            recipe: Mapping[str, Any] = result.provenance.get("recipe") or {}
            sources[group, result.tag] = {
                "group": group,
                "tag": result.tag,
                "checkpoint": result.provenance.get("checkpoint"),
                "checkpoint_sha256": result.provenance.get("checkpoint_sha256"),
                "epoch": result.provenance.get("epoch"),
                "training_seed": recipe.get("seed"),
            }
    return known | {"sources": tuple(sources.values())}


def _told(runs: Mapping[str, Sequence[Run]]) -> str:
    """Return what each checkpoint or group has."""
    parts: list[str] = []
    for name, group in runs.items():
        keys = dict.fromkeys(key for run in group for key in run.found)
        parts.append(f"{name} has " + (", ".join(f"{q} of {m}" for q, m in keys) or "nothing"))
    return "; ".join(parts)


def _names(runs: Mapping[str, Any]) -> str:
    return " and ".join(runs) or "nothing"
