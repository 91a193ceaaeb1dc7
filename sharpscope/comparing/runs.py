"""Results sorted into the runs that they are of."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sharpscope.comparing.errors import Side
from sharpscope.comparing.measurement import (
    QUANTITIES,
    Measurement,
    label,
    measurement,
    quantity_of,
)
from sharpscope.errors import MisuseError
from sharpscope.results import GapResult, Result
from sharpscope.results.comparison import Match

Key = tuple[str, str]
# What ``sharpscope train --keep-every`` adds to the name of a kept checkpoint.
KEPT = re.compile(r"\.epoch(\d+)$")


@dataclass(frozen=True, kw_only=True, eq=False)
class Checkpoint:
    """All that was measured of one file.

    Attributes:
        name: Its tag.
        sha: Its hash; None where nothing tells.
        seed: Of the training; None where nothing tells.
        epoch: Epochs that it had been trained; None where nothing tells.
        train_loss: None where nothing tells.
        recipe: Of the training; empty where nothing tells.
        split_loss: The loss on the data measured; not a number where it was not finite.
        found: Each number by quantity and modality.
    """

    name: str
    sha: str | None
    seed: int | None
    epoch: int | None
    train_loss: float | None
    split_loss: float | None
    recipe: Mapping[str, Any]
    found: Mapping[Key, Measurement]


@dataclass(frozen=True, kw_only=True, eq=False)
class Run:
    """A run: one checkpoint, or two kept ones that it is interpolated between.

    Attributes:
        name: What it is called.
        seed: Of its training.
        found: Each number by quantity and modality, as a combination of measurements.
        train_loss: None where nothing tells.
        match: Which kept checkpoints these are.
    """

    name: str
    seed: int | None
    found: Mapping[Key, Side]
    train_loss: float | None
    match: Match | None = None


def tagged(results: Sequence[Result], name: str | None = None) -> list[Result]:
    """Return the results that can be compared, each with a tag.

    Args:
        results: What to tag.
        name: The tag of those that have neither a tag nor a checkpoint.

    Raises:
        MisuseError: If there is none, or one has neither a tag nor a checkpoint.
    """
    known = [result for result in results if result.schema in QUANTITIES]
    if not known:
        kinds = ", ".join(sorted({result.schema for result in results})) or "nothing"
        raise MisuseError(
            f"only {', '.join(QUANTITIES)} results can be compared; got {kinds}: measure them "
            "with trace, eigen, sharpness or gap"
        )
    return [result if result.tag else replace(result, tag=_stem(result, name)) for result in known]


def _stem(result: Result, name: str | None) -> str:
    checkpoint = result.provenance.get("checkpoint", name)
    if not checkpoint:
        raise MisuseError(
            f"{result!r} does not say which checkpoint it is of: give it a name, such as "
            'result.tagged("late")'
        )
    return Path(checkpoint).stem


def checkpoints(results: Sequence[Result]) -> list[Checkpoint]:
    """Return the checkpoints that tagged results are of, in their order.

    Raises:
        MisuseError: If two files have one name, or one number was measured twice.
    """
    by_tag: dict[str, list[Result]] = {}
    for result in results:
        by_tag.setdefault(result.tag or "", []).append(result)
    return [_checkpoint(name, found) for name, found in by_tag.items()]


def _checkpoint(name: str, results: Sequence[Result]) -> Checkpoint:
    shas = {result.provenance.get("checkpoint_sha256") for result in results}
    if len(shas) > 1:
        files = list(dict.fromkeys(str(r.provenance.get("checkpoint")) for r in results))
        raise MisuseError(
            f"{len(shas)} different checkpoints are called {name!r} ({', '.join(files)}): measure "
            "them in one command, which names them apart, or put them into groups"
        )
    found: dict[Key, Measurement] = {}
    for result in results:
        key = quantity_of(result), result.modality
        if key in found:
            raise MisuseError(
                f"{name} has two results for {label(result)} of {result.modality}: leave one out"
            )
        made = measurement(result)
        assert made is not None  # of a kind that is compared
        found[key] = made
    first = results[0].provenance
    recipe: Mapping[str, Any] = first.get("recipe") or {}
    whose = [result for result in results if not isinstance(result, GapResult)] or results
    on_train = [r.loss_value for r in whose if r.provenance.get("split") == "train"]
    stored = _stored(first) if whose[0].loss == "fusion" else None
    split_loss = _number(on_train[0]) if on_train else None
    train_loss = split_loss if on_train else stored
    return Checkpoint(
        name=name,
        sha=shas.pop(),
        seed=recipe.get("seed"),
        epoch=first.get("epoch"),
        train_loss=None if train_loss is None or not math.isfinite(train_loss) else train_loss,
        split_loss=split_loss,
        recipe=recipe,
        found=found,
    )


def _stored(provenance: Mapping[str, Any]) -> float | None:
    """Return the train loss that the checkpoint holds, which is that of the fused prediction."""
    entry: Any = provenance.get("metrics")
    for name in ("train", "fusion", "loss"):
        entry = entry.get(name) if isinstance(entry, Mapping) else None
    return entry if isinstance(entry, int | float) else None


def _number(loss: float | None) -> float:
    """Return a loss; what was not finite is None in a file."""
    return math.nan if loss is None else loss


def plain_run(checkpoint: Checkpoint) -> Run:
    """Return a checkpoint as a run."""
    return Run(
        name=checkpoint.name,
        seed=checkpoint.seed,
        found={key: ((1.0, found),) for key, found in checkpoint.found.items()},
        train_loss=checkpoint.train_loss,
    )
