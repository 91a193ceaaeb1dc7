"""Guess from tensor names which parts of a foreign model are encoders, and of which modality."""

import re
from collections.abc import Mapping
from typing import Any

from sharpscope.subject.checkpoints import State
from sharpscope.subject.owners import RESERVED, clean
from sharpscope.subject.wrappers import WRAPPERS, common_wrapper, parameter_count

# fmt: off
# A part with one of these words in its name belongs to no single modality.
_SHARED = {
    "fusion", "fuse", "fused", "fuser", "mix", "mixer", "gate", "combine", "concat", "bottleneck",
    "joint", "cross", "shared", "common", "multimodal", "mm", "head", "heads", "classifier",
    "classifiers", "clf", "cls", "fc", "linear", "dense", "final", "out", "output", "logit",
    "logits", "predictor", "prediction", "decoder", "criterion", "loss", "losses", "metric",
    "metrics", "temperature", "scale", "norm", "ln", "bn", "aux", "auxiliary", "uni", "unimodal",
    "readout", "probe", "probes", "task",
}
# Words that say what a part is and not what it sees.
_GENERIC = {
    "model", "net", "network", "module", "encoder", "enc", "backbone", "branch", "tower", "stream",
    "proj", "projection", "projector", "embed", "embedding", "embeddings", "embedder", "emb",
    "feat", "feats", "feature", "features", "extractor", "spec", "layer", "layers", "block",
    "blocks", "stem", "trunk", "base", "pos", "pretrained", "adapter", "pool",
}
_ARCHITECTURE = re.compile(
    r"cnn|rnn|lstm|gru|mlp|transformer|(res|dense|efficient|mobile|conv)net|vit|swin|bert|conv"
)
# Parts that hold one part per modality.
_CONTAINERS = {
    "encoders", "encoder", "backbones", "branches", "towers", "streams", "modalities", "nets",
    "models", "embedders", "extractors", "projections", "projectors", "adapters",
}
# fmt: on
_WHOLE = ("net", "network", "core", "inner", *(wrapper.rstrip(".") for wrapper in WRAPPERS))
_SAME = {"vision": "image", "visual": "image", "img": "image", "txt": "text", "language": "text"}


def guess_encoders(state: State) -> dict[str, list[str]]:
    """Return the likely module paths of each modality, as the model's own names would be.

    Heads, fusion and classifiers are left out: they are shared. Nothing is certain, so the result
    is only ever shown to be checked.

    Example:
        >>> import torch
        >>> names = ["ehr_model.weight", "cxr_model.weight", "cxr_proj.weight", "head.weight"]
        >>> guess_encoders({name: torch.ones(2) for name in names})
        {'ehr': ['ehr_model'], 'cxr': ['cxr_model', 'cxr_proj']}
    """
    entries = {clean(name): value for name, value in state.items()}
    chosen = guess_prefix(state) or common_wrapper(entries)
    entries = {
        name.removeprefix(chosen): value
        for name, value in entries.items()
        if name.startswith(chosen)
    }
    found: dict[str, list[str]] = {}
    for path, label in _parts(entries, "").items():
        if not _is_shared(path):
            found.setdefault(_modality(label), []).append(path)
    return found


def guess_prefix(state: State) -> str | None:
    """Return the wrapper prefix under which the model lies, where other tensors lie beside it."""
    names = [clean(name) for name in state]
    for wrapper in WRAPPERS:
        inside = sum(name.startswith(wrapper) for name in names)
        if len(names) / 2 < inside < len(names):
            return wrapper
    return None


def _parts(entries: Mapping[str, Any], before: str) -> dict[str, str]:
    """Return the parts of a model, as module path to the word that tells its modality."""
    children: dict[str, dict[str, Any]] = {}
    for name, value in entries.items():
        first, _, rest = name.partition(".")
        children.setdefault(first, {})[rest] = value
    found: dict[str, str] = {}
    for first, inside in children.items():
        path = f"{before}{first}"
        firsts = {name.partition(".")[0] for name in inside}
        whole = not before and first in _WHOLE and not _is_leaf(inside)
        several = first in _CONTAINERS and not _is_leaf(inside) and not _are_layers(firsts)
        if whole or several:
            found |= _parts(inside, f"{path}.")
        elif sum(parameter_count(name, value) for name, value in inside.items()):
            holder = before.rstrip(".").rpartition(".")[2] or "part"
            found[path] = f"{holder}_{first}" if first.isdigit() else first
    return found


def _is_leaf(inside: Mapping[str, Any]) -> bool:
    return any("." not in name for name in inside)


def _are_layers(names: set[str]) -> bool:
    """Whether the parts of a part are its layers, and not one part per modality."""
    return all(
        _words(name)[:1] in (["layer"], ["conv"], ["block"], ["bn"], ["fc"]) for name in names
    )


def _words(label: str) -> list[str]:
    """Return the words of a name in snake_case or camelCase, without trailing numbers."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", label).lower()
    return [word.rstrip("0123456789") or word for word in re.split(r"[_\-\s]+", spaced) if word]


def _is_shared(path: str) -> bool:
    return any(word in _SHARED for part in path.split(".") for word in _words(part))


def _modality(label: str) -> str:
    """Return the modality that a part's name speaks of; the name itself where it speaks of none."""
    words = [
        _SAME.get(word, word)
        for word in _words(label)
        if word not in _GENERIC and not _ARCHITECTURE.match(word)
    ]
    modality = "_".join(words) or label
    return f"{modality}_encoder" if modality in RESERVED else modality
