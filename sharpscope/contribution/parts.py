"""Logits by set of modalities, and the scores that are made of them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sharpscope.contribution.passes import Present, Seen
from sharpscope.contribution.scores import Bootstrap, Scored, difference, score
from sharpscope.shapley import Shapley, shapley


class Parts:
    """The logits of a split by set of modalities, and the scores that are made of them.

    Args:
        names: The modalities.
        seen: What the model makes of the split.
        drawn: Replicates of its items.
    """

    def __init__(self, names: Sequence[str], seen: Seen, drawn: Bootstrap):
        self.names, self.seen, self.drawn = tuple(names), seen, drawn
        self.target = seen.target.numpy()
        self.logits = {present: values.numpy() for present, values in seen.logits.items()}
        self.sets = list(self.logits)
        self.weights = _weights(self.names, self.sets)
        self.metric = "accuracy" if self.target.ndim == 1 else "macro_auprc"

    def score(self, logits: np.ndarray) -> Scored:
        """Return the metric of logits ``[items, outputs]``."""
        return score(logits, self.target, self.drawn, self.metric)

    def scores(self) -> dict[str, Any]:
        """Return the metric with everything, without and with only each modality, and readouts."""
        everyone = frozenset(self.names)
        whole = self.score(self.logits[everyone])
        found: dict[str, Any] = {"whole": whole.value, "whole_error": whole.error}
        kinds = {
            "without": lambda _, name: self.logits[everyone - {name}],
            "alone": lambda _, name: self.logits[frozenset({name})],
            "readout": lambda place, _: self._readout(place),
        }
        for kind, logits in kinds.items():
            told = {name: self.score(logits(place, name)) for place, name in enumerate(self.names)}
            found[kind] = {name: one.value for name, one in told.items()}
            found[f"{kind}_error"] = {name: one.error for name, one in told.items()}
            if kind == "without":
                drops = {name: difference(whole, one) for name, one in told.items()}
                found["drop"] = {name: value for name, (value, _) in drops.items()}
                found["drop_error"] = {name: error for name, (_, error) in drops.items()}
        return found

    def _readout(self, place: int) -> np.ndarray:
        """Return a modality's part of the logits, with its share of what nothing gives."""
        table = np.stack([self.logits[present] for present in self.sets])
        part = np.tensordot(self.weights[place], table, axes=1)
        return part + self.logits[frozenset()] / len(self.names)


def needed(names: Sequence[str]) -> list[Present]:
    """Return the sets of modalities that are looked at, in the order of first need."""
    asked: dict[Present, None] = {}

    def ask(present: Present) -> float:
        asked[present] = None
        return 0.0

    shapley(ask, names)
    for name in names:  # drawn orders need not pass through these
        asked[frozenset({name})] = asked[frozenset(names) - {name}] = None
    return sorted(asked, key=lambda present: (len(present), *_places(present, names)))


def _places(present: Present, names: Sequence[str]) -> list[int]:
    return [place for place, name in enumerate(names) if name in present]


def _weights(names: Sequence[str], sets: Sequence[Present]) -> np.ndarray:
    """Return the weight of each set in each Shapley value, ``[modalities, sets]``."""

    def of(chosen: Present) -> Shapley:
        return shapley(lambda present: float(present == chosen), names)

    return np.array([[of(chosen).values[name] for chosen in sets] for name in names])
