"""The estimator: what each modality contributes, from one split of the data."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sharpscope.checks import at_least, one_of
from sharpscope.contribution.alignment import Alignment, alignments
from sharpscope.contribution.features import Held, features_of
from sharpscope.contribution.parts import Parts, needed
from sharpscope.contribution.passes import look
from sharpscope.contribution.probe import probe
from sharpscope.contribution.scores import Bootstrap, deviation
from sharpscope.errors import MisuseError, SubjectError
from sharpscope.estimators.cost import peak_bytes
from sharpscope.optim.performance import KINDS, scored
from sharpscope.recipes import Recipe
from sharpscope.replay import MASKS
from sharpscope.results import ContributionResult, Outcome
from sharpscope.shapley import EXACT, NORMALIZE, shapley, shares
from sharpscope.subject import Census, Subject
from sharpscope.subject.provenance import measured_on

Tell = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Contribution:
    """What each modality contributes to the predictions of a model, in eval mode.

    ``Φ(S)`` is the performance with only the modalities S present; ``Φ_m`` their Shapley values
    and ``v_m`` the shares of these. ``γ_m = cos(∇_{θ_m} L_m, ∇_{θ_m} L_fusion)``.

    Args:
        kind: Performance: ``accuracy``, ``neg_loss`` or ``true_prob``.
        mask: What stands for an absent modality: ``zero_input``, ``zero_feature`` or
            ``mean_feature``, the mean over the split.
        normalize: From Shapley values to shares: ``clip``, ``raw`` or ``softmax``.
        bootstrap: Replicates behind each error.
        probes: Whether probes are fitted, where the splits for it are given.
        seed: Of the replicates.

    Raises:
        MisuseError: If a setting is not allowed.

    Source: Shapley shares as in M-SAM (Nowdeh et al., 2025, arXiv 2510.24919); the split of the
    logits as in AGM (Li et al., 2023, arXiv 2308.07686); alignment and probes as in MASAM (ICLR
    2026).
    """

    kind: str = "accuracy"
    mask: str = "zero_input"
    normalize: str = "clip"
    bootstrap: int = 2000
    probes: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        one_of("kind", self.kind, KINDS)
        one_of("mask", self.mask, MASKS)
        one_of("normalize", self.normalize, NORMALIZE)
        at_least("bootstrap", self.bootstrap, 100, "replicates: fewer make no interval")
        at_least("seed", self.seed, 0)

    def __call__(
        self,
        subject: Subject,
        *,
        train: Subject | None = None,
        val: Subject | None = None,
        watcher: Tell | None = None,
    ) -> ContributionResult:
        """Return the contributions on the subject's data.

        Args:
            subject: What is measured.
            train: The same model on the training split, which probes are fitted on.
            val: The same model on the validation split, which chooses their penalty.
            watcher: Called with what is being done.

        Raises:
            MisuseError: If a modality cannot be masked that way.
            SubjectError: If the subject does not stand still, or does not show its predictions.
        """
        began = time.perf_counter()
        for name, other in (("train", train), ("val", val)):
            if other is not None:
                _check_same(name, subject, other)
        tell = watcher or (lambda _: None)
        names = subject.owners.modalities
        _ = subject.predict  # refused before any work where nothing tells what is predicted
        sets = needed(names)
        with subject.still():
            tell("checking that the model stands still")
            census = subject.census()
            tell(f"masking: {len(sets)} sets of modalities")
            seen = look(subject, sets, mask=self.mask)
            tell("comparing gradients")
            losses = [name for name in names if name in subject.losses]
            told = alignments(subject, losses)
        aligned = {name: one for name, one in told.items() if isinstance(one, Alignment)}
        drawn = Bootstrap.named(len(seen.target), self.bootstrap, self.seed, "contribution")
        notes = [*subject.notes, *seen.notes, *_missing(names, losses, subject)]
        notes += [f"No alignment of {n}: {one}." for n, one in told.items() if n not in aligned]
        parts = Parts(names, seen, drawn)
        found = self._shapley(parts)
        probes: dict[str, Any] = {}
        if parts.metric != "accuracy" and self.kind == "accuracy":
            notes.append(
                "The shares are of the accuracy over labels, which hardly moves where labels are "
                "rare: kind neg_loss tells more."
            )
        if len(names) > EXACT:
            notes.append(
                f"There are more than {EXACT} modalities: orders of arrival were drawn, and the "
                "readouts are split by these. The errors of the shares leave that out."
            )
        if self.probes and (train is None or val is None):
            notes.append("No probes: they need the splits train and val.")
        elif self.probes and train is not None and val is not None:
            probes, more = self._probes(parts, subject, train, val, tell)
            notes += more
        return ContributionResult(
            modality="+".join(names),
            parameters=subject.select("+".join(names)).dim,
            samples=len(seen.target),
            loss="fusion",
            loss_value=census.loss_value,
            outcome=Outcome.COMPLETED,
            method="Shapley values of masked predictions",
            matvecs=0.0,
            seconds=time.perf_counter() - began,
            peak_bytes=peak_bytes(subject.device),
            seed=self.seed,
            settings={key: value for key, value in asdict(self).items() if key != "seed"},
            provenance=_provenance(subject, census),
            notes=tuple(notes),
            metric=parts.metric,
            **found,
            **parts.scores(),
            **probes,
            **_aligned(names, aligned),
        )

    def _shapley(self, parts: Parts) -> dict[str, Any]:
        """Return Shapley values and shares with the errors of other items."""
        items = {
            present: scored(self.kind, torch.from_numpy(logits), torch.from_numpy(parts.target))
            for present, logits in parts.logits.items()
        }
        means = {present: values.mean().item() for present, values in items.items()}
        exact = shapley(lambda present: means[present], parts.names)
        table = np.stack([items[present].numpy() for present in parts.sets])
        replicates = parts.drawn.means((parts.weights @ table).astype(np.float32))
        drawn = [
            shares(dict(zip(parts.names, row, strict=True)), self.normalize)
            for row in replicates.tolist()
        ]
        by_name = {name: np.array([row[name] for row in drawn]) for name in parts.names}
        ends = {
            name: np.quantile(values, [0.025, 0.975]).tolist() for name, values in by_name.items()
        }
        deviations = {n: deviation(replicates[:, i]) for i, n in enumerate(parts.names)}
        return {
            "performance": {
                "+".join(name for name in parts.names if name in present): means[present]
                for present in parts.sets
            },
            "shapley": exact.values,
            "shapley_error": {
                name: float(np.hypot(deviations[name] or 0.0, exact.standard_error[name]))
                for name in parts.names
            },
            "shares": shares(exact.values, self.normalize),
            "share_error": {name: deviation(values) for name, values in by_name.items()},
            "share_interval": {name: tuple(pair) for name, pair in ends.items()},
            "interactions": {"+".join(pair): v for pair, v in exact.interactions.items()},
        }

    def _probes(
        self, parts: Parts, subject: Subject, train: Subject, val: Subject, tell: Tell
    ) -> tuple[dict[str, Any], list[str]]:
        """Return the scores of fresh probes, and notes."""
        held: dict[str, Held] = {}
        for split, other in (("measured", subject), ("train", train), ("val", val)):
            tell(f"features of the {split} split")
            try:
                held[split] = features_of(other)
            except SubjectError as error:
                raise SubjectError(f"the {split} split, which probes need: {error}") from error
        if len({one.target.ndim for one in held.values()}) > 1:
            raise MisuseError("train and val must have targets like those of the data measured")
        table: dict[str, dict[str, float | None]] = {
            key: {} for key in ("probe", "probe_error", "probe_strength")
        }
        notes: list[str] = []
        for name in parts.names:
            why = [one.missing[name] for one in held.values() if name in one.missing]
            x = {split: one.features[name] for split, one in held.items() if not why}
            if len({values.shape[1] for values in x.values()}) > 1:
                why = ["its features differ in width from split to split"]
            if why:
                notes.append(f"No probe of {name}: {why[0]}.")
                continue
            tell(f"fitting a probe on the features of {name}")
            done = probe(
                (x["train"], held["train"].target), (x["val"], held["val"].target), x["measured"]
            )
            told = parts.score(done.logits)
            table["probe"][name], table["probe_error"][name] = told.value, told.error
            table["probe_strength"][name] = done.strength
            if done.edge:
                notes.append(f"The probe of {name} chose the {done.edge} penalty tried.")
            if not done.converged:
                notes.append(f"The probe of {name} did not converge in all its steps.")
        return table, notes


def _aligned(names: Sequence[str], found: Mapping[str, Alignment]) -> dict[str, Any]:
    fields = {
        "alignment": "value",
        "alignment_error": "standard_error",
        "batch_alignment": "batch_mean",
        "negative_alignment": "negative",
        "fusion_gradient": "fusion_norm",
        "unimodal_gradient": "unimodal_norm",
    }
    return {
        ours: {name: getattr(found[name], theirs) for name in names if name in found}
        for ours, theirs in fields.items()
    }


def _missing(names: Sequence[str], losses: Sequence[str], subject: Subject) -> list[str]:
    """Return notes on what the alignment is of."""
    without = [name for name in names if name not in losses]
    if without:
        spec = subject.provenance.get("spec")
        advice = f"add [loss.unimodal] to {spec}" if spec else "pass unimodal={...} to Subject"
        return [f"No alignment of {', '.join(without)}, which has no loss of its own: {advice}."]
    recipe = subject.provenance.get("recipe")
    if recipe is not None and not Recipe.from_dict(recipe).trains_heads:
        return [
            "The method does not train the unimodal heads; they were fitted at the end, and the "
            "alignment is with the losses of these."
        ]
    return []


def _provenance(subject: Subject, census: Census) -> dict[str, Any]:
    parameter = next(iter(subject.owners.parameters.values()))
    return measured_on(subject, census, subject.device, subject.dtype or parameter.dtype)


def _check_same(split: str, subject: Subject, other: Any) -> None:
    """Refuse probes on the features of another model."""
    if not isinstance(other, Subject):
        raise MisuseError(f"{split} must be a Subject; got {type(other).__name__}")
    ours, theirs = subject.model.state_dict(), other.model.state_dict()
    if ours.keys() != theirs.keys() or not all(
        torch.equal(ours[name], theirs[name]) if isinstance(ours[name], Tensor) else True
        for name in ours
    ):
        raise MisuseError(
            f"{split} must be the same model on other data; its parameters are other ones"
        )
