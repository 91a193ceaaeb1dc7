"""The normalized generalization gap of a metric, with the error of other items."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from sharpscope.checks import at_least, one_of
from sharpscope.contribution.passes import look
from sharpscope.contribution.scores import METRICS, Bootstrap, deviation, ranked, score
from sharpscope.errors import MisuseError
from sharpscope.estimators.cost import peak_bytes
from sharpscope.results import GapResult, Outcome
from sharpscope.subject import Subject
from sharpscope.subject.proof import Census
from sharpscope.subject.provenance import measured_on


@dataclass(frozen=True, kw_only=True)
class GeneralizationGap:
    """Measure ``τ = 100 (metric_train - metric_test) / metric_train`` in eval mode, signed.

    Args:
        metric: ``accuracy``, ``macro_auprc`` or ``macro_auroc``; by default accuracy of classes
            and macro_auprc of labels.
        bootstrap: Replicates behind the error; 200 at most of a ranking.
        seed: Of the replicates.

    Raises:
        MisuseError: If a setting is not allowed.

    Source: M-SAM (Nowdeh et al., 2025, arXiv 2510.24919) reports it.

    Example:
        >>> import torch, sharpscope as ss
        >>> from sharpscope.sharpness import GeneralizationGap
        >>> model = torch.nn.Linear(2, 2, bias=False)
        >>> _ = torch.nn.init.eye_(model.weight)
        >>> loss, x = torch.nn.functional.cross_entropy, torch.eye(2).repeat(5, 1)
        >>> targets = torch.tensor([0, 1] * 5), torch.tensor([0, 0] * 5)
        >>> encoders = {"x": "weight"}
        >>> on = [ss.Subject(model, [(x, y)], loss=loss, encoders=encoders) for y in targets]
        >>> GeneralizationGap()(*on).value
        50.0
    """

    metric: str | None = None
    bootstrap: int = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.metric is not None:
            one_of("metric", self.metric, METRICS)
        at_least("bootstrap", self.bootstrap, 100, "replicates: fewer make no interval")
        at_least("seed", self.seed, 0)

    def __call__(self, train: Subject, test: Subject, *, watcher: Any = None) -> GapResult:
        """Return the gap between two splits of one model.

        Raises:
            MisuseError: If the metric does not fit the targets.
            SubjectError: If a subject cannot be measured, or does not show its predictions.
        """
        began = time.perf_counter()
        seen: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        taken: dict[str, Census] = {}
        for split, subject in (("train", train), ("test", test)):
            if watcher is not None:
                watcher(f"predictions on {split}")
            with subject.still():
                taken[split] = subject.census()
                everyone = frozenset(subject.owners.modalities)
                told = look(subject, [everyone], mask="zero_feature")
            seen[split] = told.logits[everyone].numpy(), told.target.numpy()
        shapes = [(logits.shape[1], target.ndim) for logits, target in seen.values()]
        if shapes[0] != shapes[1]:
            raise MisuseError(
                "train and test must be one task: their outputs and targets are of different kinds"
            )
        metric = self.metric or ("accuracy" if shapes[0][1] == 1 else "macro_auprc")
        names, notes = _common(metric, seen)
        drawn = {
            split: Bootstrap.named(len(target), self.bootstrap, self.seed, "gap", split)
            for split, (_, target) in seen.items()
        }
        ours, theirs = (score(*seen[split], drawn[split], metric, names) for split in seen)
        items, others = (len(target) for _, target in seen.values())
        values = _gaps(ours.replicates, theirs.replicates)
        finite = values[np.isfinite(values)]
        value = None
        if ours.value and theirs.value is not None and len(finite):
            value = 100 * (ours.value - theirs.value) / ours.value
        defined = value is not None
        parameter = next(iter(test.owners.parameters.values()))
        error = deviation(values) if defined else None
        ends = None if error is None else np.quantile(finite, [0.025, 0.975]).tolist()
        return GapResult(
            modality="all",
            parameters=test.select("all").dim,
            samples=others,
            train_samples=items,
            loss="fusion",
            loss_value=taken["test"].loss_value,
            outcome=Outcome.COMPLETED if defined else Outcome.NOT_FINITE,
            method="normalized generalization gap",
            matvecs=0.0,
            seconds=time.perf_counter() - began,
            peak_bytes=peak_bytes(test.device),
            seed=self.seed,
            settings={key: v for key, v in asdict(self).items() if key != "seed"},
            provenance=measured_on(test, taken["test"], test.device, test.dtype or parameter.dtype)
            | {"train_fingerprint": taken["train"].fingerprint},
            notes=(*test.notes, *notes),
            value=value,
            standard_error=error,
            interval=None if ends is None else (ends[0], ends[1]),
            replicates=values if defined else None,
            metric=str(metric),
            train=ours.value,
            train_error=ours.error,
            test=theirs.value,
            test_error=theirs.error,
        )


def _common(
    metric: str, seen: Mapping[str, tuple[np.ndarray, np.ndarray]]
) -> tuple[list[str] | None, list[str]]:
    """Return the outputs that a ranking has a value of in both splits, and a note on the others."""
    if metric == "accuracy":
        return None, []
    defined = [set(ranked(metric, *pair)) for pair in seen.values()]
    both = sorted(defined[0] & defined[1], key=int)
    left = sorted((defined[0] | defined[1]) - set(both), key=int)
    count = next(iter(seen.values()))[0].shape[1]
    if len(both) == count:
        return both, []
    why = f"{len(both)} of {count} outputs have a {metric} in both splits, and it is their mean"
    return both, [f"Only {why}" + (f" (without {', '.join(left)})." if left else ".")]


def _gaps(train: np.ndarray, test: np.ndarray) -> np.ndarray:
    count = min(len(train), len(test))
    with np.errstate(divide="ignore", invalid="ignore"):
        return 100 * (train[:count] - test[:count]) / train[:count]
